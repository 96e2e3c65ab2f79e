"""Asset `boosted`: a second look at the labels that scored low."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import dagster as dg
from pydantic import Field

from assets.advice import advice
from assets.cluster_progress import ClusterProgress
from assets.evidence import know_lab_markers
from assets.failures import fatal_errors
from assets.model_calls import (
    AskConfig,
    Cast,
    code_version,
    describe_calls,
    describe_expected,
    say_expected,
    settings_of,
)
from assets.partitions import BY_DATASET_AND_RESOLUTION, dataset_and_resolution
from assets.pools import memory_tags, pool_of
from assets.raw_adata import raw_adata
from assets.results import scores_of
from assets.second_look import data_of, digest_of, expected_look
from cassia_dagster.agents.boost import (
    BOOSTER,
    MAX_ROUNDS,
    USUAL_ROUNDS,
    BoostPlan,
    BoostStrategy,
    boost_cluster,
    keep_as_is,
    needs_boost,
)
from cassia_dagster.agents.crew import for_each
from cassia_dagster.agents.namesakes import namesakes_of
from cassia_dagster.agents.score import SCORER
from cassia_dagster.errors import InputError
from cassia_dagster.records import (
    AnnotatedCluster,
    BoostedCluster,
    BoostOutcome,
    Finding,
    ScoredCluster,
)
from resources.catalog import CatalogResource
from resources.llm import ModelOverride, ModelResource, ModelStore
from resources.settings import AnnotationSettings
from resources.storage import IF_CELLS, AdataFile, TableFile, TableIOManager
from resources.versions import version_of_records


class BoostConfig(AskConfig):
    """When to look again, who does, and how."""

    score_threshold: float | None = Field(
        default=None, ge=0, le=100, description="Labels that score less get a second look."
    )
    boost_llm: ModelOverride = Field(default=ModelOverride(), description="Another booster, for this run.")
    score_llm: ModelOverride = Field(default=ModelOverride(), description="Another scorer, for this run.")
    clusters: list[str] = Field(
        default=[],
        description="Ids of clusters to look at again whatever their score; all others keep what was found of them.",
    )
    namesakes: bool | None = Field(
        default=None,
        description="Look again at clusters that share a name, to tell which kind of it each is; as the catalog or "
        "the environment says, else yes.",
    )
    strategy: Literal["breadth", "depth"] = Field(
        default="breadth",
        description="Test all hypotheses in each round (breadth), or the strongest one first, then the next (depth).",
    )
    max_rounds: int = Field(
        default=USUAL_ROUNDS, ge=1, le=MAX_ROUNDS, description="Most rounds of hypotheses a cluster."
    )
    additional_task: str = Field(
        default="",
        max_length=1000,
        description="An extra question about every cluster that gets a second look, such as 'Is this malignant?'.",
    )
    keep_asked: bool = Field(
        default=True,
        description="Keep what second looks concluded that a user had asked for, as long as their clusters stay as "
        "they are. Without it, only low scores and serious findings are looked at.",
    )

    @property
    def plan(self) -> BoostPlan:
        """What the booster is told."""
        return BoostPlan(BoostStrategy(self.strategy), self.max_rounds, self.additional_task)


@dg.asset(
    partitions_def=BY_DATASET_AND_RESOLUTION,
    deps=[raw_adata],
    ins={"normalized_adata": IF_CELLS},
    group_name="annotation",
    op_tags=memory_tags(matrix=True),
    kinds={"llm", "parquet"},
    code_version=code_version("4", BOOSTER, SCORER),
    io_manager_key="table_storage",
    dagster_type=dg.Any,
    pool=pool_of("boost"),
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
    table_storage: dg.ResourceParam[TableIOManager],
    normalized_adata: AdataFile,
    leiden_clusters: TableFile,
    annotations: TableFile,
    scores: TableFile,
) -> dg.MaterializeResult:
    """What the models say of every cluster in the end, after a second look at those that scored low or failed a check.

    The booster states what else the cluster could be, at least one rival of the label, and which genes would tell;
    they are looked up in this cluster's own data, against all other cells and the clusters most like it, round by
    round until it concludes. Its answer is checked and scored like the first; a change is accepted only if neither
    the score nor the evidence falls. Clusters that share a name are compared with each other: a kind of the name is
    accepted too, if it scores well enough and its genes tell it from the others. What follows (groups, report, tables,
    annotated file) shows this result, unless a person's label takes its place in `reviewed`. What a user asked about
    single clusters stays until these change.
    """
    dataset, resolution = dataset_and_resolution(context)
    with fatal_errors():
        entry = catalog.entry(dataset)
        know_lab_markers(entry)
        chosen = settings_of(settings, entry, config)
        cast = Cast.of({BOOSTER: boost_llm, SCORER: score_llm}, entry, config)
        named = annotations.records(AnnotatedCluster)
        scored = scores_of(named, scores)
    pairs = [(row, scored[row.cluster]) for row in named]
    with fatal_errors(), model_store.session(context, chosen.limits(dataset)) as store:
        before = table_storage.made_before("boosted", dataset, resolution)
        look = looked_at(pairs, before, config, chosen)
        cells = normalized_adata if entry.has_cells else None
        data = data_of(look.doubtful, cells, leiden_clusters, look.namesakes)
        asked = [pair for pair in pairs if pair[0].cluster in data]
        players = cast.models[BOOSTER], cast.models[SCORER]
        plan = replace(config.plan, score_threshold=chosen.score_threshold)
        expected = describe_expected(expected_look(asked, players, store, plan, data))
        context.log.info(say_expected(expected))
        booster, scorer = (model.door(store) for model in players)

        def look_again(pair: tuple[AnnotatedCluster, ScoredCluster]) -> BoostedCluster:
            row, score = pair
            if row.cluster in look.kept:
                return look.kept[row.cluster]
            said = {"about": digest_of(row, score), "on_demand": row.cluster in config.clusters}
            if row.cluster not in data:
                return keep_as_is(row, score).model_copy(update=said)
            known, subject = data[row.cluster], f"{dataset}/{resolution}/{row.cluster}"
            boosted = boost_cluster(
                row,
                score,
                booster,
                scorer,
                subject,
                look_up=known.look_up,
                contrast=known.contrast,
                namesakes=known.namesakes,
                plan=plan,
            )
            return boosted.model_copy(update=said)

        progress = ClusterProgress(context, store, len(pairs))
        rows = for_each(pairs, progress.watching(look_again), chosen.max_workers)
        calls = describe_calls(store, cast)
    outcomes = Counter(row.outcome for row in rows)
    return dg.MaterializeResult(
        value=rows,
        data_version=version_of_records(rows),
        metadata={
            "clusters": len(rows),
            **{str(outcome): outcomes[outcome] for outcome in BoostOutcome},
            "genes_looked_up": sum(len(each.lookups) for row in rows for each in row.rounds),
            "outcomes": dg.MetadataValue.table([_shown(row) for row in rows]),
            **expected,
            **calls,
        },
        check_results=[_no_contradiction(rows)],
    )


class Look(NamedTuple):
    """What becomes of the clusters."""

    kept: dict[str, BoostedCluster]
    """What is kept of earlier second looks."""
    doubtful: list[AnnotatedCluster]
    """Those that are looked at now."""
    namesakes: Mapping[str, tuple[str, ...]]
    """Cluster → others of its name, from which it is to be told."""


def looked_at(
    pairs: Sequence[tuple[AnnotatedCluster, ScoredCluster]],
    before: TableFile | None,
    config: BoostConfig,
    settings: AnnotationSettings,
) -> Look:
    """Tell what is kept of earlier second looks, and which clusters are looked at now.

    Parameters
    ----------
    pairs
        The clusters, as they are annotated and scored.
    before
        What this asset made last.
    config, settings
        What the launchpad says, and what holds with that.

    Raises
    ------
    InputError
        If a cluster that is named does not exist.
    """
    known = [row.cluster for row, _ in pairs]
    if strangers := sorted(set(config.clusters) - set(known)):
        raise InputError(f"There is no cluster {strangers[0]!r} to look at again; the clusters are {', '.join(known)}.")
    kept = _kept(pairs, before, config)
    same = namesakes_of([row for row, _ in pairs]) if settings.namesakes else {}
    wanted, threshold = {*config.clusters, *same}, settings.score_threshold
    doubtful = [row for row, score in pairs if row.cluster in wanted or needs_boost(row, score, threshold)]
    return Look(kept, [row for row in doubtful if row.cluster not in kept], same)


def _kept(
    pairs: Sequence[tuple[AnnotatedCluster, ScoredCluster]], before: TableFile | None, config: BoostConfig
) -> dict[str, BoostedCluster]:
    """Return what was found before and still holds: what a user had asked for, and all else while others are named."""
    present = {row.cluster: digest_of(row, score) for row, score in pairs}
    return {
        row.cluster: row
        for row in (before.records(BoostedCluster) if before else ())
        if row.about
        and row.about == present.get(row.cluster)
        and row.cluster not in config.clusters
        and row.outcome is not BoostOutcome.FAILED
        and (config.keep_asked if row.on_demand else bool(config.clusters))
    }


def _no_contradiction(rows: list[BoostedCluster]) -> dg.AssetCheckResult:
    contradicted = [row.cluster for row in rows if row.check and Finding.LINEAGE_CONTRADICTION in row.check.findings]
    return dg.AssetCheckResult(
        check_name="no_lineage_contradiction",
        passed=not contradicted,
        description=advice("no_lineage_contradiction", passed=not contradicted),
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
            "rounds": len(row.rounds),
            "status": row.status.value,
        }
    )
