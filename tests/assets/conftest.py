"""Assets, materialized one by one from what lies in a folder of artifacts: the islets at one resolution."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow.parquet as pq
import pytest

from cassia_dagster.agents.annotate import annotate_cluster
from cassia_dagster.agents.boost import keep_as_is
from cassia_dagster.agents.embedded import EmbeddedBackend
from cassia_dagster.agents.score import score_cluster
from cassia_dagster.definitions import ANALYSES, ASSETS
from cassia_dagster.llm.choice import MODEL_ROLES
from cassia_dagster.llm.door import Door
from cassia_dagster.llm.store import Store
from cassia_dagster.records import AnnotatedCluster, Record, ScoredCluster
from cassia_dagster.singlecell.cluster import digest_cells
from cassia_dagster.singlecell.profile import gather_evidence
from resources.catalog import Catalog, CatalogResource, DatasetEntry
from resources.llm import ModelResource, ModelStore
from resources.manual_labels import ManualLabelsFile
from resources.record_tables import read_records, to_arrow
from resources.settings import AnnotationSettings
from resources.storage import AdataStorage, TableStorage, stored_table

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

PARTITION = dg.MultiPartitionKey({"dataset": "islets", "resolution": "0.4"})


@pytest.fixture(scope="session")
def artifacts(
    tmp_path_factory: pytest.TempPathFactory, islets: AnnData, islets_labels: pd.Series, islets_markers: pd.DataFrame
) -> Path:
    """What the assets of the roles read, where the IO managers look for it."""
    root = tmp_path_factory.mktemp("artifacts")
    evidence = gather_evidence(islets, islets_labels, islets_markers, species="human", tissue="pancreas")
    with Store.open(root / "models.sqlite") as store:
        door = Door(EmbeddedBackend(), store)
        named = [annotate_cluster(one, door, door, one.cluster) for one in evidence]
        annotated = [row.model_copy(update={"cells": digest_cells(islets_labels)[row.cluster]}) for row in named]
        scored = [score_cluster(row.evidence, row, door, row.cluster) for row in annotated]
    for asset, table in {"annotations": to_arrow(annotated), "scores": to_arrow(scored)}.items():
        pq.write_table(table, _made(root, asset))
    clusters = islets_labels.rename("cluster").rename_axis("cell_id").reset_index()
    clusters.to_parquet(_made(root, "leiden_clusters"))
    islets_markers.to_parquet(_made(root, "marker_table"))
    (root / "normalized_adata").mkdir()
    islets.write_h5ad(root / "normalized_adata" / "islets.h5ad")
    Catalog().with_entry(DatasetEntry(name="islets", path=root / "islets.h5ad", tissue="pancreas")).write(
        root / "datasets.yaml"
    )
    return root


def _made(root: Path, asset: str) -> Path:
    path = root / asset / "islets" / "0.4.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture
def execute(artifacts: Path, tmp_path: Path) -> Iterator[Callable[..., dg.ExecuteInProcessResult]]:
    """Materialize one asset with a configuration. What it makes is taken away after the test."""
    before: dict[Path, bytes | None] = {}

    def run(asset: str, **config: Any) -> dg.ExecuteInProcessResult:
        path = _made(artifacts, asset)
        before.setdefault(path, path.read_bytes() if path.exists() else None)
        with dg.DagsterInstance.ephemeral() as instance:
            instance.add_dynamic_partitions("dataset", ["islets"])
            done = dg.materialize(
                (*ASSETS, *ANALYSES),
                selection=asset,
                partition_key=PARTITION,
                instance=instance,
                resources={
                    "adata_storage": AdataStorage(root=str(artifacts)),
                    "table_storage": TableStorage(root=str(artifacts)),
                    "model_store": ModelStore(path=str(tmp_path / "models.sqlite")),
                    "catalog": CatalogResource(path=str(artifacts / "datasets.yaml")),
                    "settings": AnnotationSettings(),
                    "manual_labels_file": ManualLabelsFile(path=str(artifacts / "manual_labels.yaml")),
                    **{f"{role}_llm": ModelResource() for role in MODEL_ROLES},
                },
                run_config={"ops": {asset: {"config": config}}},
                raise_on_error=False,
            )
            failures = [event.event_specific_data for event in done.get_step_failure_events()]
        if failures:
            raise RuntimeError(str(failures[0]))
        return done

    yield run
    for path, content in before.items():
        if content is None:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(content)


@pytest.fixture
def materialize(artifacts: Path, execute: Callable[..., dg.ExecuteInProcessResult]) -> Callable[..., list[Any]]:
    """Materialize one asset with a configuration; gives its rows."""

    def make[R: Record](asset: str, record: type[R], **config: Any) -> list[R]:
        execute(asset, **config)
        return read_records(_made(artifacts, asset), record)

    return make


@pytest.fixture
def final_labels(artifacts: Path) -> Iterator[None]:
    """Let the models' first word on every cluster be the last."""
    annotated = stored_table(artifacts, "annotations", "islets", "0.4").records(AnnotatedCluster)
    scored = stored_table(artifacts, "scores", "islets", "0.4").records(ScoredCluster)
    rows = [keep_as_is(row, score) for row, score in zip(annotated, scored, strict=True)]
    pq.write_table(to_arrow(rows), _made(artifacts, "reviewed"))
    yield
    _made(artifacts, "reviewed").unlink()
