"""Compares two sets of answers case by case, so that another model or prompt is judged before it is adopted."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum

from cassia_dagster.errors import InputError
from cassia_dagster.evaluation.benchmark import Answer, BenchmarkRun
from cassia_dagster.evaluation.measures import interval
from cassia_dagster.knowledge.ontology import Relation, load_ontology
from cassia_dagster.records import Record


class Change(StrEnum):
    """How the second label of a case stands to the first."""

    SAME = "same"
    FINER = "finer"
    COARSER = "coarser"
    SIBLING = "sibling"
    SAME_LINEAGE = "same_lineage"
    CONTRADICTION = "contradiction"
    GAINED = "gained"
    """The first set has no label that names a type, the second has one."""
    LOST = "lost"
    RENAMED = "renamed"
    """Both have a name, and one of the two is no term of the ontology: how they stand cannot be told."""


class CaseChange(Record):
    """One case in two sets of answers."""

    case: str
    gold_label: str
    first: str | None
    second: str | None
    change: Change
    gain: float | None
    """Hierarchical F1 of the second less that of the first; ``None`` without a mapped gold label."""


class RunComparison(Record):
    """Two sets of answers to the same cases."""

    first: str
    second: str
    changes: tuple[CaseChange, ...]
    counts: dict[Change, int]
    better: int
    """Cases whose hierarchical F1 rose."""
    worse: int
    mean_gain: float
    mean_gain_interval: tuple[float, float]
    """95 %, by bootstrap over the cases: a change whose interval holds 0 may be chance."""


def compare_runs(first: BenchmarkRun, second: BenchmarkRun) -> RunComparison:
    """Compare the answers of two runs.

    Raises
    ------
    InputError
        If they are about different cases.
    """
    ours, theirs = ({(one.case, one.gold_label, one.gold_id): one for one in run.answers} for run in (first, second))
    if strangers := sorted(case for case, _, _ in ours.keys() ^ theirs.keys()):
        raise InputError(
            f"{first.title!r} and {second.title!r} are answers to different cases: {strangers[0]!r} is not in both, or "
            "has another gold label. Run both on the same file."
        )
    changes = tuple(_change(ours[key], theirs[key]) for key in ours)
    gains = [change.gain for change in changes if change.gain is not None]
    counts = Counter(change.change for change in changes)
    return RunComparison(
        first=first.title,
        second=second.title,
        changes=changes,
        counts={change: counts[change] for change in Change},
        better=sum(gain > 0 for gain in gains),
        worse=sum(gain < 0 for gain in gains),
        mean_gain=sum(gains) / len(gains),
        mean_gain_interval=interval(gains),
    )


def _change(first: Answer, second: Answer) -> CaseChange:
    one, other = first.compared.f1, second.compared.f1
    return CaseChange(
        case=first.case,
        gold_label=first.gold_label,
        first=first.label,
        second=second.label,
        change=_kind(_term(first), _term(second)),
        gain=None if one is None or other is None else other - one,
    )


def _term(answer: Answer) -> str | None:
    named = answer.label_id is not None and not load_ontology().is_root_level(answer.label_id)
    return answer.label_id if named else None


def _kind(first: str | None, second: str | None) -> Change:
    if first is None or second is None:
        return Change.SAME if first is second else Change.GAINED if first is None else Change.LOST
    relation = load_ontology().relation(second, first)
    return Change.SAME if relation is Relation.EXACT else Change(relation.value)


def change_of(first: tuple[str | None, str | None], second: tuple[str | None, str | None]) -> Change:
    """Tell how a second label stands to a first.

    Parameters
    ----------
    first, second
        The name, ``None`` where there is none, and its term of the Cell Ontology, ``None`` where it is no term.
    """
    (name, term), (other, other_term) = first, second
    if name == other:
        return Change.SAME
    if name is None or other is None:
        return _kind(name, other)
    if term is None or other_term is None:
        return Change.RENAMED
    ontology = load_ontology()
    if ontology.is_root_level(other_term) and term != other_term:
        return Change.COARSER if other_term in ontology.ancestors(term) else Change.RENAMED
    return _kind(term, other_term)
