"""What else could it be? Alternatives to a label, ranked, with the genes that would tell looked up by code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from cassia_dagster.agents.role import Role
from cassia_dagster.agents.shown import with_markers_shown
from cassia_dagster.knowledge.candidates import shortlist
from cassia_dagster.knowledge.deciding import deciding_genes, leaning
from cassia_dagster.knowledge.evidence import check_annotation
from cassia_dagster.knowledge.ontology import Relation, load_ontology
from cassia_dagster.llm.errors import UnusableReply
from cassia_dagster.records import (
    Annotation,
    BoostedCluster,
    BoostRound,
    Candidate,
    ClusterEvidence,
    ClusterFinding,
    Exchange,
    Expression,
    Finding,
    Fraction,
    GeneLookup,
    Name,
    Percent,
    Prose,
    Record,
    Status,
)
from cassia_dagster.singlecell.lookup import look_up_markers

if TYPE_CHECKING:
    from cassia_dagster.llm.door import Door
    from cassia_dagster.singlecell.lookup import LookUp

MOST_ALTERNATIVES = 5
N_CANDIDATES = 8
N_GENES = 10
N_GENES_KNOWN = 5
"""Genes of marker knowledge that are looked up beside those that the model names."""

ABSENT = frozenset({Expression.NOT_MEASURED, Expression.NOT_LISTED})
"""What says nothing of a gene but that the data does not have it."""


class HypothesizeRequest(Record):
    """What is asked about one cluster."""

    evidence: ClusterEvidence
    annotation: Annotation | None
    """The present label."""
    cl_id: str | None
    """Its Cell Ontology term; code's, and not shown."""
    findings: tuple[Finding, ...]
    candidates: tuple[Candidate, ...]
    """What marker knowledge proposes."""
    tested: tuple[BoostRound, ...]
    """What the second look tested."""


class Alternative(Record):
    """A type that the cluster may be instead."""

    celltype: Name
    plausibility: Annotated[int, Field(ge=0, le=100)]
    genes: Annotated[tuple[Name, ...], Field(max_length=N_GENES)]
    """Genes that it must show, and the present label must not."""
    reason: Prose


class Alternatives(Record):
    """What is answered."""

    alternatives: Annotated[tuple[Alternative, ...], Field(max_length=MOST_ALTERNATIVES)]


HYPOTHESIZER = Role("hypothesize", version=1, request=HypothesizeRequest, reply=Alternatives)


class RankedHypothesis(Record):
    """An alternative, and what code says of it."""

    celltype: Name
    cl_id: str | None
    relation: Relation | None
    """How it stands to the present label on the ontology; ``None`` where one of them is no term."""
    plausibility: Percent
    """As the model has it."""
    support: Fraction
    """Of marker knowledge, relative to the best candidate's."""
    leaning: Annotated[float, Field(ge=-1, le=1)] | None
    """1 if all looked-up genes that tell it from the label speak for it, -1 if all speak against it; ``None`` if there
    is none."""
    lookups: tuple[GeneLookup, ...]
    """The genes that would tell, in the data."""
    not_measured: tuple[str, ...]
    """Those that the data does not have: measure them to be sure."""
    tested: bool
    """Whether the second look has tested it."""
    reason: Prose


class ClusterHypotheses(ClusterFinding):
    """A row of ``hypotheses``."""

    status: Status
    status_reason: str = ""
    label: Name | None
    alternatives: tuple[RankedHypothesis, ...]
    """The most plausible first."""
    second_look: str = ""
    """What the booster made of the rivals that it tested."""
    deterministic: bool
    """Whether marker knowledge alone answered."""
    history: tuple[Exchange, ...] = ()


def rank_hypotheses(
    evidence: ClusterEvidence,
    cells: str,
    boosted: BoostedCluster,
    door: Door,
    subject: str,
    *,
    look_up: LookUp | None = None,
) -> ClusterHypotheses:
    """List what else a cluster could be, and look up the genes that would tell.

    Parameters
    ----------
    evidence, cells
        What the data says of the cluster, and the digest of its cells.
    boosted
        The final word on it so far, with what the second look tested.
    door
        The way to the model.
    subject
        What the ledger calls the cluster.
    look_up
        Answers for genes of this cluster; by default its markers do.

    Returns
    -------
    ClusterHypotheses
        Always; a cluster without markers, or without a usable answer, says so in its status.
    """
    annotation, check = boosted.annotation, boosted.check
    row = ClusterHypotheses(
        cluster=boosted.cluster,
        cells=cells,
        status=Status.UNRESOLVED,
        status_reason="The cluster has no markers; nothing speaks for any type.",
        label=annotation.label if annotation and not annotation.unresolved else None,
        alternatives=(),
        second_look=boosted.explanation if boosted.rounds else "",
        deterministic=False,
    )
    if not evidence.markers:
        return row
    request = HypothesizeRequest(
        evidence=with_markers_shown(evidence),
        annotation=annotation,
        cl_id=check.cl_id if check and row.label else None,
        findings=check.findings if check else (),
        candidates=shortlist(evidence, limit=N_CANDIDATES),
        tested=boosted.rounds,
    )
    try:
        reply, exchange = HYPOTHESIZER.ask(door, request, subject)
    except UnusableReply as error:
        return row.model_copy(update={"status": error.status, "status_reason": str(error)})
    answer = look_up or (lambda genes: look_up_markers(evidence, genes))
    ranked = (_check(one, request, evidence, answer) for one in reply.alternatives)
    # The present label under another name is no alternative to it.
    others = [one for one in ranked if one.relation is not Relation.EXACT]
    return row.model_copy(
        update={
            "status": Status.OK,
            "status_reason": "",
            "alternatives": tuple(sorted(others, key=lambda one: (-one.plausibility, -one.support, one.celltype))),
            "deterministic": exchange.provider == "embedded",
            "history": (exchange,),
        }
    )


def _check(
    said: Alternative, request: HypothesizeRequest, evidence: ClusterEvidence, look_up: LookUp
) -> RankedHypothesis:
    check = check_annotation(Annotation(general_celltype=said.celltype), evidence)
    rivals = (request.cl_id,) if request.cl_id and request.cl_id != check.cl_id else ()
    known = deciding_genes(evidence.species, check.cl_id, rivals, N_GENES_KNOWN) if check.cl_id and rivals else ()
    genes = tuple(dict.fromkeys((*said.genes, *known)))
    lookups = look_up(genes) if genes else ()
    return RankedHypothesis(
        celltype=said.celltype,
        cl_id=check.cl_id,
        relation=load_ontology().relation(check.cl_id, request.cl_id) if check.cl_id and request.cl_id else None,
        plausibility=said.plausibility,
        support=check.support,
        leaning=leaning(evidence.species, lookups, check.cl_id, rivals) if check.cl_id and rivals else None,
        lookups=tuple(one for one in lookups if one.expression not in ABSENT),
        not_measured=tuple(one.gene for one in lookups if one.expression in ABSENT),
        tested=_was_tested(said.celltype, check.cl_id, request.tested),
        reason=said.reason,
    )


def _was_tested(celltype: str, cl_id: str | None, rounds: tuple[BoostRound, ...]) -> bool:
    ontology = load_ontology()
    tested = {one.celltype for each in rounds for one in each.hypotheses}
    same_name = celltype.casefold() in {name.casefold() for name in tested}
    return same_name or (cl_id is not None and cl_id in {ontology.resolve(name) for name in tested})
