"""Asset `hypotheses`: what else each cluster could be, and which genes would tell."""

from collections.abc import Mapping, Sequence

import dagster as dg
from pydantic import Field

from assets.failures import fatal_errors
from assets.model_calls import AskConfig, code_version, describe_calls
from assets.on_demand import GROUP, Inquiry, final_words, look_ups
from assets.partitions import BY_DATASET_AND_RESOLUTION
from assets.pools import memory_tags, pool_of
from assets.raw_adata import raw_adata
from cassia_dagster.agents.crew import for_each
from cassia_dagster.agents.estimate import Expected, rehearsal
from cassia_dagster.agents.hypothesize import HYPOTHESIZER, ClusterHypotheses, rank_hypotheses
from cassia_dagster.llm.choice import EMBEDDED
from cassia_dagster.llm.store import Store
from cassia_dagster.records import AnnotatedCluster, BoostedCluster
from resources.catalog import CatalogResource
from resources.llm import ModelOverride, ModelResource, ModelStore
from resources.settings import AnnotationSettings
from resources.storage import IF_CELLS, AdataFile, TableFile, TableIOManager
from resources.versions import version_of_records


class HypothesesConfig(AskConfig):
    """Which clusters, and who is asked."""

    clusters: list[str] = Field(default=[], description="Ids of the clusters to ask about; all if none is named.")
    annotation_llm: ModelOverride = Field(
        default=ModelOverride(), description="Who names the alternatives, if not the dataset's annotator."
    )


def expected_hypotheses(
    rows: Sequence[AnnotatedCluster], final: Mapping[str, BoostedCluster], model: ModelResource, store: Store
) -> list[Expected]:
    """Say what asking about clusters would take; nobody is asked."""
    if model.title == EMBEDDED:
        return []  # free
    door = rehearsal(model.backends()[0], store, HYPOTHESIZER)
    for row in rows:
        rank_hypotheses(row.evidence, row.cells, final[row.cluster], door, "rehearsal")
    return list(door.expected.values())


@dg.asset(
    partitions_def=BY_DATASET_AND_RESOLUTION,
    deps=[raw_adata],
    ins={"normalized_adata": IF_CELLS},
    group_name=GROUP,
    op_tags=memory_tags(matrix=True),
    kinds={"llm", "parquet"},
    code_version=code_version("1", HYPOTHESIZER),
    io_manager_key="table_storage",
    dagster_type=dg.Any,
    pool=pool_of("annotation"),
)
def hypotheses(
    context: dg.AssetExecutionContext,
    config: HypothesesConfig,
    catalog: CatalogResource,
    model_store: ModelStore,
    settings: AnnotationSettings,
    annotation_llm: ModelResource,
    table_storage: dg.ResourceParam[TableIOManager],
    normalized_adata: AdataFile,
    leiden_clusters: TableFile,
    annotations: TableFile,
    scores: TableFile,
    reviewed: TableFile,
) -> dg.MaterializeResult:
    """What else each cluster could be: up to five alternatives to its label, the most plausible first.

    Beside each stand the genes that would tell it from the label: how they are in this cluster's own data, which way
    they lean, and which were not measured, so that they would have to be. What the second look has tested is taken
    into account and marked. The labels are not changed. Made on demand only, and free with the embedded model.
    """
    with fatal_errors():
        inquiry = Inquiry.opened(
            context,
            config,
            catalog,
            settings,
            {HYPOTHESIZER: annotation_llm},
            (annotations, leiden_clusters),
            config.clusters,
        )
        final = final_words(reviewed, scores, inquiry.asked)
        model = inquiry.cast.models[HYPOTHESIZER]
    with fatal_errors(), model_store.session(context, inquiry.limits) as store:
        expected = inquiry.announce(context, expected_hypotheses(inquiry.asked, final, model, store))
        door = model.door(store)
        known = look_ups(inquiry.entry, inquiry.asked, normalized_adata, leiden_clusters)

        def rank(row: AnnotatedCluster) -> ClusterHypotheses:
            subject = f"{inquiry.subject}/{row.cluster}"
            return rank_hypotheses(
                row.evidence, row.cells, final[row.cluster], door, subject, look_up=known[row.cluster]
            )

        new = for_each(inquiry.asked, rank, inquiry.settings.max_workers)
        calls = describe_calls(store, inquiry.cast)
    rows, path = inquiry.keep(new, ClusterHypotheses, table_storage)
    return dg.MaterializeResult(
        value=rows,
        data_version=version_of_records(rows),
        metadata={
            "clusters": len(rows),
            "alternatives": sum(len(row.alternatives) for row in rows),
            "genes_not_measured": len({gene for row in rows for one in row.alternatives for gene in one.not_measured}),
            "ranked": dg.MetadataValue.table([_shown(row, place) for row in rows for place in _places(row)]),
            "json": dg.MetadataValue.path(str(path)),
            **expected,
            **calls,
        },
    )


def _places(row: ClusterHypotheses) -> range:
    return range(max(1, len(row.alternatives)))


def _shown(row: ClusterHypotheses, place: int) -> dg.TableRecord:
    one = row.alternatives[place] if row.alternatives else None
    return dg.TableRecord(
        {
            "cluster": row.cluster,
            "label": row.label or "unresolved",
            "alternative": one.celltype if one else "none",
            "plausibility": f"{one.plausibility:.0f}" if one else "",
            "genes lean": "" if one is None or one.leaning is None else f"{one.leaning:+.2f}",
            "genes that would tell": ", ".join(f"{each.gene} {each.expression}" for each in one.lookups) if one else "",
            "not measured": ", ".join(one.not_measured) if one else "",
        }
    )
