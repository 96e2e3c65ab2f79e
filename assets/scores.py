"""Asset `scores`: how well each label is earned."""

import dagster as dg
from pydantic import Field

from assets.cluster_progress import ClusterProgress
from assets.evidence import know_lab_markers
from assets.failures import fatal_errors
from assets.model_calls import AskConfig, Cast, code_version, describe_calls, settings_of
from assets.partitions import BY_DATASET_AND_RESOLUTION, dataset_and_resolution
from assets.pools import memory_tags, pool_of
from assets.raw_adata import raw_adata
from assets.results import digest_of_annotation
from cassia_dagster.agents.crew import for_each
from cassia_dagster.agents.score import SCORER, score_cluster
from cassia_dagster.records import AnnotatedCluster, ScoredCluster
from resources.catalog import CatalogResource
from resources.llm import ModelOverride, ModelResource, ModelStore
from resources.settings import AnnotationSettings
from resources.storage import TableFile
from resources.versions import version_of_records


class ScoreConfig(AskConfig):
    """Who scores the labels."""

    score_llm: ModelOverride = Field(default=ModelOverride(), description="Another scorer, for this run.")


@dg.asset(
    partitions_def=BY_DATASET_AND_RESOLUTION,
    deps=[raw_adata],
    group_name="annotation",
    op_tags=memory_tags(matrix=False),
    kinds={"llm", "parquet"},
    code_version=code_version("2", SCORER),
    io_manager_key="table_storage",
    dagster_type=dg.Any,
    pool=pool_of("score"),
)
def scores(
    context: dg.AssetExecutionContext,
    config: ScoreConfig,
    catalog: CatalogResource,
    model_store: ModelStore,
    settings: AnnotationSettings,
    score_llm: ModelResource,
    annotations: TableFile,
) -> dg.MaterializeResult:
    """A score between 0 and 100 for every label, from four ratings of a model that did not choose it.

    Does the label name what the markers show, is it as detailed as the evidence and no more, do the markers
    fit as a whole, and are the rivals ruled out? The model rates; the total is computed by code.
    """
    dataset, resolution = dataset_and_resolution(context)
    with fatal_errors():
        entry = catalog.entry(dataset)
        know_lab_markers(entry)
        chosen = settings_of(settings, entry, config)
        cast = Cast.of({SCORER: score_llm}, entry, config)
    with fatal_errors(), model_store.session(context, chosen.limits(dataset)) as store:
        scorer = cast.models[SCORER].door(store)

        def score(row: AnnotatedCluster) -> ScoredCluster:
            rated = score_cluster(row.evidence, row, scorer, f"{dataset}/{resolution}/{row.cluster}")
            return rated.model_copy(update={"about": digest_of_annotation(row)})

        named = annotations.records(AnnotatedCluster)
        progress = ClusterProgress(context, store, len(named))
        rows = for_each(named, progress.watching(score), chosen.max_workers)
        calls = describe_calls(store, cast)
    known = [row.score for row in rows if row.score is not None]
    return dg.MaterializeResult(
        value=rows,
        data_version=version_of_records(rows),
        metadata={
            "clusters": len(rows),
            "scored": len(known),
            **({"mean_score": round(sum(known) / len(known), 2), "lowest_score": min(known)} if known else {}),
            "scores": dg.MetadataValue.table([_shown(row) for row in rows]),
            **calls,
        },
    )


def _shown(row: ScoredCluster) -> dg.TableRecord:
    parts = row.rubric.model_dump() if row.rubric else {}
    return dg.TableRecord(
        {
            "cluster": row.cluster,
            "score": "" if row.score is None else f"{row.score:g}",
            **{part: str(parts.get(part, "")) for part in ("identity", "specificity", "balance", "alternatives")},
            "status": row.status.value,
        }
    )
