"""The job that annotates a whole dataset: its levels are runs of their own, and what stands is not made again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from cassia_dagster.launcher import WHOLE_TAG
from cassia_dagster.walk import open_instance
from resources.catalog import Catalog
from resources.home import Home

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def project(demo, tmp_path) -> Home:
    """Copy what the demo left behind, so that the job may change it."""
    shutil.copytree(demo.home.root, tmp_path / "home")
    shutil.copytree(demo.output, tmp_path / "output")
    home = Home(tmp_path / "home")
    entry = Catalog.read(home.catalog).entry("demo")
    moved = entry.model_copy(update={"output": tmp_path / "output"})
    Catalog().with_entry(moved).write(home.catalog)
    return home


@pytest.fixture
def annotate(project) -> Callable[..., tuple[dg.DagsterRun, list[tuple[str, str | None, str]], str]]:
    """Run the job in a process of its own, as a launcher does; gives the run, its levels, and why it failed."""

    def run(**config: object) -> tuple[dg.DagsterRun, list[tuple[str, str | None, str]], str]:
        said = project.root / "launchpad.yaml"
        said.write_text(json.dumps({"ops": {"run_levels": {"config": config}}}), encoding="utf-8")
        command = ["-m", "dagster", "job", "execute", "-m", "cassia_dagster.definitions", "-j", "annotate_dataset"]
        subprocess.run(
            [sys.executable, *command, "-c", str(said)],
            env=os.environ | {"CASSIA_HOME": str(project.root), "DAGSTER_HOME": str(project.dagster)},
            capture_output=True,
            check=False,
            timeout=300,
        )
        with open_instance(project) as instance:
            (whole,) = instance.get_runs(dg.RunsFilter(job_name="annotate_dataset"))
            levels = instance.get_runs(dg.RunsFilter(tags={WHOLE_TAG: whole.run_id}))[::-1]
            failures = instance.all_logs(whole.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
            why = "".join(one.dagster_event.step_failure_data.user_failure_data.description for one in failures)
        return whole, [(one.job_name, one.tags.get("dagster/partition"), one.status.value) for one in levels], why

    return run


@pytest.mark.long
def test_every_level_is_a_run_and_what_stands_is_not_made_again(annotate, project):
    folder = Catalog.read(project.catalog).entry("demo").folder
    report, cells = folder / "leiden_res_0.4" / "demo_report.html", folder / "demo_annotated.h5ad"
    for written in (report, cells):
        written.unlink()
    run, levels, _ = annotate(dataset="demo")
    assert run.is_success
    assert levels == [
        ("annotate_clusters", "demo|0.4", "SUCCESS"),
        ("annotate_clusters", "demo|0.8", "SUCCESS"),
        ("write_annotated_file", "demo", "SUCCESS"),
    ]
    assert report.exists()
    assert cells.exists()


@pytest.mark.long
def test_a_dataset_that_is_not_listed_is_refused_before_anything_runs(annotate):
    run, levels, why = annotate(dataset="nobody")
    assert not run.is_success
    assert "nobody" in why
    assert levels == []


@pytest.mark.long
def test_a_level_that_fails_ends_it_and_is_named(annotate, project):
    shutil.rmtree(project.artifacts / "normalized_adata")
    entry = Catalog.read(project.catalog).entry("demo")
    broken = project.root / "broken.h5ad"
    broken.write_bytes(b"no cells")
    Catalog().with_entry(entry.model_copy(update={"path": broken})).write(project.catalog)
    run, levels, why = annotate(dataset="demo")
    assert not run.is_success
    assert levels == [("prepare_cells", "demo", "FAILURE")]
    assert why.startswith("prepare_cells of demo failed; its run ")
