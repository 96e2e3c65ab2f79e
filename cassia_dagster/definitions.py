"""The one place where assets, resources and jobs become Dagster definitions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from assets.annotated_adata import annotated_adata
from assets.annotations import annotations
from assets.boosted import boosted
from assets.columns import column_schema
from assets.drift import drift
from assets.hypotheses import hypotheses
from assets.leiden_clusters import leiden_clusters
from assets.manual_labels import manual_labels
from assets.marker_table import marker_table
from assets.merged import merged
from assets.model_comparison import model_comparison
from assets.normalized_adata import normalized_adata
from assets.on_change import on_change
from assets.raw_adata import raw_adata
from assets.report import report
from assets.review import review
from assets.reviewed import reviewed
from assets.scores import scores
from assets.subclusters import subclusters
from assets.symphony import symphony
from assets.umap import umap
from assets.uncertainty import uncertainty
from cassia_dagster.analysis_jobs import ANALYSIS_JOBS, LOOK_AGAIN, REPORT_AGAIN
from cassia_dagster.automation import JOBS, automatic_runs, prepare_changed_cells
from cassia_dagster.canary import ask_canary_questions, weekly_canary
from cassia_dagster.llm.choice import MODEL_ROLES
from cassia_dagster.watching import watch_catalog
from cassia_dagster.whole_dataset import annotate_dataset
from resources.catalog import CatalogResource
from resources.home import Home
from resources.llm import ModelResource, ModelStore
from resources.manual_labels import ManualLabelsFile
from resources.settings import AnnotationSettings
from resources.storage import AdataStorage, TableStorage

ASSETS = (
    raw_adata,
    normalized_adata,
    umap,
    leiden_clusters,
    marker_table,
    annotations,
    scores,
    boosted,
    manual_labels,
    reviewed,
    merged,
    report,
    annotated_adata,
    review,
)
"""The method, from the file to what is taken home."""

ANALYSES = (uncertainty, symphony, hypotheses, subclusters, drift, model_comparison)
"""What is made only where a user asks for it: no automation requests it."""


def build_defs(
    home: Home | None = None,
    *,
    resources: Mapping[str, Any] | None = None,
    loggers: Mapping[str, dg.LoggerDefinition] | None = None,
) -> dg.Definitions:
    """Assemble the code location.

    Parameters
    ----------
    home
        Where the project keeps its state; by default what the environment says.
    resources
        Take the place of resources of the same name, such as one role's model or the storage of tables.
    loggers
        For jobs, by name.
    """
    home = home or Home.from_environment()
    defaults = {
        "catalog": CatalogResource(path=str(home.catalog)),
        "model_store": ModelStore(path=str(home.model_store)),
        "adata_storage": AdataStorage(root=str(home.artifacts)),
        "table_storage": TableStorage(root=str(home.artifacts)),
        "settings": AnnotationSettings.from_environment(),
        "manual_labels_file": ManualLabelsFile(path=str(home.manual_labels)),
        **{f"{role}_llm": ModelResource.from_environment(role) for role in MODEL_ROLES},
    }
    return dg.Definitions(
        assets=dg.with_source_code_references([*(_automatic(asset, home.catalog) for asset in ASSETS), *ANALYSES]),
        jobs=[annotate_dataset, *JOBS, *ANALYSIS_JOBS.values(), LOOK_AGAIN, REPORT_AGAIN, ask_canary_questions],
        schedules=[prepare_changed_cells(home.catalog), weekly_canary],
        sensors=[watch_catalog(home.catalog, home.manual_labels), automatic_runs()],
        resources={**defaults, **(resources or {})},
        loggers=loggers,
        executor=dg.in_process_executor,
    )


def _automatic(asset: dg.AssetsDefinition | dg.AssetSpec, catalog: Path) -> dg.AssetsDefinition | dg.AssetSpec:
    """Let automation make an asset, and say what its columns mean; what is only observed stays as it is."""
    if isinstance(asset, dg.AssetSpec):
        return asset
    name = asset.key.to_user_string()
    columns, condition = column_schema(name), on_change(catalog, name)
    return asset.with_attributes(automation_condition=condition, metadata_by_key={asset.key: columns})


defs = build_defs()
