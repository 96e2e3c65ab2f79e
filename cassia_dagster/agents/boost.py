"""The booster looks again at a label in doubt: it tests hypotheses, and code answers from the cluster's own data."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, model_validator

from cassia_dagster.agents.annotate import genes_up
from cassia_dagster.agents.namesakes import ASKED, is_told_apart
from cassia_dagster.agents.role import Role
from cassia_dagster.agents.score import score_cluster
from cassia_dagster.knowledge.evidence import check_annotation
from cassia_dagster.knowledge.ontology import load_ontology
from cassia_dagster.llm.errors import UnusableReply
from cassia_dagster.records import (
    AnnotatedCluster,
    Annotation,
    BoostedCluster,
    BoostOutcome,
    BoostRound,
    ClusterEvidence,
    EvidenceCheck,
    Exchange,
    Finding,
    GeneLookup,
    Hypothesis,
    Marker,
    Prose,
    Record,
    ScoredCluster,
    Status,
)
from cassia_dagster.singlecell.lookup import look_up_markers

if TYPE_CHECKING:
    from cassia_dagster.llm.door import Door
    from cassia_dagster.singlecell.lookup import LookUp

SCORE_THRESHOLD = 75.0
"""Labels that score less get a second look."""

MIN_SCORE = 50.0
"""What a label must score to take the place of none: better unresolved than guessed."""

SERIOUS = frozenset({Finding.LINEAGE_CONTRADICTION, Finding.NO_MARKER_SUPPORT})
"""Findings that call for a second look whatever the score."""

MAX_ROUNDS = 4
"""Rounds of hypotheses that a second look may have."""

USUAL_ROUNDS = 3

NO_RIVAL_YET = "No rival of the present label was tested so far. Name at least one, and the genes that would tell."


class BoostStrategy(StrEnum):
    """In which order hypotheses are tested."""

    BREADTH = "breadth"
    """All that are open, in each round."""
    DEPTH = "depth"
    """One a round, the strongest first."""


@dataclass(frozen=True, slots=True)
class BoostPlan:
    """How a second look is taken.

    Parameters
    ----------
    strategy
        In which order hypotheses are tested.
    max_rounds
        Rounds of hypotheses, between 1 and 4; the conclusion may take one question more.
    additional_task
        The user's extra question, such as "Is this malignant?"; its answer is kept beside the label.
    score_threshold
        Labels that score less need a second look.
    """

    strategy: BoostStrategy = BoostStrategy.BREADTH
    max_rounds: int = USUAL_ROUNDS
    additional_task: str = ""
    score_threshold: float = SCORE_THRESHOLD

    def __post_init__(self) -> None:
        if not 1 <= self.max_rounds <= MAX_ROUNDS:
            raise ValueError(f"max_rounds is {self.max_rounds}; it must be between 1 and {MAX_ROUNDS}.")


@dataclass(frozen=True, slots=True)
class ClusterData:
    """What the booster can be told of one cluster beside its markers."""

    contrast: tuple[Marker, ...] = ()
    look_up: LookUp | None = None
    """What answers for its genes; the markers do where there is none."""
    namesakes: tuple[str, ...] = ()
    """Other clusters of its name, which it is to be told from."""


class BoostRequest(Record):
    """What the booster is asked."""

    evidence: ClusterEvidence
    """With all markers that are kept, not only the best."""
    annotation: Annotation | None
    check: EvidenceCheck | None
    score: float | None
    contrast: tuple[Marker, ...]
    """Genes that are up against the most similar cluster alone; empty where there is none."""
    namesakes: tuple[str, ...] = ()
    """Other clusters of its name, if that is to be told apart; with them, as one, genes are compared first."""
    strategy: BoostStrategy = BoostStrategy.BREADTH
    additional_task: str = ""
    rounds: tuple[BoostRound, ...] = ()
    """What was tested so far."""
    rounds_left: int
    """With none left, the answer must be the conclusion."""
    objection: str = ""


class Conclusion(Record):
    """What the booster answers in the end: its own annotation, which may be the old one."""

    annotation: Annotation
    explanation: Prose
    additional_answer: Prose = ""


class BoostStep(Record):
    """What the booster answers while rounds are left: hypotheses to test, or its conclusion."""

    hypotheses: Annotated[tuple[Hypothesis, ...], Field(max_length=4)] = ()
    conclusion: Conclusion | None = None

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Self:
        if bool(self.hypotheses) == (self.conclusion is not None):
            raise ValueError("give either hypotheses to test or a conclusion")
        return self


BOOSTER = Role("boost", version=2, request=BoostRequest, reply=BoostStep)
CONCLUDING_BOOSTER = Role("boost", version=2, request=BoostRequest, reply=Conclusion)


@dataclass(slots=True)
class _Inquiry:
    """What a second look came to; kept also where it fails on the way."""

    rounds: list[BoostRound] = field(default_factory=list)
    history: list[Exchange] = field(default_factory=list)

    @property
    def lookups(self) -> tuple[GeneLookup, ...]:
        return tuple(one for each in self.rounds for one in each.lookups)


def needs_boost(annotated: AnnotatedCluster, scored: ScoredCluster, threshold: float = SCORE_THRESHOLD) -> bool:
    """Tell whether a cluster deserves a second look: low or missing score, or a serious finding."""
    if annotated.annotation is None or scored.score is None or scored.score < threshold:
        return True
    return annotated.check is not None and bool(SERIOUS.intersection(annotated.check.findings))


def keep_as_is(annotated: AnnotatedCluster, scored: ScoredCluster) -> BoostedCluster:
    """Carry a label over that needs no second look."""
    return _row(
        annotated,
        scored,
        BoostOutcome.NOT_NEEDED,
        "The score is above the threshold and nothing serious was found.",
    )


def boost_cluster(
    annotated: AnnotatedCluster,
    scored: ScoredCluster,
    booster: Door,
    scorer: Door,
    subject: str,
    *,
    look_up: LookUp | None = None,
    contrast: tuple[Marker, ...] = (),
    namesakes: tuple[str, ...] = (),
    plan: BoostPlan | None = None,
) -> BoostedCluster:
    """Look at one cluster again, and accept a change only if neither score nor evidence falls.

    Where other clusters have the same name, a kind of it is accepted too that scores no less, or well enough to need no
    second look, and that the genes tell from other kinds, in this cluster against those.

    The booster states hypotheses, at least one of them a rival of the present label, and the genes that would
    tell; the genes are looked up in this cluster's data, round by round, until it concludes.

    Parameters
    ----------
    annotated, scored
        What is known of the cluster so far.
    booster, scorer
        The doors to the models of the two roles; a changed label is scored anew.
    subject
        What the ledger calls the cluster.
    look_up
        Answers for genes of this cluster; by default its markers do.
    contrast
        Genes that are up against the most similar cluster alone.
    namesakes
        Other clusters of the same name, as `namesakes_of` finds them; ``look_up`` compares with them first.
    plan
        Strategy, rounds and the extra question.
    """
    evidence, plan = annotated.evidence, plan or BoostPlan()
    if not evidence.markers:
        why = "The cluster has no markers; there is nothing to look at again."
        return _row(annotated, scored, BoostOutcome.NOT_NEEDED, why)
    request = BoostRequest(
        evidence=evidence,
        annotation=annotated.annotation,
        check=annotated.check,
        score=scored.score,
        contrast=contrast,
        namesakes=namesakes,
        objection=_objection(namesakes, rival_tested=True),
        strategy=plan.strategy,
        additional_task=plan.additional_task,
        rounds_left=plan.max_rounds,
    )
    inquiry = _Inquiry()
    try:
        conclusion = _investigate(request, booster, subject, look_up, inquiry)
    except UnusableReply as error:
        row = _row(annotated, scored, BoostOutcome.FAILED, str(error), **_kept(inquiry, plan))
        if annotated.status is Status.OK:
            return row
        return row.model_copy(update={"status": error.status, "status_reason": str(error)})
    if conclusion is None:
        why = f"In {plan.max_rounds} rounds, the booster named nothing that could be tested against the label."
        return _row(annotated, scored, BoostOutcome.FAILED, why, **_kept(inquiry, plan))
    return _decide(annotated, scored, conclusion, inquiry, scorer, subject, plan, namesakes)


def _investigate(
    request: BoostRequest, booster: Door, subject: str, look_up: LookUp | None, inquiry: _Inquiry
) -> Conclusion | None:
    """Ask round by round; ``None`` if no rival was ever tested, so that there is nothing to conclude from."""
    rival_tested = False
    while request.rounds_left > 0:
        step, exchange = BOOSTER.ask(booster, request, subject)
        inquiry.history.append(exchange)
        if step.conclusion is not None and rival_tested:
            return step.conclusion
        hypotheses = step.hypotheses[:1] if request.strategy is BoostStrategy.DEPTH else step.hypotheses
        rival_tested = rival_tested or any(_is_rival(one, request.annotation) for one in hypotheses)
        if hypotheses:
            found = _look_up(hypotheses, request.evidence, look_up, inquiry.lookups)
            inquiry.rounds.append(BoostRound(hypotheses=hypotheses, lookups=found))
        request = request.model_copy(
            update={
                "rounds": tuple(inquiry.rounds),
                "rounds_left": request.rounds_left - 1,
                "objection": _objection(request.namesakes, rival_tested=rival_tested),
            }
        )
    if not rival_tested:
        return None
    conclusion, exchange = CONCLUDING_BOOSTER.ask(booster, request, subject)
    inquiry.history.append(exchange)
    return conclusion


def _objection(namesakes: tuple[str, ...], *, rival_tested: bool) -> str:
    return " ".join([*([ASKED] if namesakes else []), *([] if rival_tested else [NO_RIVAL_YET])])


def _look_up(
    hypotheses: tuple[Hypothesis, ...],
    evidence: ClusterEvidence,
    look_up: LookUp | None,
    before: tuple[GeneLookup, ...],
) -> tuple[GeneLookup, ...]:
    """Answer for the genes of all hypotheses; what was answered before is not repeated."""
    genes = tuple(dict.fromkeys(gene for one in hypotheses for gene in one.genes))
    known = {one.gene for one in before}
    found = look_up(genes) if look_up else look_up_markers(evidence, genes)
    return tuple(one for one in found if one.gene not in known)


def _is_rival(hypothesis: Hypothesis, present: Annotation | None) -> bool:
    return present is None or present.label is None or not _same_type(hypothesis.celltype, present.label)


def _same_type(one: str, other: str) -> bool:
    ontology = load_ontology()
    term = ontology.resolve(one)
    return one.casefold() == other.casefold() or (term is not None and term == ontology.resolve(other))


def _says_the_same(new: Annotation, old: Annotation) -> bool:
    if new.label is None or old.label is None or new.unresolved or old.unresolved:
        return (new.label, bool(new.unresolved)) == (old.label, bool(old.unresolved))
    return _same_type(new.label, old.label)


def _decide(
    annotated: AnnotatedCluster,
    scored: ScoredCluster,
    conclusion: Conclusion,
    inquiry: _Inquiry,
    scorer: Door,
    subject: str,
    plan: BoostPlan,
    namesakes: tuple[str, ...],
) -> BoostedCluster:
    said = _kept(inquiry, plan) | {
        "additional_answer": conclusion.additional_answer,
        "supporting_genes": conclusion.annotation.supporting_genes,
        "refuting_genes": conclusion.annotation.contradicting_genes,
    }
    new, old = conclusion.annotation, annotated.annotation
    if old is not None and _says_the_same(new, old):
        return _row(annotated, scored, BoostOutcome.CONFIRMED, conclusion.explanation, **said)
    second = annotated.model_copy(
        update={
            "annotation": new,
            "check": check_annotation(new, annotated.evidence, also_up=genes_up(inquiry.lookups)),
            "status": Status.UNRESOLVED if new.unresolved or new.label is None else Status.OK,
            "status_reason": "",
            "lookups": (*annotated.lookups, *inquiry.lookups),
        }
    )
    rescored = score_cluster(annotated.evidence, second, scorer, subject, namesakes)
    said["history"] = (*inquiry.history, *rescored.history)
    if second.status is Status.OK and rescored.score is None:
        why = f"A change to {new.label} could not be judged: {rescored.status_reason}"
        return _row(annotated, scored, BoostOutcome.FAILED, why, **said)
    if _is_better(second, rescored, annotated, scored) or _is_closer(
        second, rescored, annotated, scored, inquiry, plan.score_threshold, namesakes
    ):
        return _row(second, rescored, BoostOutcome.CHANGED, conclusion.explanation, **said)
    why = f"A change to {new.label or 'no name'} was considered and not accepted: {conclusion.explanation}"
    return _row(annotated, scored, BoostOutcome.CONFIRMED, why, **said)


def _is_better(
    second: AnnotatedCluster, rescored: ScoredCluster, first: AnnotatedCluster, scored: ScoredCluster
) -> bool:
    least = MIN_SCORE if scored.score is None else scored.score
    if rescored.score is None or rescored.score < least or second.status is not Status.OK:
        return False
    if second.check is None or first.check is None:
        return second.check is not None
    return (len(second.check.findings), -second.check.support) <= (
        len(first.check.findings),
        -first.check.support,
    )


def _is_closer(
    second: AnnotatedCluster,
    rescored: ScoredCluster,
    first: AnnotatedCluster,
    scored: ScoredCluster,
    inquiry: _Inquiry,
    threshold: float,
    namesakes: tuple[str, ...],
) -> bool:
    """Tell whether a name is a kind of the first that the data bears out, where others have the first one too.

    A closer name is seldom supported better than the one above it, so it need not be: it must be good enough. What
    hardly stands is made no closer.
    """
    if second.check is None or first.check is None or rescored.score is None or second.status is not Status.OK:
        return False
    least = max(threshold if scored.score is None else min(scored.score, threshold), MIN_SCORE)
    tested = [one.celltype for each in inquiry.rounds for one in each.hypotheses]
    return (
        rescored.score >= least
        and set(second.check.findings) <= set(first.check.findings)
        and is_told_apart(first.evidence, inquiry.lookups, namesakes, first.check.cl_id, second.check.cl_id, tested)
    )


def _kept(inquiry: _Inquiry, plan: BoostPlan) -> dict[str, Any]:
    return {
        "rounds": tuple(inquiry.rounds),
        "history": tuple(inquiry.history),
        "additional_task": plan.additional_task,
    }


def _row(
    annotated: AnnotatedCluster, scored: ScoredCluster, outcome: BoostOutcome, explanation: str, **said: Any
) -> BoostedCluster:
    return BoostedCluster(
        cluster=annotated.cluster,
        status=annotated.status,
        status_reason=annotated.status_reason or scored.status_reason,
        outcome=outcome,
        explanation=explanation,
        annotation=annotated.annotation,
        check=annotated.check,
        score=scored.score,
        rubric=scored.rubric,
        reasoning=scored.reasoning,
        **said,
    )
