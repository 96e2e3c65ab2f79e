"""Asset `hypotheses`: what else each cluster could be, and which genes would tell."""

from collections.abc import Mapping, Sequence

import dagster as dg
from pydantic import Field

from assets.evidence import know_lab_markers
from assets.failures import fatal_errors
from assets.model_calls import AskConfig, Cast, code_version, describe_calls, describe_expected, settings_of
from assets.on_demand import GROUP, beside_earlier, chosen_rows, look_ups, write_beside_report
from assets.partitions import BY_DATASET_AND_RESOLUTION, dataset_and_resolution
from assets.pools import memory_tags, pool_of
from assets.raw_adata import raw_adata
from cassia_dagster.agents.crew import for_each
from cassia_dagster.agents.estimate import Expected, rehearsal
from cassia_dagster.agents.hypothesize import HYPOTHESIZER, ClusterHypotheses, rank_hypotheses
from cassia_dagster.errors import InputError
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


def final_words(reviewed: TableFile, rows: Sequence[AnnotatedCluster]) -> dict[str, BoostedCluster]:
    """Return the final word on each cluster.

    Raises
    ------
    InputError
        If one has none yet.
    """
    final = {row.cluster: row for row in reviewed.records(BoostedCluster)} if reviewed.path.exists() else {}
    if lacking := [row.cluster for row in rows if row.cluster not in final]:
        raise InputError(
            f"There is no final word on cluster {lacking[0]} yet. Materialize scores, boosted and reviewed."
        )
    return final


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
    reviewed: TableFile,
) -> dg.MaterializeResult:
    """What else each cluster could be: up to five alternatives to its label, the most plausible first.

    Beside each stand the genes that would tell it from the label: how they are in this cluster's own data, which way
    they lean, and which were not measured, so that they would have to be. What the second look has tested is taken
    into account and marked. The labels are not changed. Made on demand only, and free with the embedded model.
    """
    dataset, resolution = dataset_and_resolution(context)
    with fatal_errors():
        entry = catalog.entry(dataset)
        know_lab_markers(entry)
        chosen = settings_of(settings, entry, config)
        cast = Cast.of({HYPOTHESIZER: annotation_llm}, entry, config)
        asked = chosen_rows(annotations, leiden_clusters, config.clusters)
        final = final_words(reviewed, asked)
    with fatal_errors(), model_store.session(context, chosen.limits(dataset)) as store:
        expected = describe_expected(expected_hypotheses(asked, final, cast.models[HYPOTHESIZER], store))
        context.log.info("Expected: %s", {name: one.value for name, one in expected.items()})
        door = cast.models[HYPOTHESIZER].door(store)
        known = look_ups(entry, asked, normalized_adata, leiden_clusters)

        def rank(row: AnnotatedCluster) -> ClusterHypotheses:
            subject = f"{dataset}/{resolution}/{row.cluster}"
            return rank_hypotheses(
                row.evidence, row.cells, final[row.cluster], door, subject, look_up=known[row.cluster]
            )

        new = for_each(asked, rank, chosen.max_workers)
        calls = describe_calls(store, cast)
    present = {row.cluster: row.cells for row in annotations.records(AnnotatedCluster)}
    again = {row.cluster for row in new}
    rows = beside_earlier(
        new,
        table_storage.made_before("hypotheses", dataset, resolution),
        ClusterHypotheses,
        lambda row: row.cluster not in again and present.get(row.cluster) == row.cells,
    )
    with fatal_errors():
        path = write_beside_report(entry, resolution, "hypotheses", rows)
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
