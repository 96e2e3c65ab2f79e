"""Tests of the commands about datasets: what they print, what they refuse, and what they leave alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from cassia_dagster import cli
from cassia_dagster.cli import app
from cassia_dagster.commands.dataset_options import changes, entry_of
from cassia_dagster.commands.datasets import known_entry, register
from cassia_dagster.errors import CassiaError, ConfigurationError, InputError
from resources.catalog import Catalog, DatasetEntry
from resources.home import Home

type Told = Callable[..., dict[str, Any]]


def run(*words: Any, home: Path) -> Result:
    return CliRunner().invoke(app, [*map(str, words)], env={"CASSIA_HOME": str(home), "COLUMNS": "200"})


def known(home: Path, path: Path, name: str = "islets", **more: Any) -> Path:
    entry = DatasetEntry(name=name, path=path, tissue="pancreas", **more)
    Catalog.read(home / "datasets.yaml").with_entry(entry).write(home / "datasets.yaml")
    return home


def test_a_project_without_datasets_says_how_to_add_one(tmp_path: Path) -> None:
    result = run("datasets", "list", home=tmp_path)
    assert result.exit_code == 0
    assert "cassia-dagster run FILE" in result.stdout


def test_the_list_has_a_row_for_each_dataset(tmp_path: Path, islets_path: Path) -> None:
    known(tmp_path, islets_path)
    known(tmp_path, islets_path, "blood")
    lines = run("datasets", "list", home=tmp_path).stdout.splitlines()
    assert [line.split()[0] for line in lines if "pancreas" in line] == ["islets", "blood"]


def test_text_of_the_catalog_cannot_speak_to_the_terminal(tmp_path: Path, islets_path: Path) -> None:
    entry = DatasetEntry(name="islets", path=islets_path, tissue="[red]gut[/red]\x1b[31m")
    Catalog().with_entry(entry).write(tmp_path / "datasets.yaml")
    shown = run("datasets", "list", home=tmp_path).stdout
    assert "[red]gut[/red]" in shown
    assert "\x1b[31m" not in shown


def test_a_dataset_that_can_be_annotated_passes_the_check(tmp_path: Path, islets_path: Path) -> None:
    result = run("datasets", "check", home=known(tmp_path, islets_path, labels=("cell_type",)))
    assert result.exit_code == 0
    assert "✓ islets  1,065 cells, 14,270 genes" in result.stdout


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"labels": ("celltype",)}, "no obs column 'celltype'"),
        ({"species": "mouse"}, "Are the cells of human?"),
        ({"counts": "layers/umi"}, "no matrix 'layers/umi'"),
        ({"gene_symbols": "symbol"}, "no var column 'symbol'"),
    ],
)
def test_a_dataset_that_cannot_be_annotated_fails_the_check_and_hides_no_other(
    tmp_path: Path, islets_path: Path, said: dict[str, Any], words: str
) -> None:
    known(tmp_path, islets_path, "wrong", **said)
    known(tmp_path, islets_path, "right")
    result = run("datasets", "check", home=tmp_path)
    assert words in result.stdout
    assert "✓ right" in result.stdout
    assert isinstance(result.exception, InputError)
    assert "1 of 2 datasets" in str(result.exception)


def test_only_the_datasets_that_are_named_are_checked(tmp_path: Path, islets_path: Path) -> None:
    known(tmp_path, tmp_path / "nowhere.h5ad", "wrong")
    known(tmp_path, islets_path, "right")
    assert run("datasets", "check", "right", home=tmp_path).exit_code == 0


DESCRIBED = ("--tissue", "pancreas", "--species", "human")


def added(home: Path, file: Path, *options: Any) -> Result:
    return run("datasets", "add", file, *DESCRIBED, *options, home=home)


def test_a_dataset_is_added_with_all_that_was_said_and_nothing_is_run(tmp_path: Path, islets_path: Path) -> None:
    result = added(
        tmp_path, islets_path, "--name", "mine", "--clusters", "cell_type", "--resolution", "1",
        "--labels", "cell_type", "--primary-resolution", "given", "--notes", "from the authors",
        "--output", tmp_path / "results",
    )  # fmt: skip
    assert result.exit_code == 0
    assert "mine is in the catalog (1,065 cells, 14,270 genes)" in result.stdout
    assert Catalog.read(tmp_path / "datasets.yaml").datasets == (
        DatasetEntry(
            name="mine",
            path=islets_path,
            tissue="pancreas",
            labels=("cell_type",),
            clusters=("cell_type",),
            resolutions=("1.0",),
            primary_resolution="given",
            output=tmp_path / "results",
            notes="from the authors",
        ),
    )
    assert {path.name for path in tmp_path.iterdir()} == {"datasets.yaml", "datasets.lock"}


def test_what_cannot_be_annotated_is_not_added_unless_the_user_insists(tmp_path: Path, islets_path: Path) -> None:
    result = added(tmp_path, islets_path, "--labels", "celltype")
    assert isinstance(result.exception, InputError)
    assert "no obs column 'celltype'; it has: cell_type" in str(result.exception)
    assert not (tmp_path / "datasets.yaml").exists()
    assert added(tmp_path, islets_path, "--labels", "celltype", "--no-check").exit_code == 0


def test_a_known_name_is_kept_unless_it_is_to_be_replaced(tmp_path: Path, islets_path: Path) -> None:
    assert added(tmp_path, islets_path, "--no-check").exit_code == 0
    assert added(tmp_path, islets_path, "--no-check").exit_code == 0, "the same again is no other dataset"
    other = (tmp_path, islets_path, "--no-check", "--context", "biopsy")
    refused = added(*other)
    assert isinstance(refused.exception, InputError)
    assert "'islets' is known already" in str(refused.exception)
    assert "--replace" in str(refused.exception)
    assert Catalog.read(tmp_path / "datasets.yaml").entry("islets").context == ""
    replaced = added(*other, "--replace")
    assert replaced.exit_code == 0
    assert "takes the place" in replaced.stdout
    assert Catalog.read(tmp_path / "datasets.yaml").entry("islets").context == "biopsy"


@pytest.mark.parametrize(
    "wrong", [("--labels", "celltype"), ("--counts", "layers/umi"), ("--species", "mouse"), ("--clusters", "leiden")]
)
def test_a_run_that_cannot_be_leaves_what_is_in_the_catalog(
    tmp_path: Path, islets_path: Path, wrong: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "restored after the test")
    known(tmp_path, islets_path)
    before = (tmp_path / "datasets.yaml").read_text()
    result = run("run", islets_path, *DESCRIBED, *wrong, "--output", tmp_path / "output", home=tmp_path)
    assert isinstance(result.exception, InputError)
    assert (tmp_path / "datasets.yaml").read_text() == before
    assert not (tmp_path / "output").exists()


def test_a_run_of_another_file_does_not_take_the_place_of_one_with_its_name(
    tmp_path: Path, islets_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "restored after the test")
    known(tmp_path, tmp_path / "elsewhere" / "islets.h5ad")
    result = run("run", islets_path, *DESCRIBED, "--output", tmp_path / "output", home=tmp_path)
    assert isinstance(result.exception, InputError)
    assert "'islets' is known already" in str(result.exception)
    assert "--name islets to replace it" in str(result.exception)


def test_the_same_file_may_be_described_anew_and_another_only_if_it_is_said(tmp_path: Path) -> None:
    home = Home(tmp_path)
    first, second = (DatasetEntry(name="islets", path=Path(path), tissue="gut") for path in ("a.h5ad", "b.h5ad"))
    again = first.model_copy(update={"context": "biopsy"})
    assert register(home, first, replace=False) is None
    assert register(home, again, replace=False) == first
    with pytest.raises(InputError, match="known already"):
        register(home, second, replace=False)
    assert register(home, second, replace=True) == again
    assert Catalog.read(home.catalog).datasets == (second,)


@pytest.fixture
def by_hand(tmp_path: Path) -> DatasetEntry:
    """An entry that a person has written more into than the command line says."""
    path = tmp_path / "islets.h5ad"
    path.write_bytes(b"")
    return DatasetEntry.model_validate(
        {
            "name": "islets",
            "path": path,
            "tissue": "pancreas",
            "output": "/results",
            "labels": ["cell_type"],
            "max_usd": 5,
            "notes": "asked the authors",
            "models": {
                "all": {"provider": "openai", "model": "gpt-5", "requests_per_minute": 60, "max_concurrency": 2},
                "score": "openai/o3",
            },
        }
    )


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    """What `run` is told by options, about the file of `by_hand`."""
    said: list[dict[str, Any]] = []
    monkeypatch.setattr(cli, "entry_of", lambda one, _: said.append(one))
    monkeypatch.setattr(cli, "known_entry", lambda *_: None)
    monkeypatch.setattr(cli, "_annotate", lambda *_, **__: None)
    monkeypatch.setenv("DAGSTER_HOME", "restored after the test")

    def parse(*options: str) -> dict[str, Any]:
        result = run("run", tmp_path / "islets.h5ad", "--species", "human", *options, home=tmp_path)
        assert result.exit_code == 0, result.output
        return said.pop()

    return parse


def test_what_was_not_said_again_stays_as_it_was_written_by_hand(told: Told, by_hand: DatasetEntry) -> None:
    assert entry_of(told("--tissue", "pancreas"), by_hand) == by_hand
    after = entry_of(told("--tissue", "gut", "--max-usd", "0"), by_hand)
    assert after == by_hand.model_copy(update={"tissue": "gut", "max_usd": 0.0})
    assert changes(by_hand, after) == "tissue 'pancreas' → 'gut'; max_usd 5.0 → 0.0"


@pytest.mark.usefixtures("by_hand")
def test_a_new_dataset_writes_to_the_output_folder_here(told: Told) -> None:
    assert entry_of(told("--tissue", "gut")).output == Path("output").absolute()


def test_another_model_takes_the_place_of_the_first_and_keeps_what_fits_it(told: Told, by_hand: DatasetEntry) -> None:
    same = entry_of(told("--model", "openai/gpt-5"), by_hand)
    assert same.models == by_hand.models
    other = entry_of(told("--model", "openai/gpt-4.1"), by_hand)
    assert other.models["all"].model_dump() == {"provider": "openai", "model": "gpt-4.1", "max_concurrency": 2}
    assert other.models["score"].title == "openai/o3"
    assert other.max_usd == 5


def test_the_tissue_and_the_clusters_take_the_place_of_what_they_exclude(told: Told, by_hand: DatasetEntry) -> None:
    by_column = entry_of(told("--tissue-column", "organ"), by_hand)
    assert (by_column.tissue, by_column.tissue_column) == (None, "organ")
    assert entry_of(told("--clusters", "leiden"), by_hand).clusterings == ("given",)
    both = entry_of(told("--clusters", "leiden", "--resolution", "1"), by_hand)
    assert both.clusterings == ("1.0", "given")


def test_a_known_dataset_is_one_of_the_same_file_or_of_the_name_that_is_said(
    tmp_path: Path, by_hand: DatasetEntry
) -> None:
    home, other = Home(tmp_path), tmp_path / "other" / "islets.h5ad"
    other.parent.mkdir()
    other.write_bytes(b"")
    register(home, by_hand, replace=False)
    assert known_entry(home, {"path": by_hand.path}) == by_hand
    assert known_entry(home, {"path": other}) is None
    assert known_entry(home, {"path": other, "name": "islets"}) == by_hand
    home.catalog.write_text("datasets: [{name: islets, path: islets.h5ad}]")
    with pytest.raises(ConfigurationError, match=r"tissue is missing.*datasets remove islets"):
        known_entry(home, {"path": by_hand.path})


def test_a_catalog_that_says_the_same_already_is_not_written_anew(tmp_path: Path, islets_path: Path) -> None:
    known(tmp_path, islets_path)
    catalog = tmp_path / "datasets.yaml"
    catalog.write_text("# mine\n" + catalog.read_text())
    register(Home(tmp_path), Catalog.read(catalog).entry("islets"), replace=False)
    assert catalog.read_text().startswith("# mine")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("cells.csv.gz", "cells"),
        ("Cells.TSV", "Cells"),
        ("GSE1_v1.2.h5ad", "GSE1_v1.2"),
        ("my cells|1.h5ad", "my_cells_1"),
        ("🧬.h5ad", "dataset"),
    ],
)
def test_a_dataset_is_called_like_its_file(tmp_path: Path, file: str, name: str) -> None:
    (tmp_path / file).write_bytes(b"")
    assert added(tmp_path / "home", tmp_path / file, "--no-check").exit_code == 0
    assert [entry.name for entry in Catalog.read(tmp_path / "home" / "datasets.yaml").datasets] == [name]


def test_a_folder_is_a_dataset_of_its_whole_name(tmp_path: Path) -> None:
    (tmp_path / "sample.v1").mkdir()
    assert added(tmp_path / "home", tmp_path / "sample.v1", "--no-check").exit_code == 0
    assert Catalog.read(tmp_path / "home" / "datasets.yaml").entry("sample.v1")


def test_a_broken_entry_is_shown_and_hides_no_other(tmp_path: Path, islets_path: Path) -> None:
    known(tmp_path, islets_path)
    catalog = tmp_path / "datasets.yaml"
    catalog.write_text(catalog.read_text() + "- {name: broken, path: x.h5ad, tissue: gut, species: yeti}\n")
    listed = run("datasets", "list", home=tmp_path)
    checked = run("datasets", "check", home=tmp_path)
    for result in (listed, checked):
        assert "islets" in result.stdout
        assert "datasets → broken → species: Input should be 'human' or 'mouse'" in result.stdout
        assert isinstance(result.exception, CassiaError)
    assert "✓ islets" in checked.stdout
    assert run("datasets", "check", "islets", home=tmp_path).exit_code == 0


def test_a_broken_entry_stops_no_command_about_others_and_can_be_removed_or_replaced(tmp_path: Path) -> None:
    file, catalog = tmp_path / "cells.h5ad", tmp_path / "datasets.yaml"
    file.write_bytes(b"counts")
    broken = "- {name: broken, path: x.h5ad, tissue: gut, species: yeti}\n"
    catalog.write_text("datasets:\n" + broken)
    assert added(tmp_path, file, "--no-check").exit_code == 0
    refused = added(tmp_path, file, "--no-check", "--name", "broken")
    assert isinstance(refused.exception, ConfigurationError)
    assert "broken → species" in str(refused.exception)
    assert "datasets remove broken" in str(refused.exception)
    assert run("datasets", "remove", "cells", home=tmp_path).exit_code == 0
    assert "yeti" in catalog.read_text()
    assert added(tmp_path, file, "--no-check", "--name", "broken", "--replace").exit_code == 0
    assert Catalog.read(catalog).entry("broken").path == file
    catalog.write_text("datasets:\n" + broken)
    assert run("datasets", "remove", "broken", home=tmp_path).exit_code == 0
    assert Catalog.read(catalog).datasets == ()


def test_a_removed_dataset_is_gone_from_the_catalog_and_its_file_is_not(tmp_path: Path) -> None:
    path = tmp_path / "cells.h5ad"
    path.write_bytes(b"counts")
    known(tmp_path, path)
    known(tmp_path, path, "blood")
    result = run("datasets", "remove", "islets", home=tmp_path)
    assert result.exit_code == 0
    assert [entry.name for entry in Catalog.read(tmp_path / "datasets.yaml").datasets] == ["blood"]
    assert path.read_bytes() == b"counts"


@pytest.mark.parametrize("command", ["check", "remove"])
def test_a_dataset_that_is_not_known_is_an_error_with_those_that_are(tmp_path: Path, command: str) -> None:
    result = run("datasets", command, "liver", home=known(tmp_path, tmp_path / "cells.h5ad"))
    assert isinstance(result.exception, ConfigurationError)
    assert "no dataset 'liver'; it has: islets" in str(result.exception)


def test_inspecting_shows_what_is_there_and_the_command_to_run(tmp_path: Path, islets_path: Path) -> None:
    result = run("inspect", islets_path, home=tmp_path / "home")
    assert result.exit_code == 0
    for words in ("1,065 cells × 14,270 genes", "X: raw counts", "species: human", "cell_type: 14 values"):
        assert words in result.stdout
    assert f"cassia-dagster run {islets_path} --species human --labels cell_type --tissue TISSUE" in result.stdout
    assert not (tmp_path / "home").exists()


def test_inspecting_says_what_a_run_would_need(tmp_path: Path, islets_path: Path) -> None:
    adata = anndata.read_h5ad(islets_path)[:60].copy()
    adata.obs["leiden"] = [str(number % 14) for number in range(60)]
    adata.write_h5ad(tmp_path / "cells.h5ad")
    shown = run("inspect", tmp_path / "cells.h5ad", home=tmp_path).stdout
    assert f"memory: about {1 + 24e-9 * np.count_nonzero(adata.X.toarray()):.1f} GB of " in shown
    assert "3 to 12 for each cluster, and one for each resolution" in shown
    assert "for the 14 clusters of leiden these are 43 to 169" in shown
    assert "nothing is paid" in shown


def test_inspecting_logarithms_says_that_they_would_be_taken_as_they_are(tmp_path: Path, islets_path: Path) -> None:
    adata = anndata.read_h5ad(islets_path)[:60].copy()
    adata.X.data = np.log1p(adata.X.data * np.float32(0.7))
    adata.write_h5ad(tmp_path / "cells.h5ad")
    result = run("inspect", tmp_path / "cells.h5ad", home=tmp_path)
    assert result.exit_code == 0
    assert "would take the logarithms of normalised counts of X" in result.stdout
    assert "They are not normalised again." in result.stdout


def test_inspecting_a_file_that_run_would_refuse_shows_it_all_the_same_and_fails(
    tmp_path: Path, islets_path: Path
) -> None:
    adata = anndata.read_h5ad(islets_path)[:60].copy()
    adata.X = adata.X.toarray() - np.float32(1)
    adata.obs["[bold]x\x1b[31m"] = "[red]y"
    adata.write_h5ad(tmp_path / "cells.h5ad")
    result = run("inspect", tmp_path / "cells.h5ad", home=tmp_path)
    assert "X: scaled or centred values (values from -1 to" in result.stdout
    assert "[bold]x [31m: 1 value ([red]y)" in result.stdout
    assert "would refuse this file" in result.stdout
    assert isinstance(result.exception, InputError)
    assert "scaled or centred" in str(result.exception)
