"""What a run makes is no news to itself, and what is launched again by others is not requested."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import StepMaterializationData
from dagster._core.execution.api import create_execution_plan
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

from cassia_dagster.launcher import WHOLE_TAG
from tests.automated import CELLS, CHAIN, LAST, Project

LAUNCHED = RemoteJobOrigin(
    RemoteRepositoryOrigin(GrpcServerCodeLocationOrigin("localhost", 3030), "__repository__"), "__ASSET_JOB"
)
"""What Dagster notes of a run that it launches."""


def test_a_run_that_takes_longer_than_a_look_is_not_requested_again(project):
    project.requested()
    project.write(project.entry("islets", resolutions=["0.4", "1.2"]))
    project.settle()
    for level in (CELLS, set(CHAIN), set(LAST)):
        requested = project.requested()
        assert set(requested) == level
        assert project.requested() == {}
        project.make_in_runs(requested)
    assert project.requested() == {}


def test_what_the_run_of_a_whole_job_makes_is_no_news_to_what_it_makes_itself(finished):
    # As the launchpad and schedules do, which choose none of a job's assets.
    job, partition = finished.definitions.resolve_job_def("prepare_cells"), {"dagster/partition": "islets"}
    plan = create_execution_plan(job, tags=partition)
    run = finished.instance.create_run_for_job(job, execution_plan=plan, tags=partition)
    assert not run.asset_selection
    for key in CELLS:
        made = dg.AssetMaterialization(key, partition="islets", tags={"dagster/data_version": run.run_id})
        data = StepMaterializationData(made, [])
        event = dg.DagsterEvent("ASSET_MATERIALIZATION", run.job_name, event_specific_data=data)
        finished.instance.report_dagster_event(event, run.run_id)
    requested = finished.requested()
    assert "leiden_clusters" in requested
    assert "umap" not in requested


@pytest.fixture
def retried(tmp_path: Path) -> Iterator[Project]:
    """A project with a dataset to be made, whose failed runs Dagster launches again."""
    settings = {"run_retries": {"enabled": True, "max_retries": 3}}
    with dg.DagsterInstance.ephemeral(settings=settings) as instance:
        project = Project(tmp_path, instance)
        project.requested()
        project.write(project.entry("islets", resolutions=["0.8"]))
        project.settle()
        yield project


def test_what_run_retries_launch_again_is_left_to_them(retried):
    requested = retried.requested()
    run = retried.instance.create_run_for_job(
        retried.definitions.resolve_implicit_global_asset_job_def(),
        asset_selection=frozenset(map(dg.AssetKey, requested)),
        tags={"dagster/partition": "islets"},
        remote_job_origin=LAUNCHED,
    )
    retried.instance.report_run_failed(run)  # as run monitoring does when its worker is gone
    assert retried.instance.get_run_by_id(run.run_id).tags["dagster/will_retry"] == "true"
    assert retried.requested() == {}
    # When it has failed as often as it may, automation tries once, as it does where nobody retries.
    retried.instance.add_run_tags(run.run_id, {"dagster/will_retry": "false"})
    assert retried.requested() == requested
    assert retried.requested() == {}


@pytest.mark.parametrize("is_level", [False, True], ids=["of the command line", "a level of a job"])
def test_what_nobody_launched_no_run_retries_launch_again(retried, is_level):
    requested = retried.requested()
    whole = retried.instance.create_run_for_job(
        retried.definitions.resolve_job_def("annotate_dataset"),
        run_config={"ops": {"run_levels": {"config": {"dataset": "islets"}}}},
        remote_job_origin=LAUNCHED,
    )
    run = retried.instance.create_run_for_job(
        retried.definitions.resolve_implicit_global_asset_job_def(),
        asset_selection=frozenset(map(dg.AssetKey, requested)),
        tags={"dagster/partition": "islets"} | ({WHOLE_TAG: whole.run_id} if is_level else {}),
    )
    retried.instance.report_run_failed(run)
    if is_level:
        assert retried.requested() == {}, "the job may be launched again"
        retried.instance.add_run_tags(whole.run_id, {"dagster/will_retry": "false"})
    assert retried.requested() == requested
