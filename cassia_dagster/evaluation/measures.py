"""What one label is worth beside the gold label, and what many are worth together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from cassia_dagster.knowledge.ontology import Relation, load_ontology
from cassia_dagster.records import Fraction, Record

GRADES: Mapping[Relation, float] = {
    Relation.EXACT: 1.0,
    Relation.FINER: 1.0,
    Relation.COARSER: 0.5,
    Relation.SIBLING: 0.5,
    Relation.SAME_LINEAGE: 0.5,
    Relation.CONTRADICTION: 0.0,
    Relation.UNRESOLVED: 0.0,
}
"""The field's full, partial and no match, as a rule: right is the gold label or a kind of it; partly right is what
stays in its lineage; wrong is another lineage, no label, or one so broad that it names no type."""

N_RESAMPLES = 2000


class Comparison(Record):
    """One label beside one gold label."""

    relation: Relation
    precision: Fraction | None
    """Hierarchical, on ancestor sets; ``None`` for all four where the gold label is no term of the ontology."""
    recall: Fraction | None
    f1: Fraction | None
    grade: Fraction | None


def compare_terms(label_id: str | None, gold_id: str | None) -> Comparison:
    """Compare two Cell Ontology terms; ``None`` stands for no label, and for a gold label that is no term."""
    ontology = load_ontology()
    relation = ontology.relation(label_id, gold_id)
    if gold_id is None:
        return Comparison(relation=relation, precision=None, recall=None, f1=None, grade=None)
    score = ontology.hierarchical_score(label_id, gold_id)
    return Comparison(
        relation=relation, precision=score.precision, recall=score.recall, f1=score.f1, grade=GRADES[relation]
    )


class Measures(Record):
    """What labels are worth together. All are weighted means over what has a mapped gold label."""

    n: Annotated[int, Field(ge=1)]
    """How many were compared."""
    mean_hf1: Fraction
    mean_precision: Fraction
    mean_recall: Fraction
    mean_grade: Fraction
    """By the rule of `GRADES`."""
    exact: Fraction
    exact_or_finer: Fraction
    contradiction: Fraction
    coverage: Fraction
    """Share that got a label that names a type."""


def measure(comparisons: Sequence[Comparison], weights: Sequence[float] | None = None) -> Measures | None:
    """Take weighted means.

    Parameters
    ----------
    comparisons
        Those beside an unmapped gold label are left out.
    weights
        One for each, not all zero; all alike if not given.

    Returns
    -------
    Measures
        ``None`` where no gold label is mapped.
    """
    weighed = [
        (one, weight)
        for one, weight in zip(comparisons, weights or [1.0] * len(comparisons), strict=True)
        if one.relation is not Relation.UNMAPPED
    ]
    whole = sum(weight for _, weight in weighed)
    if not whole:
        return None

    def mean(of: str) -> float:
        return min(1.0, sum((getattr(one, of) or 0.0) * weight for one, weight in weighed) / whole)

    def share(*relations: Relation) -> float:
        return min(1.0, sum(weight for one, weight in weighed if one.relation in relations) / whole)

    return Measures(
        n=len(weighed),
        mean_hf1=mean("f1"),
        mean_precision=mean("precision"),
        mean_recall=mean("recall"),
        mean_grade=mean("grade"),
        exact=share(Relation.EXACT),
        exact_or_finer=share(Relation.EXACT, Relation.FINER),
        contradiction=share(Relation.CONTRADICTION),
        coverage=1.0 - share(Relation.UNRESOLVED),
    )


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of a mean: the cases drawn anew with replacement, 2,000 times.

    The same for the same values: the draws begin with a fixed seed.

    Examples
    --------
    >>> interval([0.5, 0.5, 0.5])
    (0.5, 0.5)
    """
    import numpy as np

    drawn = np.random.default_rng(0).choice(np.asarray(values, dtype=float), (N_RESAMPLES, len(values)))
    low, high = np.quantile(drawn.mean(axis=1), [0.025, 0.975])
    return float(low), float(high)
