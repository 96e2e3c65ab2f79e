"""What the embedded backend answers to the analyses on demand: marker knowledge alone, and its limits said."""

from __future__ import annotations

from cassia_dagster.agents.compare import Ballot, CandidateScore, CompareRequest
from cassia_dagster.agents.hypothesize import MOST_ALTERNATIVES, Alternative, Alternatives, HypothesizeRequest
from cassia_dagster.knowledge.deciding import deciding_genes, leaning
from cassia_dagster.knowledge.evidence import check_annotation
from cassia_dagster.knowledge.ontology import load_ontology
from cassia_dagster.knowledge.resolver import resolve_name
from cassia_dagster.records import Annotation, Candidate, ClusterEvidence, Finding, GeneLookup

N_GENES_CITED = 8

EXCLUDED = 0.1
"""Share of its score that a candidate keeps whose lineage the markers exclude."""


def compare(request: CompareRequest) -> Ballot:
    """Score each candidate by the support of its markers, and by what the looked-up genes say against its rivals."""
    evidence = request.evidence
    terms = {name: resolve_name(name, evidence.tissue, evidence.species).cl_id for name in request.candidates}
    return Ballot(scores=tuple(_score(name, terms, evidence, request.lookups) for name in request.candidates))


def hypothesize(request: HypothesizeRequest) -> Alternatives:
    """Name the candidates of marker knowledge that some genes tell from the present label."""
    ontology, found = load_ontology(), list[Alternative]()
    for one in request.candidates:
        # Without a label, each is told from the strongest of the others.
        others = (other.cl_id for other in request.candidates if other.cl_id != one.cl_id)
        against = request.cl_id or next(others, None)
        if against is None or one.cl_id in ontology.ancestors(against):
            continue
        if genes := deciding_genes(request.evidence.species, one.cl_id, (against,)):
            found.append(_alternative(one, genes))
    return Alternatives(alternatives=tuple(found[:MOST_ALTERNATIVES]))


def _alternative(candidate: Candidate, genes: tuple[str, ...]) -> Alternative:
    genes_up = ", ".join(candidate.genes[:N_GENES_CITED])
    return Alternative(
        celltype=candidate.label,
        plausibility=round(100 * candidate.support),
        genes=genes,
        reason=f"Marker knowledge supports it by {100 * candidate.support:.0f} %, for {genes_up}.",
    )


def _score(
    name: str, terms: dict[str, str | None], evidence: ClusterEvidence, lookups: tuple[GeneLookup, ...]
) -> CandidateScore:
    term = terms[name]
    if term is None:
        reasoning = "Marker knowledge has no Cell Ontology term of this name, so that it can say nothing for it."
        return CandidateScore(candidate=name, score=0, reasoning=reasoning)
    check = check_annotation(Annotation(general_celltype=name), evidence)
    rivals = tuple(other for other in terms.values() if other and other != term)
    leans = leaning(evidence.species, lookups, term, rivals)
    excluded = Finding.LINEAGE_CONTRADICTION in check.findings
    share = (check.support + (leans + 1) / 2) / 2 * (EXCLUDED if excluded else 1.0)
    of_term = next((one.genes for one in check.candidates if one.cl_id == term), ())
    return CandidateScore(
        candidate=name,
        score=round(100 * share),
        supporting_genes=tuple(dict.fromkeys((*of_term, *_speaking(evidence, lookups, term, rivals))))[:N_GENES_CITED],
        contradicting_genes=_missing(evidence, lookups, term, rivals)[:N_GENES_CITED],
        reasoning=(
            f"Its markers support it by {100 * check.support:.0f} % of the best type's support; the genes that tell it "
            f"from the other candidates lean to it by {leans:+.2f}."
            + (" The markers speak for a lineage that excludes it." if excluded else "")
        ),
    )


def _speaking(
    evidence: ClusterEvidence, lookups: tuple[GeneLookup, ...], term: str, rivals: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the genes that are up and tell the candidate from its rivals."""
    return tuple(one.gene for one in lookups if leaning(evidence.species, (one,), term, rivals) > 0)


def _missing(
    evidence: ClusterEvidence, lookups: tuple[GeneLookup, ...], term: str, rivals: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the genes that the candidate needs, and that are down or not detected."""
    return tuple(one.gene for one in lookups if leaning(evidence.species, (one,), term, rivals) < 0)
