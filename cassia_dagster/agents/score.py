"""The scorer rates how well a label is earned; the total is computed here, not by the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cassia_dagster.agents.role import Role
from cassia_dagster.agents.shown import with_markers_shown
from cassia_dagster.llm.errors import UnusableReply
from cassia_dagster.records import (
    AnnotatedCluster,
    Annotation,
    ClusterEvidence,
    EvidenceCheck,
    GeneLookup,
    Prose,
    Record,
    Rubric,
    ScoredCluster,
    Verdict,
)

if TYPE_CHECKING:
    from cassia_dagster.llm.door import Door

WEIGHTS = {"identity": 4.0, "specificity": 2.0, "balance": 2.0, "alternatives": 2.0}
"""Points of the total for each point of a rating; they make 100 of four tens."""


class ScoreRequest(Record):
    """What the scorer is asked."""

    evidence: ClusterEvidence
    annotation: Annotation
    check: EvidenceCheck
    verdicts: tuple[Verdict, ...]
    lookups: tuple[GeneLookup, ...] = ()
    """Genes that were looked up before the label was given."""
    namesakes: tuple[str, ...] = ()
    """Other clusters of the name that it had before, from which it was to be told; code's, and not shown."""


class ScoreReply(Record):
    """What the scorer answers."""

    rubric: Rubric
    reasoning: Prose


SCORER = Role("score", version=2, request=ScoreRequest, reply=ScoreReply)


def total(rubric: Rubric) -> float:
    """Add the ratings up to a score between 0 and 100.

    Examples
    --------
    >>> total(Rubric(identity=10, specificity=5, balance=5, alternatives=10))
    80.0
    """
    return sum(points * float(getattr(rubric, part)) for part, points in WEIGHTS.items())


def score_cluster(
    evidence: ClusterEvidence,
    annotated: AnnotatedCluster,
    scorer: Door,
    subject: str,
    namesakes: tuple[str, ...] = (),
) -> ScoredCluster:
    """Score the label of one cluster; a cluster without a label has no score, and a row all the same."""
    annotation, check = annotated.annotation, annotated.check
    if annotation is None or check is None or annotation.label is None or annotation.unresolved:
        return ScoredCluster(
            cluster=annotated.cluster,
            status=annotated.status,
            status_reason=annotated.status_reason,
            score=None,
            rubric=None,
            reasoning="There is no label to score.",
        )
    request = ScoreRequest(
        evidence=with_markers_shown(evidence),
        annotation=annotation,
        check=check,
        verdicts=annotated.rounds,
        lookups=annotated.lookups,
        namesakes=namesakes,
    )
    try:
        reply, exchange = SCORER.ask(scorer, request, subject)
    except UnusableReply as error:
        return ScoredCluster(
            cluster=annotated.cluster, status=error.status, status_reason=str(error), score=None, rubric=None
        )
    return ScoredCluster(
        cluster=annotated.cluster,
        status=annotated.status,
        status_reason=annotated.status_reason,
        score=total(reply.rubric),
        rubric=reply.rubric,
        reasoning=reply.reasoning,
        history=(exchange,),
    )
