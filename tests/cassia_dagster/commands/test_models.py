"""Tests of the commands about models, as a user types them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from cassia_dagster import cli
from cassia_dagster.agents.annotate import AnnotateRequest
from cassia_dagster.agents.embedded import RULES
from cassia_dagster.cli import app
from cassia_dagster.commands import models
from cassia_dagster.commands.dataset_options import entry_of
from cassia_dagster.commands.model_options import said_of_models
from cassia_dagster.errors import ConfigurationError, ModelError
from cassia_dagster.llm.backend import RawReply
from cassia_dagster.llm.question import Usage
from cassia_dagster.llm.store import Store
from cassia_dagster.records import Annotation
from resources.catalog import Catalog, DatasetEntry
from resources.home import Home

if TYPE_CHECKING:
    from tests.conftest import Demo

OLD = 1_700_000_000.0


def run(*arguments: object, typed: str = "") -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=typed, env={"COLUMNS": "120"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.output


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home whose store holds an old reply of one model, and a new one of another."""
    place = Home(tmp_path / "home")
    with Store.open(place.model_store) as store:
        for key, model in (("a", "gpt-4.1"), ("b", "gpt-5")):
            reply = RawReply('{"x": 1}', "stop", model, Usage(100, 20), usd=0.25)
            store.replies.keep(key, '{"x": 1}', reply, provider="openai", model=model)
        store._database.run("UPDATE replies SET created = ? WHERE key = 'a'", OLD)
    return place


def test_the_cache_says_what_it_holds(home: Home) -> None:
    said = run("cache", "info", "--home", home.root)
    assert "openai/gpt-4.1" in said
    assert "2023-11-14" in said
    assert "0 questions were answered without a call" in said


@pytest.mark.parametrize(
    ("options", "left"),
    [
        (["--model", "openai/gpt-5"], ["a"]),
        (["--older-than", "30"], ["b"]),
        (["--model", "openai/gpt-5", "--older-than", "30"], ["a", "b"]),
        ([], []),
    ],
)
def test_replies_are_forgotten_by_model_and_by_age(home: Home, options: list[str], left: list[str]) -> None:
    run("cache", "clear", *options, "--yes", "--home", home.root)
    with Store.open(home.model_store) as store:
        assert [key for key in "ab" if store.replies.find(key)] == left


def test_nothing_is_forgotten_without_a_yes(home: Home) -> None:
    said = run("cache", "clear", "--home", home.root, typed="n\n")
    assert "Forget 2 replies?" in said
    with Store.open(home.model_store) as store:
        assert store.replies.count() == 2


def test_the_ledger_of_the_demo_is_beside_its_report_and_can_be_exported_whole(demo: Demo, tmp_path: Path) -> None:
    beside = pq.read_table(demo.output / "demo" / "leiden_res_0.4" / "demo_ledger.parquet").to_pylist()
    assert {row["role"] for row in beside} >= {"annotate", "validate", "score", "merge"}
    assert all(row["subject"].startswith("demo/0.4") for row in beside)
    assert "rows are in" in run("cache", "export", tmp_path / "all.parquet", "--home", demo.home.root)
    assert pq.read_metadata(tmp_path / "all.parquet").num_rows > len(beside)


def test_an_estimate_counts_what_was_answered_before_as_free(demo: Demo) -> None:
    said = run("estimate", "demo", "--resolution", "0.4", "--home", demo.home.root)
    assert "12 clusters." in said
    assert " 0 calls and 37 answers from the cache" in " ".join(said.split())


def test_an_estimate_prices_another_model_role_by_role(demo: Demo) -> None:
    said = run("estimate", "demo", "--resolution", "0.4", "--model", "openai/gpt-4.1", "--home", demo.home.root)
    rows = {line.split()[0]: line.split() for line in said.splitlines() if len(line.split()) == 7}
    assert list(rows) == ["annotate", "validate", "score", "boost", "merge"]
    assert "All roles: openai/gpt-4.1." in said
    assert (rows["annotate"][1], rows["merge"][1]) == ("12", "1")
    assert 0 < float(rows["annotate"][5]) < float(rows["annotate"][6])


def test_an_estimate_counts_second_looks_at_clusters_of_one_name_where_they_are_taken(
    demo: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RULES, AnnotateRequest, lambda _: Annotation(general_celltype="pancreatic endocrine cell"))
    calls = {}
    for said in ("true", "false"):
        monkeypatch.setenv("CASSIA_NAMESAKES", said)
        shown = run("estimate", "demo", "--resolution", "0.4", "--model", "openai/gpt-4.1", "--home", demo.home.root)
        (row,) = (line.split() for line in shown.splitlines() if line.startswith("boost "))
        calls[said] = int(row[1])
    assert calls["true"] > calls["false"]


def test_before_there_are_clusters_an_estimate_is_a_range_for_one(demo: Demo, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    Catalog.read(demo.home.catalog).write(home.catalog)
    said = run("estimate", "demo", "--resolution", "0.4", "--model", "openai/gpt-4.1", "--home", home.root)
    assert "not clustered yet" in said
    least, most = (line.split() for line in said.splitlines() if "calls and" in line)
    assert int(least[0]) < int(most[0])


def test_an_estimate_is_not_stopped_by_the_broken_entry_of_another_dataset(tmp_path: Path) -> None:
    (tmp_path / "datasets.yaml").write_text("datasets: [{name: islets, path: x, tissue: gut}, {name: broken}]")
    assert "not clustered yet" in run("estimate", "islets", "--resolution", "0.4", "--home", tmp_path)


def test_a_model_of_unknown_price_is_said_to_be_one(demo: Demo) -> None:
    said = run("estimate", "demo", "--resolution", "0.4", "--model", "openai/no-such-model", "--home", demo.home.root)
    assert "an unknown price (give it with usd_per_million_input and usd_per_million_output)" in " ".join(said.split())


def test_the_models_of_the_command_line_become_part_of_the_catalog(
    monkeypatch: pytest.MonkeyPatch, islets_path: Path
) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setattr(cli, "entry_of", lambda said, _: seen.update(said))
    monkeypatch.setattr(cli, "known_entry", lambda *_: None)
    monkeypatch.setattr(cli, "_annotate", lambda *_, **__: None)
    run(
        *("run", "cells.h5ad", "--tissue", "blood", "--species", "human", "--model", "openai/gpt-5"),
        *("--annotation-model", "openrouter/anthropic/claude-sonnet-4.5", "--score-model", "openrouter/openai/o3"),
        *("--score-threshold", "75", "--no-namesakes", "--max-workers", "6", "--max-usd", "5"),
    )
    entry = entry_of(seen | {"path": islets_path})
    assert entry.model("annotation").title == "openrouter/anthropic/claude-sonnet-4.5"
    assert (entry.model("score").title, entry.model("merge").title) == ("openrouter/openai/o3", "openai/gpt-5")
    assert (entry.score_threshold, entry.namesakes, entry.max_workers, entry.max_usd) == (75, False, 6, 5)
    assert entry_of({"path": islets_path, "species": "human", "notes": ""}, entry).namesakes is False, "it stays so"


def test_a_model_without_a_provider_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="Model 'gpt-5' has no provider: write provider/model"):
        said_of_models(all="gpt-5")


def test_a_model_that_cannot_be_asked_is_told_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    entry = DatasetEntry.model_validate(
        {"name": "d", "path": "d.h5ad", "tissue": "blood", "models": {"merge": "openai/gpt-5"}}
    )
    with pytest.raises(ModelError, match="OPENAI_API_KEY"):
        models.check_models(entry)
