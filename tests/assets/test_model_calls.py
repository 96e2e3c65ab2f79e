"""Who is asked what within an asset: models from the catalog and the launchpad, budgets, and what is shown of them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from assets.model_calls import (
    NAMES,
    AskConfig,
    Cast,
    code_version,
    describe_expected,
    expected_calls,
    say_expected,
)
from cassia_dagster.agents.annotate import AnnotateRequest
from cassia_dagster.agents.embedded import RULES
from cassia_dagster.agents.estimate import Expected
from cassia_dagster.agents.score import SCORER
from cassia_dagster.definitions import build_defs
from cassia_dagster.llm.choice import MODEL_ROLES, ModelChoice
from cassia_dagster.llm.store import Store
from cassia_dagster.records import AnnotatedCluster, Annotation, Status, Verdict
from resources.catalog import Catalog, DatasetEntry
from resources.home import Home
from resources.llm import ModelOverride, ModelResource
from resources.storage import stored_cells, stored_table
from tests.servers.aimock import AIMock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.conftest import Demo


def test_every_role_has_a_name_where_its_model_is_chosen() -> None:
    assert set(NAMES.values()) == set(MODEL_ROLES)


class ScoreConfig(AskConfig):
    score_llm: ModelOverride = ModelOverride()


@pytest.mark.parametrize(
    ("listed", "override", "title", "place"),
    [
        ({}, {}, "openai/gpt-5", "environment"),
        ({"all": "openai/gpt-4.1"}, {}, "openai/gpt-4.1", "catalog"),
        ({"all": "openai/gpt-4.1", "score": "ollama/llama3"}, {}, "ollama/llama3", "catalog"),
        ({"score": "ollama/llama3"}, {"model": "openai/o3"}, "openai/o3", "launchpad"),
        ({"score": "ollama/llama3"}, {"timeout": 9.0}, "ollama/llama3", "catalog"),
    ],
)
def test_the_launchpad_goes_before_the_catalog_and_that_before_the_environment(
    listed: dict[str, str], override: dict[str, Any], title: str, place: str
) -> None:
    entry = DatasetEntry.model_validate({"name": "d", "path": "d.h5ad", "tissue": "blood", "models": listed})
    config = ScoreConfig(score_llm=ModelOverride(**override))
    cast = Cast.of({SCORER: ModelResource(provider="openai", model="gpt-5")}, entry, config)
    assert (cast.models[SCORER].title, cast.chosen_in[SCORER]) == (title, place)
    assert cast.models[SCORER].timeout == override.get("timeout")


def test_another_model_in_the_environment_is_another_code_version(monkeypatch: pytest.MonkeyPatch) -> None:
    before = code_version("1", SCORER)
    monkeypatch.setenv("CASSIA_BOOST_MODEL", "openai/gpt-5")
    assert code_version("1", SCORER) == before, "the scorer is still the same"
    monkeypatch.setenv("CASSIA_MODEL", "openai/gpt-5")
    assert "score=openai/gpt-5" in code_version("1", SCORER)


@pytest.mark.parametrize("variable", ["CASSIA_SCORE_THRESHOLD", "CASSIA_MAX_USD_PER_RUN", "CASSIA_MAX_USD_PER_DATASET"])
def test_a_setting_of_the_environment_that_changes_results_is_another_code_version(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    before = code_version("1", SCORER)
    monkeypatch.setenv("CASSIA_MAX_WORKERS", "3")
    assert code_version("1", SCORER) == before
    monkeypatch.setenv(variable, "50")
    assert code_version("1", SCORER) != before


KEY = "sk-test-0123456789abcdefABCDEF"


class Project:
    """The demo's cells and clusters, to be annotated by a model of a server on this machine."""

    def __init__(self, demo: Demo, folder: Path, api_base: str) -> None:
        self.home = Home(folder / "home")
        for asset in ("normalized_adata", "leiden_clusters", "marker_table"):
            shutil.copytree(demo.home.artifacts / asset, self.home.artifacts / asset)
        self.model = ModelChoice(
            provider="openai", model="gpt-4o-mini", api_base=f"{api_base}/v1", api_key_env="TEST_API_KEY"
        )
        self.entry = Catalog.read(demo.home.catalog).entry("demo")

    def annotate(self, config: Mapping[str, Any] | None = None, **said: Any) -> dict[str, Any]:
        """Materialize the annotations, and return their metadata."""
        entry = self.entry.model_copy(update={"models": {"all": self.model}, **said})
        Catalog(datasets=(entry,)).write(self.home.catalog)
        with dg.DagsterInstance.ephemeral() as instance:
            instance.add_dynamic_partitions("dataset", ["demo"])
            job = build_defs(self.home).resolve_job_def("annotate_clusters")
            result = job.execute_in_process(
                asset_selection=[dg.AssetKey("annotations")],
                partition_key=dg.MultiPartitionKey({"dataset": "demo", "resolution": "0.4"}),
                run_config={"ops": {"annotations": {"config": dict(config or {})}}},
                instance=instance,
            )
        (event,) = result.asset_materializations_for_node("annotations")
        return {name: value.value for name, value in event.metadata.items()}

    def expected(self, **said: Any) -> dict[str, Any]:
        """Return what naming the clusters is expected to take, as the metadata of the marker table has it."""
        entry = self.entry.model_copy(update={"models": {"all": self.model}, **said})
        Catalog(datasets=(entry,)).write(self.home.catalog)
        clusters = stored_table(self.home.artifacts, "leiden_clusters", "demo", "0.4")
        markers = stored_table(self.home.artifacts, "marker_table", "demo", "0.4").read()
        cells = stored_cells(self.home.artifacts, "demo")
        with dg.build_asset_context(resources=build_defs(self.home).resources) as context:
            expected = expected_calls(context.resources, "demo", "0.4", cells, clusters, markers)
        return {name: value.value for name, value in expected.items()}

    @property
    def statuses(self) -> list[Status]:
        rows = stored_table(self.home.artifacts, "annotations", "demo", "0.4").records(AnnotatedCluster)
        return [row.status for row in rows]


@pytest.fixture
def project(demo: Demo, tmp_path: Path, aimock: AIMock, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("TEST_API_KEY", KEY)
    usage = {"prompt_tokens": 1000, "completion_tokens": 100}
    replies = {
        "Which cell type is this cluster?": Annotation(general_celltype="epithelial cell"),
        "Does the annotation hold?": Verdict(accepted=True, reasons="it does"),
    }
    for asked, reply in replies.items():
        response = {"content": reply.model_dump_json(), "usage": usage}
        aimock.play({"match": {"userMessage": asked}, "response": response})
    return Project(demo, tmp_path, aimock.url)


def test_a_spent_budget_leaves_rows_that_say_so_and_a_raised_one_finishes_the_rest(
    project: Project, aimock: AIMock
) -> None:
    first = project.annotate(max_usd=0.005)
    finished = project.statuses.count(Status.OK)
    assert 0 < finished < len(project.statuses) == 12
    assert set(project.statuses) == {Status.OK, Status.BUDGET_EXHAUSTED}
    assert 0 < first["usd"] <= 0.005
    asked = len(aimock.requests())
    assert first["calls"] == asked

    second = project.annotate(max_usd=1.0)
    assert set(project.statuses) == {Status.OK}
    assert len(aimock.requests()) == 24
    assert second["cached_calls"] == asked
    assert second["saved_usd"] == pytest.approx(first["usd"])


def test_a_launchpad_choice_is_asked_and_shown_with_its_prices(project: Project, aimock: AIMock) -> None:
    override = {"provider": "openai", "model": "gpt-4.1", "usd_per_million_input": 5, "usd_per_million_output": 5}
    shown = project.annotate({"annotation_llm": override, "max_workers": 3})
    assert {request["body"]["model"] for request in aimock.requests()} == {"gpt-4.1", "gpt-4o-mini"}
    assert shown["models"] == {"annotate": "openai/gpt-4.1", "validate": "openai/gpt-4o-mini"}
    assert shown["models_chosen_in"] == {"annotate": "launchpad", "validate": "catalog"}
    with Store.open(project.home.model_store) as store:
        usd = sum(call.usd or 0.0 for call in store.calls() if call.role == "annotate")
        everything = Path(project.home.model_store).read_bytes()
    assert usd == pytest.approx(12 * 1100 * 5e-6)
    assert KEY.encode() not in everything


def test_a_tenth_of_the_estimate_is_not_passed_with_20_at_once_and_a_raise_finishes_the_rest(
    project: Project, aimock: AIMock
) -> None:
    project.model = project.model.model_copy(update={"max_tokens": 200})
    estimate = project.expected()["expected_usd"]
    project.annotate(max_usd=estimate / 10, max_workers=20)
    with Store.open(project.home.model_store) as store:
        assert store.totals().usd <= estimate / 10
    assert Status.BUDGET_EXHAUSTED in project.statuses
    assert set(project.statuses) <= {Status.OK, Status.BUDGET_EXHAUSTED}
    asked = len(aimock.requests())
    project.annotate(max_usd=estimate * 10, max_workers=20)
    assert project.statuses == [Status.OK] * 12
    # What was answered is not asked again: two questions a cluster, each once over both runs.
    assert len(aimock.requests()) == 2 * 12 >= asked


def test_what_it_will_cost_is_known_with_the_markers(project: Project, aimock: AIMock) -> None:
    project.annotate()  # leaves replies that are free from now on
    asked = len(aimock.requests())
    values = project.expected()
    # So broad a label gets a second look: each cluster is scored, and some are boosted (hypotheses, conclusion) and
    # scored again; all are merged. What the annotator and the validator said is free by now.
    assert 12 + 1 < values["expected_calls"] <= 12 * (1 + 2 + 1) + 1
    assert 0 < values["expected_usd"] < values["expected_usd_at_most"]
    assert len(aimock.requests()) == asked


def test_second_looks_at_clusters_of_one_name_are_expected_unless_the_catalog_leaves_them_alone(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = Annotation(general_celltype="pancreatic endocrine cell")
    monkeypatch.setitem(RULES, AnnotateRequest, lambda _: name)
    taken, left = (project.expected(namesakes=said)["expected_calls"] for said in (None, False))
    assert taken > left


def test_a_model_without_a_price_is_refused_under_a_budget_before_anything_is_sent(
    project: Project, aimock: AIMock
) -> None:
    project.model = project.model.model_copy(update={"model": "a-model-of-ours"})
    with pytest.raises(dg.Failure, match=r"price of openai/a-model-of-ours is not known"):
        project.annotate(max_usd=1.0)
    assert aimock.requests() == []


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([Expected("boost", "embedded/x", calls=4)], "Expected: no call that costs anything"),
        (
            [Expected("boost", "openai/x", 1, 0, 1200, 34, 0.01, 0.2), Expected("score", "embedded/x", calls=4)],
            "Expected: 1 call, 1,234 tokens, 0.0100 USD, at most 0.2000 USD",
        ),
        (
            [Expected("boost", "ours/x", 2, 0, 10, 10, None, None)],
            "Expected: 2 calls, 20 tokens, unknown price",
        ),
    ],
)
def test_what_is_expected_is_a_line_for_people(rows: list[Expected], said: str) -> None:
    assert say_expected(describe_expected(rows)) == said
