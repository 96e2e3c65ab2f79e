"""The annotator names a cluster; the validator may send it back, with reasons, a bounded number of times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cassia_dagster.agents.role import Role
from cassia_dagster.agents.validate import VALIDATOR, ValidateRequest
from cassia_dagster.knowledge.candidates import shortlist
from cassia_dagster.knowledge.evidence import check_annotation
from cassia_dagster.llm.errors import UnusableReply
from cassia_dagster.records import (
    AnnotatedCluster,
    Annotation,
    Candidate,
    ClusterEvidence,
    EvidenceCheck,
    Exchange,
    Record,
    Status,
    Unresolved,
    Verdict,
)

if TYPE_CHECKING:
    from cassia_dagster.llm.door import Door

N_MARKERS = 50
"""Markers that a model is shown; more cost tokens and add nothing."""

FEW_CELLS = 10
"""Clusters smaller than this often have no significant marker, whatever they are."""

MAX_ROUNDS = 3
"""Attempts at a label, the first included."""


class Attempt(Record):
    """An earlier answer that was sent back."""

    annotation: Annotation
    reasons: str


class AnnotateRequest(Record):
    """What the annotator is asked."""

    evidence: ClusterEvidence
    candidates: tuple[Candidate, ...]
    """What marker knowledge proposes: a hint, not an answer."""
    earlier: tuple[Attempt, ...] = ()


ANNOTATOR = Role("annotate", version=1, request=AnnotateRequest, reply=Annotation)


def annotate_cluster(evidence: ClusterEvidence, annotator: Door, validator: Door, subject: str) -> AnnotatedCluster:
    """Name one cluster: annotate, check by code, validate, and revise if the validator asks for it.

    Parameters
    ----------
    evidence
        What the data says of the cluster.
    annotator, validator
        The doors to the models of the two roles.
    subject
        What the ledger calls the cluster, such as ``"islets/0.4/3"``.

    Returns
    -------
    AnnotatedCluster
        Always; a cluster that got no usable answer says so in its status. The last attempt stands, accepted
        or not; the validator's words are kept with it.
    """
    if not evidence.markers:
        annotation = Annotation(
            general_celltype=None,
            unresolved=Unresolved.NO_MARKERS,
            rationale=_why_no_markers(evidence),
        )
        return AnnotatedCluster(
            cluster=evidence.cluster,
            evidence=evidence,
            status=Status.UNRESOLVED,
            annotation=annotation,
            check=None,
        )
    shown = evidence.model_copy(update={"markers": evidence.markers[:N_MARKERS]})
    candidates = shortlist(evidence)
    attempts: list[tuple[Annotation, EvidenceCheck]] = []
    verdicts: list[Verdict] = []
    history: list[Exchange] = []
    try:
        while len(attempts) < MAX_ROUNDS and not (verdicts and verdicts[-1].accepted):
            earlier = tuple(
                Attempt(annotation=annotation, reasons=verdict.reasons)
                for (annotation, _), verdict in zip(attempts, verdicts, strict=True)
            )
            request = AnnotateRequest(evidence=shown, candidates=candidates, earlier=earlier)
            annotation, exchange = ANNOTATOR.ask(annotator, request, subject)
            history.append(exchange)
            check = check_annotation(annotation, evidence)
            attempts.append((annotation, check))
            verdict, exchange = VALIDATOR.ask(
                validator, ValidateRequest(evidence=shown, annotation=annotation, check=check), subject
            )
            history.append(exchange)
            verdicts.append(verdict)
    except UnusableReply as error:
        return _row(evidence, attempts, verdicts, history, error)
    return _row(evidence, attempts, verdicts, history, None)


def _why_no_markers(evidence: ClusterEvidence) -> str:
    if evidence.share == 1.0:
        return "It is the only cluster, so there is nothing that its genes could be compared with."
    if evidence.n_cells is not None and evidence.n_cells < FEW_CELLS:
        return f"With {evidence.n_cells} cells the cluster is too small for a gene to stand out from the rest."
    return "No gene is significantly higher in this cluster than in the rest."


def _row(
    evidence: ClusterEvidence,
    attempts: list[tuple[Annotation, EvidenceCheck]],
    verdicts: list[Verdict],
    history: list[Exchange],
    error: UnusableReply | None,
) -> AnnotatedCluster:
    """Keep what was reached, also when a later question failed."""
    annotation, check = attempts[-1] if attempts else (None, None)
    if error is not None:
        status = error.status
    elif annotation is None or annotation.unresolved or annotation.label is None:
        status = Status.UNRESOLVED
    else:
        status = Status.OK
    return AnnotatedCluster(
        cluster=evidence.cluster,
        evidence=evidence,
        status=status,
        status_reason=str(error or ""),
        annotation=annotation,
        check=check,
        rounds=tuple(verdicts),
        history=tuple(history),
    )
