"""The annotator names a cluster: at once, with a validator who may send it back, or after asking for genes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, model_validator

from cassia_dagster.agents.role import Role
from cassia_dagster.agents.shown import with_markers_shown
from cassia_dagster.agents.validate import VALIDATOR, ValidateRequest
from cassia_dagster.errors import ModelError
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
    Expression,
    GeneLookup,
    Name,
    Prose,
    Record,
    Status,
    Strategy,
    Unresolved,
    Verdict,
)
from cassia_dagster.singlecell.lookup import look_up_markers

if TYPE_CHECKING:
    from cassia_dagster.llm.door import Door
    from cassia_dagster.singlecell.lookup import LookUp

FEW_CELLS = 10
"""Clusters smaller than this often have no significant marker, whatever they are."""

MAX_ROUNDS = 3
"""Attempts at a validated label, the first included."""

MAX_LOOKUPS = 5
"""Times that the fused annotator may ask for genes before it answers."""


class Attempt(Record):
    """An earlier answer that was sent back."""

    annotation: Annotation
    reasons: Prose


class AnnotateRequest(Record):
    """What the annotator is asked."""

    evidence: ClusterEvidence
    candidates: tuple[Candidate, ...]
    """What marker knowledge proposes: a hint, not an answer."""
    earlier: tuple[Attempt, ...] = ()
    lookups: tuple[GeneLookup, ...] = ()
    """What was found of the genes that it asked for."""
    rounds_left: int = 0
    """Times that it may still ask for genes."""


class AnnotateStep(Record):
    """What an annotator answers who may still ask for genes: genes to look up, or its annotation."""

    genes: Annotated[tuple[Name, ...], Field(max_length=10)] = ()
    annotation: Annotation | None = None

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Self:
        if bool(self.genes) == (self.annotation is not None):
            raise ValueError("give either genes to look up or an annotation")
        return self


ANNOTATOR = Role("annotate", version=2, request=AnnotateRequest, reply=Annotation)
ASKING_ANNOTATOR = Role("annotate", version=2, request=AnnotateRequest, reply=AnnotateStep)


@dataclass(slots=True)
class _Work:
    """What was reached so far, so that it is kept also when a later question fails."""

    annotation: Annotation | None = None
    check: EvidenceCheck | None = None
    verdicts: list[Verdict] = field(default_factory=list)
    lookups: list[GeneLookup] = field(default_factory=list)
    history: list[Exchange] = field(default_factory=list)


def annotate_cluster(
    evidence: ClusterEvidence,
    annotator: Door,
    validator: Door,
    subject: str,
    strategy: Strategy = Strategy.VALIDATED,
    look_up: LookUp | None = None,
) -> AnnotatedCluster:
    """Name one cluster, and check the name by code.

    Parameters
    ----------
    evidence
        What the data says of the cluster.
    annotator, validator
        The doors to the models of the two roles; only the validated strategy asks the second.
    subject
        What the ledger calls the cluster, such as ``"islets/0.4/3"``.
    strategy
        How the label is arrived at.
    look_up
        Answers for genes of this cluster, which only the fused strategy asks for; by default its markers do.

    Returns
    -------
    AnnotatedCluster
        Always; a cluster that got no usable answer says so in its status. The last attempt stands, accepted
        or not; the validator's words are kept with it.
    """
    if not evidence.markers:
        nothing = Annotation(
            general_celltype=None, unresolved=Unresolved.NO_MARKERS, rationale=_why_no_markers(evidence)
        )
        return _row(evidence, _Work(annotation=nothing), strategy, None)
    work, candidates = _Work(), shortlist(evidence)
    request = AnnotateRequest(evidence=with_markers_shown(evidence), candidates=candidates)
    try:
        match strategy:
            case Strategy.ONE_SHOT:
                _attempt(request, evidence, annotator, subject, work)
            case Strategy.VALIDATED:
                _validated(request, evidence, annotator, validator, subject, work)
            case Strategy.FUSED:
                _fused(request, evidence, annotator, subject, work, look_up)
    except UnusableReply as error:
        return _row(evidence, work, strategy, error)
    return _row(evidence, work, strategy, None)


def _attempt(
    request: AnnotateRequest, evidence: ClusterEvidence, annotator: Door, subject: str, work: _Work
) -> tuple[Annotation, EvidenceCheck]:
    annotation, exchange = ANNOTATOR.ask(annotator, request, subject)
    work.history.append(exchange)
    return _keep(annotation, evidence, work)


def _keep(annotation: Annotation, evidence: ClusterEvidence, work: _Work) -> tuple[Annotation, EvidenceCheck]:
    check = check_annotation(annotation, evidence, also_up=genes_up(work.lookups))
    work.annotation, work.check = annotation, check
    return annotation, check


def _validated(
    request: AnnotateRequest,
    evidence: ClusterEvidence,
    annotator: Door,
    validator: Door,
    subject: str,
    work: _Work,
) -> None:
    for _ in range(MAX_ROUNDS):
        annotation, check = _attempt(request, evidence, annotator, subject, work)
        review = ValidateRequest(evidence=request.evidence, annotation=annotation, check=check)
        verdict, exchange = VALIDATOR.ask(validator, review, subject)
        work.history.append(exchange)
        work.verdicts.append(verdict)
        if verdict.accepted:
            return
        attempt = Attempt(annotation=annotation, reasons=verdict.reasons)
        request = request.model_copy(update={"earlier": (*request.earlier, attempt)})


def _fused(
    request: AnnotateRequest,
    evidence: ClusterEvidence,
    annotator: Door,
    subject: str,
    work: _Work,
    look_up: LookUp | None,
) -> None:
    for left in range(MAX_LOOKUPS, 0, -1):
        request = request.model_copy(update={"lookups": tuple(work.lookups), "rounds_left": left})
        step, exchange = ASKING_ANNOTATOR.ask(annotator, request, subject)
        work.history.append(exchange)
        if step.annotation is not None:
            _keep(step.annotation, evidence, work)
            return
        found = look_up(step.genes) if look_up else look_up_markers(evidence, step.genes)
        known = {one.gene for one in work.lookups}
        work.lookups += [one for one in found if one.gene not in known]
    request = request.model_copy(update={"lookups": tuple(work.lookups), "rounds_left": 0})
    _attempt(request, evidence, annotator, subject, work)


def genes_up(lookups: list[GeneLookup] | tuple[GeneLookup, ...]) -> frozenset[str]:
    """Return the genes that were found up: those that an answer may cite beside the markers it was shown."""
    return frozenset(one.gene for one in lookups if one.expression is Expression.UP)


def refuse_silence(rows: Sequence[AnnotatedCluster]) -> None:
    """Raise `ModelError` if no cluster got an answer at all, so that nothing good is replaced by nothing.

    A cluster that cannot be named, a refusal and a spent budget are answers.
    """
    if rows and all(row.status is Status.FAILED and row.annotation is None for row in rows):
        raise ModelError(
            f"None of the {len(rows)} clusters got an answer. {rows[0].status_reason} What was answered is kept; "
            "the same command asks for the rest."
        )


def _why_no_markers(evidence: ClusterEvidence) -> str:
    if evidence.share == 1.0:
        return "It is the only cluster, so there is nothing that its genes could be compared with."
    if evidence.n_cells is not None and evidence.n_cells < FEW_CELLS:
        return f"With {evidence.n_cells} cells the cluster is too small for a gene to stand out from the rest."
    return "No gene is significantly higher in this cluster than in the rest."


def _row(evidence: ClusterEvidence, work: _Work, strategy: Strategy, error: UnusableReply | None) -> AnnotatedCluster:
    annotation = work.annotation
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
        check=work.check,
        rounds=tuple(work.verdicts),
        strategy=strategy,
        lookups=tuple(work.lookups),
        history=tuple(work.history),
    )
