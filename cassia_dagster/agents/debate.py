"""A panel's debate about one cluster: rounds of scores, genes checked by code, and a verdict that code counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from cassia_dagster.agents.panel import DebateRound, Member, Panel, Statement, check_candidates
from cassia_dagster.records import (
    AnnotatedCluster,
    ClusterFinding,
    Exchange,
    Fraction,
    GeneLookup,
    Name,
    Percent,
    Record,
    Status,
)
from cassia_dagster.singlecell.lookup import look_up_markers

if TYPE_CHECKING:
    from cassia_dagster.singlecell.lookup import LookUp

MOST_ROUNDS = 3
CONSENSUS = 2 / 3
"""Share of the members that must put one candidate first."""
FEWEST_VOICES = 2
"""Members that must have answered: one alone agrees with itself."""
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class DebatePlan:
    """How long a panel discusses.

    Parameters
    ----------
    max_rounds
        Rounds of scores, from 1 to 3, the first included.
    stop_at_consensus
        Whether it ends as soon as two thirds put one candidate first.
    max_workers
        Members that are asked at once.
    """

    max_rounds: int = MOST_ROUNDS
    stop_at_consensus: bool = True
    max_workers: int = 3

    def __post_init__(self) -> None:
        if not 1 <= self.max_rounds <= MOST_ROUNDS:
            raise ValueError(f"max_rounds is {self.max_rounds}; it must be between 1 and {MOST_ROUNDS}.")


class Contender(Record):
    """A candidate, and how it came out."""

    name: Name
    cl_id: str | None
    mean_score: Percent | None
    """Of the last round."""
    votes: int
    """Members that put it first in the last round."""
    leaning: Annotated[float, Field(ge=-1, le=1)] | None
    """How far the genes that tell it from its rivals speak for it, by code alone; ``None`` where none is known."""


class Debate(ClusterFinding):
    """A row of ``symphony``: what a panel made of one cluster and its candidates."""

    status: Status
    status_reason: str = ""
    contenders: tuple[Contender, ...]
    """The best first."""
    members: tuple[str, ...]
    failed: tuple[str, ...]
    """Members that gave no answer, and had no vote from then on."""
    rounds: tuple[DebateRound, ...]
    verdict: Name | None
    """The candidate that two thirds put first, else ``None``: they could not agree."""
    agreement: Fraction
    """Share of the members with an answer that put the leading candidate first."""
    deterministic: bool
    """Whether no language model was heard: marker knowledge alone, which does not discuss."""
    deciding: tuple[GeneLookup, ...]
    """Genes that speak for the leading candidate and against its rivals, as the data has them."""
    history: tuple[Exchange, ...] = ()


def compare_candidates(
    row: AnnotatedCluster,
    candidates: Sequence[str],
    members: Sequence[Member],
    subject: str,
    *,
    look_up: LookUp | None = None,
    plan: DebatePlan | None = None,
) -> Debate:
    """Let a panel decide between candidate types of one cluster.

    Every member scores every candidate, with genes that code looks up. As long as fewer than two thirds put one
    candidate first, all see the scores of the last round, and score again. A member that gives no usable answer is
    out; the others decide.

    Parameters
    ----------
    row
        The cluster, as it was annotated.
    candidates
        Two to four cell types.
    members
        The panel; no two of one title.
    subject
        What the ledger calls the cluster.
    look_up
        Answers for genes of this cluster; by default its markers do.
    plan
        How long they discuss.

    Raises
    ------
    InputError
        If the candidates are too few, too many, or one type under two names.
    ModelError
        If no member can be asked at all.
    """
    plan = plan or DebatePlan()
    terms = check_candidates(candidates, row.evidence)
    panel = Panel(row.evidence, terms, look_up or (lambda genes: look_up_markers(row.evidence, genes)), subject)
    present, rounds = list(members), list[DebateRound]()
    while present and len(rounds) < plan.max_rounds:
        rounds.append(panel.hold(members, present, rounds[-1:], plan.max_workers))
        out = {one.member for one in rounds[-1].statements if one.status is not Status.OK}
        present = [member for member in present if member.title not in out]
        heard = rounds[-1].heard
        if heard and all(member.deterministic for member in present):
            break  # rules do not change their mind
        if plan.stop_at_consensus and _leading(heard)[1] >= CONSENSUS - _ROUNDING:
            break
    panel.insist_on_an_answer(rounds)
    return _sum_up(row, members, rounds, panel)


def _leading(heard: Sequence[Statement]) -> tuple[str | None, float]:
    """Return the candidate that most put first, and their share; ``None`` where several are level."""
    votes = Counter(one.first for one in heard if one.first)
    if not votes:
        return None, 0.0
    (name, most), *others = votes.most_common()
    return (None if others and others[0][1] == most else name), most / len(heard)


def _sum_up(row: AnnotatedCluster, members: Sequence[Member], rounds: Sequence[DebateRound], panel: Panel) -> Debate:
    last = next((each for each in reversed(rounds) if each.heard), None)
    heard = last.heard if last else ()
    leader, share = _leading(heard)
    alone = len(heard) < min(FEWEST_VOICES, len(members))
    scores = [score for one in heard for score in one.scores]
    means = {name: [one.score for one in scores if one.candidate == name] for name in panel.terms}
    votes = Counter(one.first for one in heard)
    contenders = [
        Contender(
            name=name,
            cl_id=term,
            mean_score=sum(means[name]) / len(means[name]) if means[name] else None,
            votes=votes[name],
            leaning=panel.leaning(name),
        )
        for name, term in panel.terms.items()
    ]
    failed = tuple(
        dict.fromkeys(one.member for each in rounds for one in each.statements if one.status is not Status.OK)
    )
    ruled = {member.title for member in members if member.deterministic}
    status, reason = _status(heard, rounds, leader, share, alone=alone)
    return Debate(
        cluster=row.cluster,
        cells=row.cells,
        status=status,
        status_reason=reason,
        contenders=tuple(sorted(contenders, key=lambda one: (-one.votes, -(one.mean_score or 0.0)))),
        members=tuple(member.title for member in members),
        failed=failed,
        rounds=tuple(rounds),
        verdict=leader if status is Status.OK else None,
        agreement=share,
        deterministic=bool(heard) and {one.member for one in heard} <= ruled,
        deciding=panel.deciding(leader, scores) if leader else (),
        history=tuple(panel.history),
    )


def _status(
    heard: Sequence[Statement], rounds: Sequence[DebateRound], leader: str | None, share: float, *, alone: bool
) -> tuple[Status, str]:
    if not heard:
        last = rounds[-1].statements[-1]
        return last.status, f"No member gave an answer. {last.status_reason}"
    if alone:
        return Status.UNRESOLVED, f"Only {heard[0].member} gave an answer, which puts {leader or 'no candidate'} first."
    if leader is None or share < CONSENSUS - _ROUNDING:
        held = f"{len(rounds)} round{'' if len(rounds) == 1 else 's'}"
        return Status.UNRESOLVED, f"After {held} no candidate was put first by two thirds of the members."
    return Status.OK, ""
