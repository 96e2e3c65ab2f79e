"""Asset `subclusters`: what is inside a cluster, or inside several taken together."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from assets.evidence import evidence_of, know_lab_markers
from assets.failures import fatal_errors
from assets.hypotheses import final_words
from assets.model_calls import AskConfig, Cast, code_version, describe_calls, describe_expected, settings_of
from assets.on_demand import GROUP, beside_earlier, chosen_rows, write_beside_report
from assets.partitions import BY_DATASET_AND_RESOLUTION, dataset_and_resolution
from assets.pools import memory_tags, pool_of
from assets.raw_adata import raw_adata
from cassia_dagster.agents.annotate import ANNOTATOR
from cassia_dagster.agents.crew import for_each
from cassia_dagster.agents.estimate import rehearsal
from cassia_dagster.agents.score import SCORER
from cassia_dagster.agents.subclusters import Subcluster, asks_to_be_looked_into, markers_of_part, name_part
from cassia_dagster.agents.validate import VALIDATOR
from cassia_dagster.errors import InputError
from cassia_dagster.llm.choice import EMBEDDED
from cassia_dagster.llm.door import Door
from cassia_dagster.outputs.tables import write_inert
from cassia_dagster.records import AnnotatedCluster, BoostedCluster, ClusterEvidence
from cassia_dagster.singlecell.cluster import digest_cells
from cassia_dagster.singlecell.markers import as_markers
from cassia_dagster.singlecell.resolutions import folder_of
from cassia_dagster.singlecell.subset import FEWEST_CELLS, Subclustering, recluster
from resources.catalog import CatalogResource, DatasetEntry
from resources.llm import ModelOverride, ModelResource, ModelStore
from resources.settings import AnnotationSettings
from resources.storage import IF_CELLS, AdataFile, TableFile, TableIOManager
from resources.versions import version_of_records

if TYPE_CHECKING:
    import pandas as pd

N_MARKERS = 100

ROLES = (ANNOTATOR, VALIDATOR, SCORER)


class SubclustersConfig(AskConfig):
    """Which clusters are looked into, and how finely."""

    clusters: list[str] = Field(
        default=[],
        description="Ids of the clusters to look into; if none is named, those that are mixed, unresolved or low.",
    )
    together: bool = Field(
        default=False, description="Take the cells of all named clusters together, as one compartment."
    )
    inner_resolution: float = Field(default=0.4, gt=0, le=10, description="Resolution of the clustering inside.")
    n_neighbors: int = Field(default=10, ge=2, description="Neighbours of a cell in the graph inside.")
    n_pcs: int = Field(default=25, ge=2, description="Principal components that distances are measured in.")
    seed: int = Field(default=0, ge=0, description="Seed of the components, the graph and the clusters.")
    annotation_llm: ModelOverride = Field(default=ModelOverride(), description="Another annotator, for this run.")
    validation_llm: ModelOverride = Field(default=ModelOverride(), description="Another validator, for this run.")
    score_llm: ModelOverride = Field(default=ModelOverride(), description="Another scorer, for this run.")


@dg.asset(
    partitions_def=BY_DATASET_AND_RESOLUTION,
    deps=[raw_adata],
    ins={"normalized_adata": IF_CELLS},
    group_name=GROUP,
    op_tags=memory_tags(matrix=True),
    kinds={"scanpy", "llm", "parquet"},
    code_version=code_version("1", *ROLES),
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
    reviewed: TableFile,
) -> dg.MaterializeResult:
    """What is inside a cluster: its cells clustered among themselves, and every part named.

    The parts have variable genes, components and neighbours of their own. Each is named by the markers that tell it
    from its siblings, then by those against all other cells, and its name is held against the parent's: a part that is
    no kind of its parent is flagged. The clusters and their labels are not changed; `…_subclusters.csv` has the part
    and the label of every cell, those outside with their cluster. Made on demand only.
    """
    dataset, resolution = dataset_and_resolution(context)
    with fatal_errors():
        entry = catalog.entry(dataset)
        entry.require_cells()
        know_lab_markers(entry)
        chosen = settings_of(settings, entry, config)
        cast = Cast.of({ANNOTATOR: annotation_llm, VALIDATOR: validation_llm, SCORER: score_llm}, entry, config)
        rows = chosen_rows(annotations, leiden_clusters, [])
        final = final_words(reviewed, rows)
        parents = _parents(config, final, rows)
        labels = leiden_clusters.read().set_index("cell_id")["cluster"]
        with normalized_adata.expression() as values:
            found = {
                tuple(parent): recluster(
                    values,
                    labels,
                    list(parent),
                    resolution=config.inner_resolution,
                    n_neighbors=config.n_neighbors,
                    n_pcs=config.n_pcs,
                    seed=config.seed,
                )
                for parent in parents
            }
        asked = [
            (one, parent)
            for parent, inside in found.items()
            for one in _evidence(entry, normalized_adata, labels, inside)
        ]
    digests = {part: cells for inside in found.values() for part, cells in digest_cells(inside.labels).items()}

    def name(part: tuple[ClusterEvidence, tuple[str, ...]], doors: tuple[Door, Door, Door]) -> Subcluster:
        evidence, parent = part
        return name_part(
            evidence,
            digests[evidence.cluster],
            [final[cluster] for cluster in parent],
            len(found[parent].labels),
            doors,
            f"{dataset}/{resolution}/{evidence.cluster}",
        )

    with fatal_errors(), model_store.session(context, chosen.limits(dataset)) as store:
        rehearsed = [rehearsal(cast.models[role].backends()[0], store, role) for role in ROLES]
        if {cast.models[role].title for role in ROLES} != {EMBEDDED}:
            for part in asked:
                name(part, (rehearsed[0], rehearsed[1], rehearsed[2]))
        expected = describe_expected([row for door in rehearsed for row in door.expected.values()])
        context.log.info("Expected: %s", {what: one.value for what, one in expected.items()})
        doors = [cast.models[role].door(store) for role in ROLES]
        new = for_each(asked, partial(name, doors=(doors[0], doors[1], doors[2])), chosen.max_workers)
        calls = describe_calls(store, cast)
    again = {row.parent for row in new}
    named = beside_earlier(
        new,
        table_storage.made_before("subclusters", dataset, resolution),
        Subcluster,
        lambda row: row.parent not in again and set(row.parent.split("+")) <= set(final),
    )
    with fatal_errors():
        path = write_beside_report(entry, resolution, "subclusters", named)
        cells = _write_cells(entry, resolution, labels, found.values(), new, final)
    return dg.MaterializeResult(
        value=named,
        data_version=version_of_records(named),
        metadata={
            "parents": len(found),
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


def _parents(
    config: SubclustersConfig, final: dict[str, BoostedCluster], rows: Sequence[AnnotatedCluster]
) -> list[list[str]]:
    known = {row.cluster: row.evidence.n_cells or 0 for row in rows}
    if strangers := sorted(set(config.clusters) - set(known)):
        raise InputError(f"There is no cluster {strangers[0]!r}; the clusters are {', '.join(known)}.")
    if config.together and len(config.clusters) < 2:
        raise InputError("Name at least two clusters to be taken together.")
    if config.together:
        return [list(dict.fromkeys(config.clusters))]
    if config.clusters:
        return [[cluster] for cluster in dict.fromkeys(config.clusters)]
    flagged = [
        [cluster] for cluster, row in final.items() if asks_to_be_looked_into(row) and known[cluster] >= FEWEST_CELLS
    ]
    if not flagged:
        raise InputError("No cluster is mixed, unresolved or scored low; name those that are to be looked into.")
    return flagged


def _evidence(
    entry: DatasetEntry, cells: AdataFile, labels: "pd.Series", inside: Subclustering
) -> list[ClusterEvidence]:
    """Gather what the data says of the parts, with the markers against siblings first."""
    refined = labels.copy()
    refined.loc[inside.labels.index] = inside.labels
    parts = set(inside.labels)
    siblings = dict(iter(inside.against_siblings.groupby("cluster", observed=True)))
    gathered = evidence_of(entry, cells.read("obsm/X_pca"), refined, inside.against_all)
    return [
        one.model_copy(
            update={
                "markers": markers_of_part(
                    as_markers(siblings[one.cluster], N_MARKERS) if one.cluster in siblings else (), one.markers
                )
            }
        )
        for one in gathered
        if one.cluster in parts
    ]


def _write_cells(
    entry: DatasetEntry,
    resolution: str,
    labels: "pd.Series",
    found: Iterable[Subclustering],
    named: Sequence[Subcluster],
    final: dict[str, BoostedCluster],
) -> Path:
    """Write the part and the label of every cell: the whole annotation, with parts in the place of their parents."""
    refined = labels.copy()
    for inside in found:
        refined.loc[inside.labels.index] = inside.labels
    said = {cluster: row.annotation for cluster, row in final.items()} | {row.cluster: row.annotation for row in named}
    name_of = {
        cluster: annotation.label if annotation and annotation.label and not annotation.unresolved else "unresolved"
        for cluster, annotation in said.items()
    }
    table = labels.rename("cluster").to_frame().assign(subcluster=refined, label=refined.map(name_of))
    path = entry.folder / folder_of(resolution) / f"{entry.name}_subclusters.csv"
    write_inert(table.rename_axis("cell_id").reset_index(), path)
    return path


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
