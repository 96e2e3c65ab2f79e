"""Asset `symphony`: a panel of models decides between candidate types of one cluster."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg
from pydantic import Field

from assets.failures import fatal_errors
from assets.model_calls import AskConfig, code_version, describe_calls
from assets.on_demand import GROUP, Inquiry, look_ups, panel_of
from assets.partitions import BY_DATASET_AND_RESOLUTION
from assets.pools import memory_tags, pool_of
from assets.raw_adata import raw_adata
from cassia_dagster.agents.compare import COMPARER, LONGEST_PERSONA, POINTS_OF_VIEW
from cassia_dagster.agents.debate import MOST_ROUNDS, Debate, DebatePlan, compare_candidates
from cassia_dagster.agents.estimate import Expected, rehearsal
from cassia_dagster.agents.panel import Member, check_candidates
from cassia_dagster.errors import InputError
from cassia_dagster.llm.choice import EMBEDDED
from cassia_dagster.llm.store import Store
from cassia_dagster.records import AnnotatedCluster
from resources.catalog import CatalogResource
from resources.llm import ModelOverride, ModelResource, ModelStore
from resources.settings import AnnotationSettings
from resources.storage import IF_CELLS, AdataFile, TableFile, TableIOManager
from resources.versions import version_of_records


class SymphonyConfig(AskConfig):
    """What is to be decided, and by whom."""

    cluster: str = Field(description="Id of the cluster.")
    candidates: list[str] = Field(description="Two to four cell types that it may be, such as 'plasma cell'.")
    models: list[ModelOverride] = Field(
        default=[], description="Models on the panel; the dataset's annotator in several persons if none is named."
    )
    personas: list[str] = Field(
        default=[], max_length=10, description="Points of view, in words; with one model, three common ones if none."
    )
    max_rounds: int = Field(
        default=MOST_ROUNDS, ge=1, le=MOST_ROUNDS, description="Most rounds of scores, the first included."
    )
    annotation_llm: ModelOverride = Field(default=ModelOverride(), description="Another annotator, for this run.")

    @property
    def plan(self) -> DebatePlan:
        """How long they discuss."""
        return DebatePlan(max_rounds=self.max_rounds)


@dataclass(frozen=True, slots=True)
class Seat:
    """A place on the panel."""

    title: str
    model: ModelResource
    persona: str

    @property
    def deterministic(self) -> bool:
        """Whether rules in code sit here."""
        return self.model.title == EMBEDDED


def seats_of(usual: ModelResource, config: SymphonyConfig) -> list[Seat]:
    """Give every model and every point of view a seat; one model takes several, rules in code only one."""
    models = panel_of(usual, config.models)
    alone = len({model.identity for model in models}) == 1
    if alone and models[0].title == EMBEDDED:
        return [Seat(EMBEDDED, models[0], "")]
    if wrong := [one for one in config.personas if not 0 < len(one.strip()) <= LONGEST_PERSONA]:
        raise InputError(
            f"The point of view {wrong[0][:40]!r} has {len(wrong[0])} characters; give 1 to {LONGEST_PERSONA}."
        )
    personas = config.personas or (list(POINTS_OF_VIEW) if alone else [""])
    taken: Counter[str] = Counter()
    seats = []
    for number in range(max(len(models), len(personas))):
        model, persona = models[number % len(models)], personas[number % len(personas)]
        taken[model.title] += 1
        again = f" ({taken[model.title]})" if taken[model.title] > 1 else ""
        seats.append(Seat(f"{model.title}{again}", model, persona))
    return [seat for seat in seats if not (seat.deterministic and seat.title != EMBEDDED)]


def seated(seats: Sequence[Seat], store: Store) -> list[Member]:
    """Open the ways to all models of a panel."""
    return [Member(seat.title, seat.model.door(store), seat.persona, seat.deterministic) for seat in seats]


def expected_debate(
    row: AnnotatedCluster, config: SymphonyConfig, seats: Sequence[Seat], store: Store
) -> list[Expected]:
    """Say what a debate of all its rounds would take; nobody is asked."""
    doors = {seat.title: rehearsal(seat.model.backends()[0], store, COMPARER) for seat in seats}
    members = [Member(seat.title, doors[seat.title], seat.persona) for seat in seats]
    plan = DebatePlan(config.max_rounds, stop_at_consensus=False, max_workers=1)
    compare_candidates(row, config.candidates, members, "rehearsal", plan=plan)
    return [one for door in doors.values() for one in door.expected.values()]


@dg.asset(
    partitions_def=BY_DATASET_AND_RESOLUTION,
    deps=[raw_adata],
    ins={"normalized_adata": IF_CELLS},
    group_name=GROUP,
    op_tags=memory_tags(matrix=True),
    kinds={"llm", "parquet"},
    code_version=code_version("1", COMPARER),
    io_manager_key="table_storage",
    dagster_type=dg.Any,
    pool=pool_of("annotation"),
)
def symphony(
    context: dg.AssetExecutionContext,
    config: SymphonyConfig,
    catalog: CatalogResource,
    model_store: ModelStore,
    settings: AnnotationSettings,
    annotation_llm: ModelResource,
    table_storage: dg.ResourceParam[TableIOManager],
    normalized_adata: AdataFile,
    leiden_clusters: TableFile,
    annotations: TableFile,
) -> dg.MaterializeResult:
    """Is it A or B? Several models, or one in several persons, score two to four candidate types of one cluster.

    Each gives every candidate 0 to 100 with its genes, and code looks the genes up in the data. As long as fewer than
    two thirds put one candidate first, all see each other's scores and score again, three rounds at most. The verdict
    is counted by code and stands beside the genes that decide; a member that fails has no vote, and is named. The
    labels are not changed. Debates about other clusters or candidates are kept.
    """
    with fatal_errors():
        inquiry = Inquiry.opened(
            context,
            config,
            catalog,
            settings,
            {COMPARER: annotation_llm},
            (annotations, leiden_clusters),
            [config.cluster],
        )
        seats = seats_of(inquiry.cast.models[COMPARER], config)
        (row,) = inquiry.asked
        check_candidates(config.candidates, row.evidence)
    with fatal_errors(), model_store.session(context, inquiry.limits) as store:
        expected = inquiry.announce(
            context, expected_debate(row, config, seats, store), "Expected if every round is held"
        )
        look_up = look_ups(inquiry.entry, [row], normalized_adata, leiden_clusters)[row.cluster]
        subject = f"{inquiry.subject}/{row.cluster}"
        debate = compare_candidates(
            row, config.candidates, seated(seats, store), subject, look_up=look_up, plan=config.plan
        )
        calls = describe_calls(store, inquiry.cast)
    present = {one.cluster: one.cells for one in inquiry.annotated}
    rows, path = inquiry.keep(
        [debate],
        Debate,
        table_storage,
        lambda one: present.get(one.cluster) == one.cells and _question(one) != _question(debate),
    )
    return dg.MaterializeResult(
        value=rows,
        data_version=version_of_records(rows),
        metadata={
            "cluster": dg.MetadataValue.text(debate.cluster),
            "outcome": dg.MetadataValue.text(outcome_of(debate)),
            "agreement": debate.agreement,
            "rounds": len(debate.rounds),
            "members": len(debate.members),
            "failed_members": dg.MetadataValue.json(list(debate.failed)),
            "candidates": dg.MetadataValue.table([_shown(debate, place) for place in range(len(debate.contenders))]),
            "deciding_genes": dg.MetadataValue.json({one.gene: one.expression.value for one in debate.deciding}),
            "debates_kept": len(rows),
            "json": dg.MetadataValue.path(str(path)),
            **expected,
            **calls,
        },
    )


def outcome_of(debate: Debate) -> str:
    """Say in one line how a debate ended."""
    if debate.verdict is None:
        return f"cluster {debate.cluster}: no verdict. {debate.status_reason}"
    heard = len(debate.rounds[-1].heard)
    by = "marker knowledge alone" if debate.deterministic else f"{debate.agreement:.0%} of {heard} members"
    out = f"; without an answer: {', '.join(debate.failed)}" if debate.failed else ""
    return f"cluster {debate.cluster}: {debate.verdict}, by {by}{out}"


def _question(debate: Debate) -> tuple[str, frozenset[str]]:
    return debate.cluster, frozenset(one.name for one in debate.contenders)


def _shown(debate: Debate, place: int) -> dg.TableRecord:
    one = debate.contenders[place]
    return dg.TableRecord(
        {
            "candidate": one.name,
            "ontology term": one.cl_id or "",
            "votes": one.votes,
            "mean score": "" if one.mean_score is None else f"{one.mean_score:.0f}",
            "marker knowledge": "" if one.leaning is None else f"{one.leaning:+.2f}",
        }
    )
