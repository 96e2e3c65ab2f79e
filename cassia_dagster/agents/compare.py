"""A member of a panel scores the candidate types of one cluster; what it is asked, and what it answers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cassia_dagster.agents.role import Role
from cassia_dagster.records import ClusterEvidence, GeneLookup, Genes, Name, Percent, Prose, Record

FEWEST_CANDIDATES = 2
LONGEST_PERSONA = 500
"""Characters of a point of view."""
MOST_CANDIDATES = 4

POINTS_OF_VIEW = (
    "You trust the few most specific markers, and ask which candidate explains them.",
    "You think of lineage first: which candidate's parent types do the genes bear, and which do they exclude?",
    "You doubt: which genes may be ambient RNA, a doublet or a state, and which that a candidate needs are missing?",
)
"""Of the members of a panel of one model."""

type Candidates = Annotated[tuple[Name, ...], Field(min_length=FEWEST_CANDIDATES, max_length=MOST_CANDIDATES)]


class CandidateScore(Record):
    """What a member says of one candidate."""

    candidate: Name
    score: Annotated[int, Field(ge=0, le=100)]
    supporting_genes: Genes = ()
    contradicting_genes: Genes = ()
    reasoning: Prose = ""


class Ballot(Record):
    """What a member answers."""

    scores: Annotated[tuple[CandidateScore, ...], Field(max_length=MOST_CANDIDATES)]


class CheckedScore(Record):
    """What a member says of one candidate, with its genes as code found them in the data."""

    candidate: Name
    score: Percent
    genes_up: tuple[str, ...]
    """Supporting genes that are up in the cluster."""
    genes_not_up: tuple[str, ...]
    """Supporting genes that are not: they count for nothing."""
    contradicting_genes: tuple[str, ...]
    reasoning: Prose


class Opinion(Record):
    """A ballot of the last round, as the members see it; they are not told whose."""

    own: bool
    scores: tuple[CheckedScore, ...]


class CompareRequest(Record):
    """What a member is asked."""

    evidence: ClusterEvidence
    candidates: Candidates
    lookups: tuple[GeneLookup, ...]
    """Genes that marker knowledge says would tell the candidates apart, as the data has them."""
    persona: Annotated[str, Field(max_length=LONGEST_PERSONA)] = ""
    earlier: tuple[Opinion, ...] = ()
    objection: str = ""


COMPARER = Role("compare", version=1, request=CompareRequest, reply=Ballot)
