"""Drift as an asset: the version before is found among those that are kept, and what was planted is reported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import dagster as dg
import pytest

from assets.drift import drift
from cassia_dagster.agents.boost import keep_as_is
from cassia_dagster.definitions import ASSETS
from cassia_dagster.evaluation.comparison import Change
from cassia_dagster.evaluation.drift import Drift
from cassia_dagster.evaluation.manual import ManualLabel, apply_manual_labels, evidence_digest
from cassia_dagster.llm.choice import MODEL_ROLES
from cassia_dagster.records import AnnotatedCluster, BoostedCluster, ScoredCluster
from resources.catalog import Catalog, CatalogResource, DatasetEntry
from resources.llm import ModelResource, ModelStore
from resources.manual_labels import ManualLabelsFile
from resources.settings import AnnotationSettings
from resources.storage import AdataStorage, TableStorage, stored_table
from resources.versions_kept import versions_of

KEY = dg.MultiPartitionKey({"dataset": "islets", "resolution": "0.4"})
PAIRS = {
    "dataset": dg.DynamicPartitionsDefinition(name="dataset"),
    "resolution": dg.StaticPartitionsDefinition(["0.4"]),
}


def _asset(name: str, value: Any) -> dg.AssetsDefinition:
    @dg.asset(
        name=name,
        partitions_def=dg.MultiPartitionsDefinition(PAIRS),
        io_manager_key="table_storage",
        dagster_type=dg.Any,
    )
    def made() -> Any:
        return value

    return made


@pytest.fixture
def rows(artifacts) -> tuple[list[AnnotatedCluster], list[BoostedCluster]]:
    annotated = stored_table(artifacts, "annotations", "islets", "0.4").records(AnnotatedCluster)
    scored = stored_table(artifacts, "scores", "islets", "0.4").records(ScoredCluster)
    return annotated, [keep_as_is(row, score) for row, score in zip(annotated, scored, strict=True)]


@pytest.fixture
def project(artifacts, rows, tmp_path) -> Iterator[dict[str, Callable[..., Any]]]:
    """Write versions of the tables as their assets would, and compare them."""
    cells = stored_table(artifacts, "leiden_clusters", "islets", "0.4").read()
    entry = DatasetEntry(name="islets", path=tmp_path / "islets.h5ad", tissue="pancreas", output=tmp_path / "output")
    Catalog().with_entry(entry).write(tmp_path / "datasets.yaml")
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("dataset", ["islets"])
        storage = {"table_storage": TableStorage(root=str(tmp_path))}

        def write(**tables: Any) -> None:
            for name, value in tables.items():
                made = _asset(name, value)
                dg.materialize([made], partition_key=KEY, instance=instance, resources=storage)

        def compare(**config: Any) -> dg.ExecuteInProcessResult:
            return dg.materialize(
                (*ASSETS, drift),
                selection="drift",
                partition_key=KEY,
                instance=instance,
                resources={
                    **storage,
                    "catalog": CatalogResource(path=str(tmp_path / "datasets.yaml")),
                    "adata_storage": AdataStorage(root=str(tmp_path)),
                    "model_store": ModelStore(path=str(tmp_path / "models.sqlite")),
                    "settings": AnnotationSettings(),
                    "manual_labels_file": ManualLabelsFile(path=str(tmp_path / "manual_labels.yaml")),
                    **{f"{role}_llm": ModelResource() for role in MODEL_ROLES},
                },
                run_config={"ops": {"drift": {"config": config}}},
                raise_on_error=False,
            )

        write(leiden_clusters=cells, annotations=rows[0], reviewed=rows[1])
        yield {"write": write, "compare": compare, "root": tmp_path}


def renamed(row: BoostedCluster, *subtypes: str) -> BoostedCluster:
    annotation = row.annotation.model_copy(update={"subtypes": subtypes})
    return row.model_copy(
        update={"annotation": annotation, "check": row.check.model_copy(update={"cl_id": None, "cl_label": None})}
    )


def test_exactly_the_planted_change_is_reported_with_its_cause(project, rows):
    annotated, boosted = rows
    exchange = annotated[0].history[0].model_copy(update={"template": "annotate.v9@planted"})
    project["write"](
        annotations=[row.model_copy(update={"history": (exchange, *row.history[1:])}) for row in annotated],
        reviewed=[renamed(boosted[0], "a name that is no term"), *boosted[1:]],
    )
    done = project["compare"]()
    assert done.success
    (stored,) = stored_table(project["root"], "drift", "islets", "0.4").records(Drift)
    found = stored.clusters
    assert [row.cluster for row in found if row.change is not Change.SAME] == ["0"]
    assert {row.overlap for row in found} == {1.0}
    metadata = done.asset_materializations_for_node("drift")[0].metadata
    (cause,) = [one for one in metadata["causes"].value if one.startswith("prompt of annotate")]
    assert cause.endswith("→ annotate.v9@planted")
    assert metadata["clusters_changed"].value == 1


def test_a_label_that_a_person_gave_is_a_change_and_named_as_its_cause(project, rows):
    annotated, final = rows
    row = annotated[3]
    said = ManualLabel(
        dataset="islets",
        resolution="0.4",
        cluster=row.cluster,
        label="mast cell",
        who="Ada",
        why="TPSAB1 in every cell",
        date=date(2026, 11, 2),
        evidence=evidence_digest(row),
    )
    project["write"](boosted=final, reviewed=apply_manual_labels(final, annotated, [said]))
    done = project["compare"]()
    assert done.success
    (stored,) = stored_table(project["root"], "drift", "islets", "0.4").records(Drift)
    found = stored.clusters
    (changed,) = [one for one in found if one.change is not Change.SAME]
    assert (changed.cluster, changed.label, changed.label_before) == ("3", "mast cell", final[3].annotation.label)
    metadata = done.asset_materializations_for_node("drift")[0].metadata
    assert metadata["causes"].value == ["labels of persons: clusters 3"]


def test_more_than_is_allowed_fails_the_check_as_severely_as_is_said(project, rows):
    project["write"](reviewed=[renamed(row, "no term") for row in rows[1]])
    for severity in ("warn", "error"):
        done = project["compare"](severity=severity)
        assert done.success is (severity == "warn"), "an error fails the run"
        assert stored_table(project["root"], "drift", "islets", "0.4").records(Drift)
        (check,) = done.get_asset_check_evaluations()
        assert (check.passed, check.severity.value) == (False, severity.upper())
        assert "100.0% of the cells" in check.description
    (check,) = project["compare"](max_changed_share=1.0).get_asset_check_evaluations()
    assert check.passed


def test_an_older_version_is_named_by_how_its_data_version_begins(project, rows):
    for name in ("no term", "no term either"):
        project["write"](reviewed=[renamed(rows[1][0], name), *rows[1][1:]])
    oldest = versions_of(project["root"], "reviewed", "islets", "0.4")[-1]
    done = project["compare"](against=oldest.data_version[:20])
    metadata = done.asset_materializations_for_node("drift")[0].metadata
    assert metadata["against"].value.startswith(oldest.data_version)
    assert metadata["against_run"].value == oldest.run


@pytest.mark.parametrize(
    ("config", "planted", "message"),
    [({}, False, "have no earlier version"), ({"against": "zz"}, True, "No versions begin with 'zz'. There are: ")],
)
def test_a_version_that_is_not_there_is_said(project, rows, config, planted, message):
    if planted:
        project["write"](reviewed=[renamed(rows[1][0], "no term"), *rows[1][1:]])
    done = project["compare"](**config)
    assert not done.success
    (failure,) = [event.step_failure_data for event in done.get_step_failure_events()]
    assert message in failure.user_failure_data.description
