"""Asset `merged`: the clusters in three nested groupings, from broad to detailed."""

import dagster as dg
from pydantic import Field

from assets.advice import advice
from assets.failures import fatal_errors
from assets.model_calls import AskConfig, Cast, code_version, describe_calls, settings_of
from assets.partitions import BY_DATASET_AND_RESOLUTION, dataset_and_resolution
from assets.pools import memory_tags, pool_of
from assets.raw_adata import raw_adata
from assets.results import by_cluster, digest_of_label, sampled_tissue
from cassia_dagster.agents.merge import MERGER, merge_clusters
from cassia_dagster.records import AnnotatedCluster, BoostedCluster, GroupedCluster
from resources.catalog import CatalogResource
from resources.llm import ModelOverride, ModelResource, ModelStore
from resources.settings import AnnotationSettings
from resources.storage import TableFile
from resources.versions import version_of_records


class MergeConfig(AskConfig):
    """Who groups the labels."""

    merge_llm: ModelOverride = Field(default=ModelOverride(), description="Another merger, for this run.")


@dg.asset(
    partitions_def=BY_DATASET_AND_RESOLUTION,
    deps=[raw_adata],
    group_name="annotation",
    op_tags=memory_tags(matrix=False),
    kinds={"llm", "parquet"},
    code_version=code_version("2", MERGER),
    io_manager_key="table_storage",
    dagster_type=dg.Any,
    pool=pool_of("merge"),
    check_specs=[
        dg.AssetCheckSpec(
            "groupings_nest",
            asset="merged",
            description=(
                "The merger answered for every cluster, and its levels nest. If not, the general type and the label "
                "of each cluster stand in for its answer."
            ),
        )
    ],
)
def merged(
    context: dg.AssetExecutionContext,
    config: MergeConfig,
    catalog: CatalogResource,
    model_store: ModelStore,
    settings: AnnotationSettings,
    merge_llm: ModelResource,
    annotations: TableFile,
    reviewed: TableFile,
) -> dg.MaterializeResult:
    """Three nested names for every cluster in one vocabulary: the lineage, the family, the cell type.

    Groups are keyed by cluster id, never by position. Clusters without a label are "unresolved" on all levels.
    """
    dataset, resolution = dataset_and_resolution(context)
    with fatal_errors():
        entry = catalog.entry(dataset)
        limits = settings_of(settings, entry, config).limits(dataset)
        cast = Cast.of({MERGER: merge_llm}, entry, config)
        named = annotations.records(AnnotatedCluster)
        final = by_cluster("reviewed", reviewed.records(BoostedCluster), [row.cluster for row in named])
    with fatal_errors(), model_store.session(context, limits) as store:
        groupings, trouble = merge_clusters(
            list(final.values()),
            entry.species,
            sampled_tissue(entry, named),
            cast.models[MERGER].door(store),
            f"{dataset}/{resolution}",
        )
        rows = [GroupedCluster(**one.model_dump(), about=digest_of_label(final[one.cluster])) for one in groupings]
        calls = describe_calls(store, cast)
    levels = ("broad", "intermediate", "detailed")
    return dg.MaterializeResult(
        value=rows,
        data_version=version_of_records(rows),
        metadata={
            **{f"{level}_groups": len({getattr(row, level) for row in rows}) for level in levels},
            "groupings": dg.MetadataValue.table([dg.TableRecord(row.model_dump()) for row in groupings]),
            **calls,
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="groupings_nest",
                passed=not trouble,
                description=advice("groupings_nest", passed=not trouble),
                severity=dg.AssetCheckSeverity.WARN,
                metadata={"trouble": dg.MetadataValue.text(trouble)},
            )
        ],
    )
