"""Asset `subclusters`: what is inside a cluster, or inside several taken together."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from assets.failures import fatal_errors
from assets.model_calls import AskConfig, code_version, describe_calls
from assets.on_demand import GROUP, Inquiry, final_words
from assets.parents import Made, Parents, flagged_parents, named_parents
from assets.partitions import BY_DATASET_AND_RESOLUTION, dataset_and_resolution
from assets.parts import ROLES, Inside, expected_naming, find_parts, name_one
from assets.pools import memory_tags, pool_of
from assets.raw_adata import raw_adata
from cassia_dagster.agents.annotate import ANNOTATOR
from cassia_dagster.agents.crew import for_each
from cassia_dagster.agents.score import SCORER
from cassia_dagster.agents.subclusters import Subcluster, parts_of_now
from cassia_dagster.agents.validate import VALIDATOR
from cassia_dagster.outputs.refined import refine
from cassia_dagster.outputs.tables import write_inert
from cassia_dagster.records import AnnotatedCluster, BoostedCluster
from cassia_dagster.singlecell.resolutions import folder_of
from resources.catalog import CatalogResource, DatasetEntry
from resources.llm import ModelOverride, ModelResource, ModelStore
from resources.settings import AnnotationSettings
from resources.storage import IF_CELLS, AdataFile, TableFile, TableIOManager
from resources.versions import version_of_records

if TYPE_CHECKING:
    import pandas as pd


class SubclustersConfig(AskConfig):
    """Which clusters are looked into, and how finely."""

    clusters: list[str] = Field(
        default=[],
        description="Ids of the clusters to look into; if neither these nor labels are named, those that are mixed, "
        "unresolved, scored low, or told apart at a finer resolution.",
    )
    labels: list[str] = Field(
        default=[],
        description="Cell types, such as 'T cell': all clusters called so, or a kind of it, are one compartment.",
    )
    together: bool = Field(default=False, description="Take all that is named together, as one compartment.")
    inner_resolution: float = Field(default=0.4, gt=0, le=10, description="Resolution of the clustering inside.")
    n_neighbors: int = Field(default=10, ge=2, description="Neighbours of a cell in the graph inside.")
    n_pcs: int = Field(default=25, ge=2, description="Principal components that distances are measured in.")
    seed: int = Field(default=0, ge=0, description="Seed of the components, the graph and the clusters.")
    annotation_llm: ModelOverride = Field(default=ModelOverride(), description="Another annotator, for this run.")
    validation_llm: ModelOverride = Field(default=ModelOverride(), description="Another validator, for this run.")
    score_llm: ModelOverride = Field(default=ModelOverride(), description="Another scorer, for this run.")

    @property
    def inside(self) -> Inside:
        """How the cells are clustered among themselves."""
        return Inside(self.inner_resolution, self.n_neighbors, self.n_pcs, self.seed)

    def parents(
        self,
        entry: DatasetEntry,
        resolution: str,
        rows: Sequence[AnnotatedCluster],
        final: Mapping[str, BoostedCluster],
        cells: "pd.Series",
        made: Made,
    ) -> Parents:
        """Find what is looked into, and why; the parameters are as in `flagged_parents`."""
        if self.clusters or self.labels or self.together:
            return named_parents(rows, final, self.clusters, self.labels, together=self.together)
        return flagged_parents(entry, resolution, rows, final, cells, made)


@dg.asset(
    partitions_def=BY_DATASET_AND_RESOLUTION,
    deps=[raw_adata],
    ins={"normalized_adata": IF_CELLS},
    group_name=GROUP,
    op_tags=memory_tags(matrix=True),
    kinds={"scanpy", "llm", "parquet"},
    code_version=code_version("2", *ROLES),
    io_manager_key="table_storage",
    dagster_type=dg.Any,
    pool=pool_of("annotation"),
    check_specs=[
        dg.AssetCheckSpec(
            "parts_fit_their_parent",
            asset="subclusters",
            description="The label of every part is its parent's, or a kind of it on the Cell Ontology.",
        )
    ],
)
def subclusters(
    context: dg.AssetExecutionContext,
    config: SubclustersConfig,
    catalog: CatalogResource,
    model_store: ModelStore,
    settings: AnnotationSettings,
    annotation_llm: ModelResource,
    validation_llm: ModelResource,
    score_llm: ModelResource,
    table_storage: dg.ResourceParam[TableIOManager],
    normalized_adata: AdataFile,
    leiden_clusters: TableFile,
    annotations: TableFile,
    scores: TableFile,
    reviewed: TableFile,
) -> dg.MaterializeResult:
    """What is inside a cluster: its cells clustered among themselves, and every part named.

    The parts have variable genes, components and neighbours of their own. Each is named by the markers that tell it
    from its siblings, then by those against all other cells, and its name is held against the parent's: a part that is
    no kind of its parent is flagged. The clusters and their labels are not changed; `…_subclusters.csv` has the part
    and the label of every cell, those outside with their cluster, and the annotated file has them in columns of their
    own once it is written again. Parts of other parents are kept. Made on demand only.
    """
    with fatal_errors():
        catalog.entry(dataset_and_resolution(context)[0]).require_cells()
        inquiry = Inquiry.opened(
            context,
            config,
            catalog,
            settings,
            {ANNOTATOR: annotation_llm, VALIDATOR: validation_llm, SCORER: score_llm},
            (annotations, leiden_clusters),
        )
        entry, models = inquiry.entry, inquiry.cast.models
        final = final_words(reviewed, scores, inquiry.annotated)
        labels = leiden_clusters.read().set_index("cell_id")["cluster"]
        made = partial(_made, table_storage, inquiry.dataset)
        parents = config.parents(entry, inquiry.resolution, inquiry.annotated, final, labels, made)
        context.log.info("Looked into: %s", why := {"+".join(parent): reason for parent, reason in parents.items()})
        parts = find_parts(entry, config.inside, parents, normalized_adata, labels)
    with fatal_errors(), model_store.session(context, inquiry.limits) as store:
        expected = inquiry.announce(context, expected_naming(parts, final, models, store))
        annotator, validator, scorer = (models[role].door(store) for role in ROLES)
        name = partial(name_one, final=final, doors=(annotator, validator, scorer), subject=inquiry.subject)
        new = for_each(parts, name, inquiry.settings.max_workers)
        calls = describe_calls(store, inquiry.cast)
    again, renewed = {cluster for part in parts for cluster in part.parent}, {row.parent for row in new}
    table = table_storage.made_before("subclusters", inquiry.dataset, inquiry.resolution)
    # The same cells may have been another cluster, whose parts had the ids that these have now.
    earlier = [row for row in table.records(Subcluster) if row.parent not in renewed] if table else []
    held = {row.cluster for row in parts_of_now(earlier, labels, again)}
    named, path = inquiry.keep(new, Subcluster, table_storage, lambda row: row.cluster in held)
    with fatal_errors():
        cells = entry.folder / folder_of(inquiry.resolution) / f"{entry.name}_subclusters.csv"
        write_inert(refine(labels, named, final).rename_axis("cell_id").reset_index(), cells)
    return dg.MaterializeResult(
        value=named,
        data_version=version_of_records(named),
        metadata={
            "parents": len(parents),
            "looked_into": dg.MetadataValue.json(why),
            "parts": len(new),
            "outside_parent": sum(row.within_parent is False for row in new),
            "table": dg.MetadataValue.table([_shown(row) for row in new]),
            "json": dg.MetadataValue.path(str(path)),
            "cells": dg.MetadataValue.path(str(cells)),
            **expected,
            **calls,
        },
        check_results=[_check(new)],
    )


def _made(storage: TableIOManager, dataset: str, asset: str, resolution: str) -> TableFile | None:
    return storage.made_before(asset, dataset, resolution)


def _check(named: Sequence[Subcluster]) -> dg.AssetCheckResult:
    strangers = [row.cluster for row in named if row.within_parent is False]
    return dg.AssetCheckResult(
        check_name="parts_fit_their_parent",
        passed=not strangers,
        severity=dg.AssetCheckSeverity.WARN,
        description="Look at these parts: they are no kind of their parent, or the parent has the wrong name."
        if strangers
        else "All parts are kinds of their parents, as far as both are terms of the ontology.",
        metadata={"parts": dg.MetadataValue.json(strangers)},
    )


def _shown(row: Subcluster) -> dg.TableRecord:
    annotation = row.annotation
    return dg.TableRecord(
        {
            "part": row.cluster,
            "cells": row.n_cells,
            "label": (annotation.label if annotation and not annotation.unresolved else None) or "unresolved",
            "score": "" if row.score is None else f"{row.score:.0f}",
            "parent": row.parent_label or "unresolved",
            "relation": row.relation.value if row.relation else "",
            "against siblings": ", ".join(row.markers_against_siblings[:6]),
        }
    )
