"""A panel: who sits on it, what its members are asked of candidate cell types, and what code finds of their genes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cassia_dagster.agents.compare import (
    COMPARER,
    FEWEST_CANDIDATES,
    MOST_CANDIDATES,
    Ballot,
    CandidateScore,
    CheckedScore,
    CompareRequest,
    Opinion,
)
from cassia_dagster.agents.crew import for_each
from cassia_dagster.agents.shown import with_markers_shown
from cassia_dagster.errors import InputError, ModelError
from cassia_dagster.knowledge.deciding import deciding_genes, leaning
from cassia_dagster.knowledge.resolver import LONGEST_NAME, resolve_name
from cassia_dagster.llm.errors import UnusableReply
from cassia_dagster.records import ClusterEvidence, Exchange, Expression, GeneLookup, Record, Status

if TYPE_CHECKING:
    from cassia_dagster.llm.door import Door
    from cassia_dagster.singlecell.lookup import LookUp

MAX_ATTEMPTS = 2
"""Answers that a member may give in a round until one is about the candidates."""


@dataclass(frozen=True, slots=True)
class Member:
    """One who sits on the panel.

    Parameters
    ----------
    title
        What it is called in the debate; no two have one.
    door
        The way to its model.
    persona
        The point of view that it takes, in words; empty for none.
    deterministic
        Whether it is rules in code.
    """

    title: str
    door: Door
    persona: str = ""
    deterministic: bool = False


class Statement(Record):
    """What became of one member in one round."""

    member: str
    status: Status
    status_reason: str = ""
    scores: tuple[CheckedScore, ...] = ()

    @property
    def first(self) -> str | None:
        """The candidate that it puts first; ``None`` where it puts none before all others."""
        best = max((one.score for one in self.scores), default=None)
        leaders = [one.candidate for one in self.scores if one.score == best]
        return leaders[0] if len(leaders) == 1 else None


class DebateRound(Record):
    """All members' scores of one round."""

    statements: tuple[Statement, ...]

    @property
    def heard(self) -> tuple[Statement, ...]:
        """Of the members that gave an answer."""
        return tuple(one for one in self.statements if one.status is Status.OK)


def check_candidates(candidates: Sequence[str], evidence: ClusterEvidence) -> dict[str, str | None]:
    """Return each candidate with its Cell Ontology term, if it names one.

    Raises
    ------
    InputError
        If the candidates are too few, too many, empty, or one type under two names.
    """
    names = [" ".join(name.split()) for name in candidates]
    if not FEWEST_CANDIDATES <= len(names) <= MOST_CANDIDATES or not all(names):
        raise InputError(
            f"A comparison needs {FEWEST_CANDIDATES} to {MOST_CANDIDATES} candidates; these are {len(names)}: "
            f"{', '.join(map(repr, names)) or 'none'}."
        )
    terms: dict[str, str | None] = {}
    for name in names:
        if len(name) > LONGEST_NAME or not name.isprintable():
            raise InputError(
                f"{name[:40]!r} is no name of a cell type: give one line of at most {LONGEST_NAME} characters."
            )
        term = resolve_name(name, evidence.tissue, evidence.species).cl_id
        same = next(
            (other for other in terms if other.casefold() == name.casefold() or term == terms[other] is not None), None
        )
        if same is not None:
            raise InputError(f"The candidates {same!r} and {name!r} are one cell type; name two that differ.")
        terms[name] = term
    return terms


class Panel:
    """What the members of one debate are asked, and what code found of the genes they cited."""

    def __init__(self, evidence: ClusterEvidence, terms: dict[str, str | None], look_up: LookUp, subject: str) -> None:
        self.evidence, self.terms, self.subject = evidence, terms, subject
        self.history: list[Exchange] = []
        self._look_up = look_up
        self._errors: list[ModelError] = []
        known = [term for term in terms.values() if term]
        self.telling = {
            term: deciding_genes(evidence.species, term, tuple(other for other in known if other != term))
            for term in known
        }
        genes = tuple(dict.fromkeys(gene for own in self.telling.values() for gene in own))
        self.lookups = look_up(genes) if genes else ()

    def hold(
        self, members: Sequence[Member], present: Sequence[Member], before: Sequence[DebateRound], max_workers: int
    ) -> DebateRound:
        """Ask all who are present, at once; what became of each is in the order of the panel."""
        heard = before[0].heard if before else ()
        said = for_each(present, lambda member: self._ask(member, heard), max_workers)
        for _, exchanges in said:
            self.history += exchanges
        of = {statement.member: statement for statement, _ in said}
        return DebateRound(statements=tuple(of[one.title] for one in members if one.title in of))

    def _ask(self, member: Member, heard: Sequence[Statement]) -> tuple[Statement, list[Exchange]]:
        request = CompareRequest(
            evidence=with_markers_shown(self.evidence),
            candidates=tuple(self.terms),
            lookups=self.lookups,
            persona=member.persona,
            earlier=tuple(Opinion(own=one.member == member.title, scores=one.scores) for one in heard),
        )
        exchanges: list[Exchange] = []
        objection = ""
        try:
            for _ in range(MAX_ATTEMPTS):
                request = request.model_copy(update={"objection": objection})
                ballot, exchange = COMPARER.ask(member.door, request, self.subject)
                exchanges.append(exchange)
                objection = self._objection(ballot)
                if not objection:
                    scores = tuple(self._check(one) for one in ballot.scores)
                    return Statement(member=member.title, status=Status.OK, scores=scores), exchanges
        except UnusableReply as error:
            return Statement(member=member.title, status=error.status, status_reason=str(error)), exchanges
        except ModelError as error:
            # One model of several; what dooms it does not doom the others.
            self._errors.append(error)
            return Statement(member=member.title, status=Status.FAILED, status_reason=str(error)), exchanges
        return Statement(member=member.title, status=Status.INVALID_REPLY, status_reason=objection), exchanges

    def _objection(self, ballot: Ballot) -> str:
        given = Counter(one.candidate for one in ballot.scores)
        if given == Counter(list(self.terms)):
            return ""
        names, scored = ", ".join(self.terms), ", ".join(given) or "none"
        return f"Score each of {names} once, by these very names; the last answer scored {scored}."

    def _check(self, said: CandidateScore) -> CheckedScore:
        supporting = tuple(dict.fromkeys(said.supporting_genes))
        up = (
            {one.gene.casefold() for one in self._look_up(supporting) if one.expression is Expression.UP}
            if supporting
            else set()
        )
        return CheckedScore(
            candidate=said.candidate,
            score=said.score,
            genes_up=tuple(gene for gene in supporting if gene.casefold() in up),
            genes_not_up=tuple(gene for gene in supporting if gene.casefold() not in up),
            contradicting_genes=said.contradicting_genes,
            reasoning=said.reasoning,
        )

    def insist_on_an_answer(self, rounds: Sequence[DebateRound]) -> None:
        """Raise what nobody could be asked for, so that a bad key is not taken for a hung panel."""
        if self._errors and not any(each.heard for each in rounds):
            raise self._errors[0]

    def leaning(self, name: str) -> float | None:
        """Tell how far the looked-up genes speak for a candidate and against its rivals."""
        term = self.terms[name]
        rivals = tuple(other for other in self.terms.values() if other and other != term)
        return leaning(self.evidence.species, self.lookups, term, rivals) if term and rivals else None

    def deciding(self, name: str, scores: Sequence[CheckedScore]) -> tuple[GeneLookup, ...]:
        """Return the genes that are up and tell the candidate from its rivals, and the rivals' that are missing."""
        term = self.terms[name]
        own = set(self.telling.get(term or "", ()))
        cited = Counter(gene for one in scores if one.candidate == name for gene in one.genes_up)
        elsewhere = {gene for one in scores if one.candidate != name for gene in one.genes_up}
        for_it = [gene for gene, count in cited.most_common() if gene not in elsewhere and count > 1]
        looked_up = {one.gene: one for one in (*self.lookups, *(self._look_up(for_it) if for_it else ()))}
        speaks = [
            one
            for gene, one in looked_up.items()
            if (one.expression is Expression.UP and (gene in own or gene in for_it))
            or (one.expression is Expression.NOT_DETECTED and gene not in own)
        ]
        return tuple(sorted(speaks, key=lambda one: (one.expression is not Expression.UP, -cited[one.gene])))
