"""What a reader should look at first, worst first, and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from cassia_dagster.agents.boost import SCORE_THRESHOLD
from cassia_dagster.agents.merge import UNRESOLVED
from cassia_dagster.outputs.result import ResolutionResult, final_label, reviewer_of
from cassia_dagster.outputs.words import FINDING_TEXTS, STATUSES, listing, reason_of
from cassia_dagster.records import BoostOutcome, ClusterResult, Finding, ManualOutcome, Status


class Urgency(IntEnum):
    """How much hangs on it."""

    WRONG = 0
    """The label may not be used before somebody has looked."""
    OPEN = 1
    """There is no label."""
    DOUBTFUL = 2
    """The label may be right."""


@dataclass(frozen=True, slots=True)
class Concern:
    """A cluster that wants to be looked at."""

    row: ClusterResult
    urgency: Urgency
    reasons: tuple[str, ...]


def concerns(result: ResolutionResult) -> list[Concern]:
    """List the clusters that somebody should look at, the most urgent first, then by score.

    Parameters
    ----------
    result
        A dataset at one resolution.

    Returns
    -------
    list of Concern
        Each cluster at most once, with every reason; one that a person has reviewed only where its markers point to
        another lineage.
    """
    found = []
    for row in result.clusters:
        reasons = [(urgency, text) for urgency, rule in _RULES if (text := rule(row))]
        if reviewer_of(row):
            # Somebody has looked, and answers for what is a matter of doubt.
            reasons = [(urgency, text) for urgency, text in reasons if urgency is Urgency.WRONG]
        if reasons:
            found.append(Concern(row, min(urgency for urgency, _ in reasons), tuple(text for _, text in reasons)))
    return sorted(found, key=lambda one: (one.urgency, -1 if one.row.boosted.score is None else one.row.boosted.score))


def _failed(row: ClusterResult) -> str:
    if row.boosted.status in (Status.OK, Status.UNRESOLVED):
        return ""
    return STATUSES[row.boosted.status]


def _nameless(row: ClusterResult) -> str:
    if row.boosted.status not in (Status.OK, Status.UNRESOLVED) or final_label(row) != UNRESOLVED:
        return ""
    return reason_of(row.boosted) or "no reason was given"


def _finding(finding: Finding) -> Callable[[ClusterResult], str]:
    def rule(row: ClusterResult) -> str:
        check = row.boosted.check
        named = final_label(row) != UNRESOLVED
        return FINDING_TEXTS[finding] if named and check and finding in check.findings else ""

    return rule


def _mixed(row: ClusterResult) -> str:
    annotation, rounds = row.boosted.annotation, row.annotated.rounds
    if annotation and annotation.mixed_celltypes:
        return f"may mix {listing(annotation.mixed_celltypes)}"
    return "the validator suspects a mixture" if rounds and rounds[-1].mixed else ""


def _low(row: ClusterResult) -> str:
    score = row.boosted.score
    return f"score {score:.3g}, below {SCORE_THRESHOLD:g}" if score is not None and score < SCORE_THRESHOLD else ""


def _unscored(row: ClusterResult) -> str:
    return "could not be scored" if row.boosted.score is None and final_label(row) != UNRESOLVED else ""


def _rejected(row: ClusterResult) -> str:
    rounds = row.annotated.rounds
    kept = row.boosted.outcome is not BoostOutcome.CHANGED
    return "the validator never accepted it" if rounds and not rounds[-1].accepted and kept else ""


def _changed(row: ClusterResult) -> str:
    before = row.annotated.annotation and row.annotated.annotation.label
    if row.boosted.outcome is not BoostOutcome.CHANGED:
        return ""
    return f"changed by the second look, from {before or UNRESOLVED}"


def _stale(row: ClusterResult) -> str:
    review = row.boosted.review
    if review is None or review.outcome is not ManualOutcome.STALE:
        return ""
    return f"{review.who}'s label {review.label!r} was for other cells or markers, and is not applied"


_RULES: Sequence[tuple[Urgency, Callable[[ClusterResult], str]]] = (
    (Urgency.WRONG, _finding(Finding.LINEAGE_CONTRADICTION)),
    (Urgency.OPEN, _failed),
    (Urgency.OPEN, _nameless),
    (Urgency.DOUBTFUL, _stale),
    (Urgency.DOUBTFUL, _mixed),
    (Urgency.DOUBTFUL, _low),
    (Urgency.DOUBTFUL, _unscored),
    (Urgency.DOUBTFUL, _rejected),
    (Urgency.DOUBTFUL, _finding(Finding.NO_MARKER_SUPPORT)),
    (Urgency.DOUBTFUL, _finding(Finding.MARKERS_FAVOUR_OTHER)),
    (Urgency.DOUBTFUL, _finding(Finding.WEAK_SUPPORT)),
    (Urgency.DOUBTFUL, _finding(Finding.GENE_ABSENT)),
    (Urgency.DOUBTFUL, _finding(Finding.LABEL_UNMAPPED)),
    (Urgency.DOUBTFUL, _changed),
)
