"""Asset `annotations`: what each cluster is said to be, by the annotator and the validator."""

from functools import partial
from typing import Literal

import dagster as dg
from pydantic import Field

from assets.advice import advice
from assets.cluster_progress import ClusterProgress
from assets.evidence import evidence_of
from assets.failures import fatal_errors
from assets.model_calls import AskConfig, Cast, code_version, describe_calls, settings_of
from assets.partitions import BY_DATASET_AND_RESOLUTION, dataset_and_resolution
from assets.pools import memory_tags, pool_of
from assets.raw_adata import raw_adata
from cassia_dagster.agents.annotate import ANNOTATOR, annotate_cluster, refuse_silence
from cassia_dagster.agents.crew import for_each
from cassia_dagster.agents.validate import VALIDATOR
from cassia_dagster.knowledge.states import state_of
from cassia_dagster.records import AnnotatedCluster, ClusterEvidence, Status, Strategy
from cassia_dagster.singlecell.cluster import digest_clusters
from cassia_dagster.singlecell.lookup import sum_expression
from resources.catalog import CatalogResource
from resources.catalog_check import lab_notes
from resources.llm import ModelOverride, ModelResource, ModelStore
from resources.settings import AnnotationSettings
from resources.storage import IF_CELLS, AdataFile, TableFile
from resources.versions import version_of_records


class AnnotationConfig(AskConfig):
    """Who names the clusters, and how."""

    strategy: Literal["as_listed", "one_shot", "validated", "fused"] = Field(
        default="as_listed",
        description="As the catalog lists it, else validated; or one question a cluster (one_shot), an answer that "
        "the validator may send back (validated), an annotator that may ask for genes before it answers (fused).",
    )
    annotation_llm: ModelOverride = Field(default=ModelOverride(), description="Another annotator, for this run.")
    validation_llm: ModelOverride = Field(default=ModelOverride(), description="Another validator, for this run.")


@dg.asset(
    partitions_def=BY_DATASET_AND_RESOLUTION,
    deps=[raw_adata],
    ins={"normalized_adata": IF_CELLS},
    group_name="annotation",
    op_tags=memory_tags(matrix=True),
    kinds={"llm", "parquet"},
    code_version=code_version("2", ANNOTATOR, VALIDATOR),
    io_manager_key="table_storage",
    dagster_type=dg.Any,
    pool=pool_of("annotation"),
    check_specs=[
        dg.AssetCheckSpec(
            "every_cell_has_a_row",
            asset="annotations",
            blocking=True,
            description="The rows account for every cell of the matrix: no cluster is lost, doubled or invented.",
        ),
    ],
)
def annotations(
    context: dg.AssetExecutionContext,
    config: AnnotationConfig,
    catalog: CatalogResource,
    model_store: ModelStore,
    settings: AnnotationSettings,
    annotation_llm: ModelResource,
    validation_llm: ModelResource,
    normalized_adata: AdataFile,
    leiden_clusters: TableFile,
    marker_table: TableFile,
) -> dg.MaterializeResult:
    """A name for every cluster: proposed by the annotator, checked by code, judged by the validator.

    The annotator sees the ranked markers with their statistics and what marker knowledge proposes. Code then
    checks each answer against the data: cited genes must be markers, the label must be a Cell Ontology term,
    and the markers must not speak for another lineage. The validator sees these findings and may send the
    answer back; other strategies ask once, or let the annotator look genes up before it answers. A cluster that
    cannot be named keeps its row, with the reason.
    """
    dataset, resolution = dataset_and_resolution(context)
    with fatal_errors():
        entry = catalog.entry(dataset)
        chosen = settings_of(settings, entry, config)
        cast = Cast.of({ANNOTATOR: annotation_llm, VALIDATOR: validation_llm}, entry, config)
    with fatal_errors(), model_store.session(context, chosen.limits(dataset)) as store:
        clusters = leiden_clusters.read()
        labels = clusters.set_index("cell_id")["cluster"]
        cells = normalized_adata.read("obsm/X_pca") if entry.has_cells else None
        evidence = evidence_of(entry, cells, labels, marker_table.read())
        digests = digest_clusters(clusters)
        annotator, validator = (cast.models[role].door(store) for role in (ANNOTATOR, VALIDATOR))
        listed = entry.strategy or Strategy.VALIDATED
        strategy = listed if config.strategy == "as_listed" else Strategy(config.strategy)
        # Only the fused annotator asks for genes, and only for it the matrix is read.
        sums = None
        if strategy is Strategy.FUSED and entry.has_cells:
            with normalized_adata.expression() as expressed:
                sums = sum_expression(expressed, labels)

        def annotate(one: ClusterEvidence) -> AnnotatedCluster:
            subject = f"{dataset}/{resolution}/{one.cluster}"
            look_up = partial(sums.look_up, one) if sums else None
            row = annotate_cluster(one, annotator, validator, subject, strategy, look_up)
            return row.model_copy(update={"cells": digests[one.cluster]})

        progress = ClusterProgress(context, store, len(evidence))
        rows = for_each(evidence, progress.watching(annotate), chosen.max_workers)
        refuse_silence(rows)
        calls = describe_calls(store, cast)
    return dg.MaterializeResult(
        value=rows,
        data_version=version_of_records(rows),
        metadata={
            "clusters": len(rows),
            "strategy": strategy.value,
            **({"notes": dg.MetadataValue.json(list(notes))} if (notes := lab_notes(entry)) else {}),
            "named": sum(row.status is Status.OK for row in rows),
            "labels": dg.MetadataValue.table([_shown(row) for row in rows]),
            **calls,
        },
        check_results=[_every_cell_has_a_row(rows, cells.n_obs if cells is not None else 0)],
    )


def _shown(row: AnnotatedCluster) -> dg.TableRecord:
    label = row.annotation.label if row.annotation else None
    return dg.TableRecord(
        {
            "cluster": row.cluster,
            "cells": row.evidence.n_cells or 0,
            "label": label or "unresolved",
            "state": state_of(row.annotation, row.evidence.markers) or "",
            "ontology term": (row.check.cl_id if row.check else None) or "",
            "findings": ", ".join(row.check.findings) if row.check else "",
            "status": row.status.value,
        }
    )


def _every_cell_has_a_row(rows: list[AnnotatedCluster], n_cells: int) -> dg.AssetCheckResult:
    counted = sum(row.evidence.n_cells or 0 for row in rows)
    ids = {row.cluster for row in rows}
    passed = counted == n_cells and len(ids) == len(rows)
    return dg.AssetCheckResult(
        check_name="every_cell_has_a_row",
        passed=passed,
        description=advice("every_cell_has_a_row", passed=passed),
        metadata={"cells": n_cells, "cells in rows": counted, "rows": len(rows)},
    )
