"""A person labels clusters of the demo from the command line."""

import os
import shutil

import anndata as ad
import pandas as pd
import pytest
from typer.testing import CliRunner

from cassia_dagster.cli import app
from cassia_dagster.errors import InputError
from resources.catalog import Catalog
from resources.home import Home
from resources.manual_labels import read_manual_labels


@pytest.fixture(scope="module")
def project(demo, tmp_path_factory):
    """A copy of what the demo left behind, whose results may be changed."""
    folder = tmp_path_factory.mktemp("reviewed")
    shutil.copytree(demo.home.root, folder / "home")
    shutil.copytree(demo.output, folder / "output")
    home = Home(folder / "home")
    entry = Catalog.read(home.catalog).entry("demo")
    Catalog().with_entry(entry.model_copy(update={"output": folder / "output"})).write(home.catalog)
    return home


@pytest.fixture
def say(project, monkeypatch):
    for name in ("CASSIA_HOME", "DAGSTER_HOME"):  # what the command sets is undone
        monkeypatch.setenv(name, os.environ.get(name, ""))

    def run(*words):
        return CliRunner(env={"COLUMNS": "140"}).invoke(app, ["review", *words, "--home", str(project.root)])

    return run


def refusal(result):
    assert isinstance(result.exception, InputError), result.output
    return str(result.exception)


def test_a_label_is_written_with_who_why_and_the_evidence(say, project):
    done = say("set", "demo", "3", "--label", "endothelial cells", "--who", "ana", "--why", "PECAM1 in all of them")
    assert done.exit_code == 0, done.output
    assert "Cluster 3 of demo at 0.4 is endothelial cells (CL:0000115), says ana." in done.output
    (label,) = read_manual_labels(project.manual_labels)
    assert (label.place, label.who, len(label.evidence)) == (("demo", "0.4", "3"), "ana", len("seen-") + 12)


@pytest.mark.parametrize(
    ("words", "trouble"),
    [
        (("demo", "99", "--label", "beta cell", "--why", "x"), r"'demo' has no cluster '99' at 0\.4; it has: 0, 1, "),
        (("demo", "3", "--label", "blorbocyte", "--why", "x"), "names no one term"),
        (("demo", "3", "--cl-id", "CL:9999999", "--why", "x"), "no term of the Cell Ontology"),
        (("demo", "3", "--label", "beta cell"), "say --why"),
        (("demo", "3", "--why", "x"), "say a label, a cl_id, or both"),
        (
            ("demo", "3", "--label", "beta cell", "--why", "x", "--resolution", "7"),
            r"no resolution 7\.0; .* 0\.4, 0\.8",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_is_written(say, project, words, trouble):
    before = project.manual_labels.read_bytes() if project.manual_labels.exists() else b""
    import re

    assert re.search(trouble, refusal(say("set", *words)))
    assert (project.manual_labels.read_bytes() if project.manual_labels.exists() else b"") == before


def test_labels_are_listed_checked_and_applied_to_every_output(say, project):
    say("set", "demo", "7", "--label", "my gamma cells", "--cl-id", "CL:0002275", "--who", "ben", "--why", "PPY")
    assert "my gamma cells" in say("list").output
    assert say("check").exit_code == 0
    applied = say("apply", "demo")
    assert applied.exit_code == 0, applied.output
    folder = Catalog.read(project.catalog).entry("demo").folder
    scored = pd.read_csv(folder / "leiden_res_0.4" / "demo_scored.csv", dtype=str).set_index("cluster")
    assert scored.loc["7", ["celltype_1", "reviewed_by"]].tolist() == ["my gamma cells", "ben"]
    assert scored["reviewed_by"].notna().sum() >= 1
    cells = ad.read_h5ad(folder / "demo_annotated.h5ad", backed="r").obs
    mine = cells[cells["leiden_res_0.4"] == "7"]
    assert set(mine["CASSIA_annotation_res_0.4"]) == {"my gamma cells"}
    assert set(mine["CASSIA_reviewed_by_res_0.4"]) == {"ben"}
    page = (folder / "leiden_res_0.4" / "demo_report.html").read_text(encoding="utf-8")
    assert "Confirmed by ben on" in page
    assert '"cassia_reviewed_by": "ben"' in (folder / "demo_cell_annotations.json").read_text(encoding="utf-8")


def test_a_label_of_other_evidence_fails_the_check(say, project):
    text = project.manual_labels.read_text(encoding="utf-8")
    label = next(one for one in read_manual_labels(project.manual_labels) if one.cluster == "7")
    project.manual_labels.write_text(text.replace(label.evidence, "seen-000000000000"), encoding="utf-8")
    failed = say("check")
    assert "1 of the manual labels do not hold" in refusal(failed)
    assert "stale" in failed.output


def test_a_label_is_taken_out_again(say, project):
    assert say("remove", "demo", "7").exit_code == 0
    assert "7" not in {one.cluster for one in read_manual_labels(project.manual_labels)}
    assert "has no label for cluster '7'" in refusal(say("remove", "demo", "7"))
