"""Asset `boosted`: a second look at the labels that scored low."""

from collections import Counter

import dagster as dg
from pydantic import Field

from assets.failures import fatal_errors
from assets.model_calls import AskConfig, Cast, code_version, describe_calls, settings_of
from assets.partitions import BY_DATASET_AND_RESOLUTION, dataset_and_resolution
from assets.raw_adata import raw_adata
from cassia_dagster.agents.boost import (
    BOOSTER,
    boost_cluster,
    keep_as_is,
    needs_boost,
)
from cassia_dagster.agents.crew import for_each
from cassia_dagster.agents.score import SCORER
from cassia_dagster.records import (
    AnnotatedCluster,
    BoostedCluster,
    BoostOutcome,
    Finding,
    Marker,
    ScoredCluster,
)
from cassia_dagster.singlecell.markers import contrast
from resources.catalog import CatalogResource
from resources.llm import ModelOverride, ModelResource, ModelStore
from resources.settings import AnnotationSettings
from resources.storage import AdataFile, TableFile
from resources.versions import version_of_records


class BoostConfig(AskConfig):
    """When to look again, and who does."""

    score_threshold: float | None = Field(
        default=None, ge=0, le=100, description="Labels that score less get a second look."
    )
    boost_llm: ModelOverride = Field(default=ModelOverride(), description="Another booster, for this run.")
    score_llm: ModelOverride = Field(default=ModelOverride(), description="Another scorer, for this run.")


@dg.asset(
    partitions_def=BY_DATASET_AND_RESOLUTION,
    deps=[raw_adata],
    group_name="annotation",
    kinds={"llm", "parquet"},
    code_version=code_version("1", BOOSTER, SCORER),
    io_manager_key="table_storage",
    dagster_type=dg.Any,
    pool="llm",
    check_specs=[
        dg.AssetCheckSpec(
            "no_lineage_contradiction",
            asset="boosted",
            description="No final label names a lineage that the cluster's markers speak against.",
        )
    ],
)
def boosted(
    context: dg.AssetExecutionContext,
    config: BoostConfig,
    catalog: CatalogResource,
    model_store: ModelStore,
    settings: AnnotationSettings,
    boost_llm: ModelResource,
    score_llm: ModelResource,
    normalized_adata: AdataFile,
    leiden_clusters: TableFile,
    annotations: TableFile,
    scores: TableFile,
) -> dg.MaterializeResult:
    """The final word on every cluster, after a second look at those that scored low or failed a check.

    The booster sees more markers than the annotator did, and the genes that set the cluster apart from the one
    most like it. Its answer is checked and scored like the first; a change is accepted only if neither the
    score nor the evidence falls. What follows (groups, report, tables, annotated file) shows this result.
    """
    dataset, resolution = dataset_and_resolution(context)
    with fatal_errors():
        entry = catalog.entry(dataset)
        chosen = settings_of(settings, entry, config)
        cast = Cast.of({BOOSTER: boost_llm, SCORER: score_llm}, entry, config)
    scored = {row.cluster: row for row in scores.records(ScoredCluster)}
    pairs = [(row, scored[row.cluster]) for row in annotations.records(AnnotatedCluster)]
    low = [row for row, score in pairs if needs_boost(row, score, chosen.score_threshold)]
    contrasts = _contrasts(low, normalized_adata, leiden_clusters)
    with fatal_errors(), model_store.session(context, chosen.limits(dataset)) as store:
        booster, scorer = (cast.models[role].door(store) for role in (BOOSTER, SCORER))

        def look_again(pair: tuple[AnnotatedCluster, ScoredCluster]) -> BoostedCluster:
            row, score = pair
            if row.cluster not in contrasts:
                return keep_as_is(row, score)
            subject = f"{dataset}/{resolution}/{row.cluster}"
            return boost_cluster(
                row.evidence,
                row,
                score,
                contrasts[row.cluster],
                booster,
                scorer,
                subject,
            )

        rows = for_each(pairs, look_again, chosen.max_workers)
        calls = describe_calls(store, cast)
    outcomes = Counter(row.outcome for row in rows)
    return dg.MaterializeResult(
        value=rows,
        data_version=version_of_records(rows),
        metadata={
            "clusters": len(rows),
            **{str(outcome): outcomes[outcome] for outcome in BoostOutcome},
            "outcomes": dg.MetadataValue.table([_shown(row) for row in rows]),
            **calls,
        },
        check_results=[_no_contradiction(rows)],
    )


def _contrasts(
    rows: list[AnnotatedCluster],
    normalized_adata: AdataFile,
    leiden_clusters: TableFile,
) -> dict[str, tuple[Marker, ...]]:
    """Contrast each cluster with the one most like it; the matrix is read only if there is a cluster to look at."""
    if not rows:
        return {}
    adata = normalized_adata.open()
    labels = leiden_clusters.read().set_index("cell_id")["cluster"]
    return {
        row.cluster: contrast(adata, labels, row.cluster, row.evidence.nearest[0].cluster)
        if row.evidence.nearest
        else ()
        for row in rows
    }


def _no_contradiction(rows: list[BoostedCluster]) -> dg.AssetCheckResult:
    contradicted = [row.cluster for row in rows if row.check and Finding.LINEAGE_CONTRADICTION in row.check.findings]
    return dg.AssetCheckResult(
        check_name="no_lineage_contradiction",
        passed=not contradicted,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"clusters": dg.MetadataValue.json(contradicted)},
    )


def _shown(row: BoostedCluster) -> dg.TableRecord:
    return dg.TableRecord(
        {
            "cluster": row.cluster,
            "label": (row.annotation.label if row.annotation else None) or "unresolved",
            "score": "" if row.score is None else f"{row.score:g}",
            "outcome": row.outcome.value,
            "status": row.status.value,
        }
    )
