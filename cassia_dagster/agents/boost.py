"""The booster looks again at a label that scored low: at more genes, and at the most similar cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cassia_dagster.agents.role import Role
from cassia_dagster.agents.score import score_cluster
from cassia_dagster.knowledge.evidence import check_annotation
from cassia_dagster.llm.errors import UnusableReply
from cassia_dagster.records import (
    AnnotatedCluster,
    Annotation,
    BoostedCluster,
    BoostOutcome,
    ClusterEvidence,
    EvidenceCheck,
    Finding,
    Marker,
    Record,
    ScoredCluster,
    Status,
)

if TYPE_CHECKING:
    from cassia_dagster.llm.door import Door

SCORE_THRESHOLD = 75.0
"""Labels that score less get a second look."""

MIN_SCORE = 50.0
"""What a label must score to take the place of none: better unresolved than guessed."""

SERIOUS = frozenset({Finding.LINEAGE_CONTRADICTION, Finding.NO_MARKER_SUPPORT})
"""Findings that call for a second look whatever the score."""


class BoostRequest(Record):
    """What the booster is asked."""

    evidence: ClusterEvidence
    """With all markers that are kept, not only the best."""
    annotation: Annotation | None
    check: EvidenceCheck | None
    score: float | None
    contrast: tuple[Marker, ...]
    """Genes that are up against the most similar cluster alone; empty where there is none."""


class BoostReply(Record):
    """What the booster answers: its own annotation, which may be the old one."""

    annotation: Annotation
    explanation: str


BOOSTER = Role("boost", version=1, request=BoostRequest, reply=BoostReply)


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
    evidence: ClusterEvidence,
    annotated: AnnotatedCluster,
    scored: ScoredCluster,
    contrast: tuple[Marker, ...],
    booster: Door,
    scorer: Door,
    subject: str,
) -> BoostedCluster:
    """Look at one cluster again, and accept a change only if neither score nor evidence falls.

    Parameters
    ----------
    evidence, annotated, scored
        What is known of the cluster so far.
    contrast
        Genes that are up against the most similar cluster alone.
    booster, scorer
        The doors to the models of the two roles; a changed label is scored anew.
    subject
        What the ledger calls the cluster.
    """
    if not evidence.markers:
        return _row(
            annotated,
            scored,
            BoostOutcome.NOT_NEEDED,
            "The cluster has no markers; there is nothing to look at again.",
        )
    request = BoostRequest(
        evidence=evidence,
        annotation=annotated.annotation,
        check=annotated.check,
        score=scored.score,
        contrast=contrast,
    )
    try:
        reply, exchange = BOOSTER.ask(booster, request, subject)
    except UnusableReply as error:
        row = _row(annotated, scored, BoostOutcome.FAILED, str(error))
        if annotated.status is Status.OK:
            return row
        return row.model_copy(update={"status": error.status, "status_reason": str(error)})
    check = check_annotation(reply.annotation, evidence)
    second = annotated.model_copy(
        update={
            "annotation": reply.annotation,
            "check": check,
            "status": _status(reply.annotation),
            "status_reason": "",
        }
    )
    if annotated.annotation is not None and reply.annotation.label == annotated.annotation.label:
        row = _row(annotated, scored, BoostOutcome.CONFIRMED, reply.explanation)
        return row.model_copy(update={"history": (exchange,)})
    rescored = score_cluster(evidence, second, scorer, subject)
    history = (exchange, *rescored.history)
    if not _is_better(second, rescored, annotated, scored):
        row = _row(
            annotated,
            scored,
            BoostOutcome.CONFIRMED,
            f"A change was considered and not accepted: {reply.explanation}",
        )
        return row.model_copy(update={"history": history})
    return _row(second, rescored, BoostOutcome.CHANGED, reply.explanation).model_copy(update={"history": history})


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


def _status(annotation: Annotation) -> Status:
    return Status.UNRESOLVED if annotation.unresolved or annotation.label is None else Status.OK


def _row(annotated: AnnotatedCluster, scored: ScoredCluster, outcome: BoostOutcome, explanation: str) -> BoostedCluster:
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
    )
