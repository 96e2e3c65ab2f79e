"""What several independent answers about one cluster agree on, measured on the Cell Ontology."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import combinations

from cassia_dagster.knowledge.ontology import load_ontology
from cassia_dagster.knowledge.spelling import normalise
from cassia_dagster.records import Fraction, Record

_TEXT = "text:"
"""Before a label that is no term: it agrees with itself, and with nothing else."""
_ROUNDING = 1e-9


class Vote(Record):
    """One answer; with neither label nor term, that the cluster cannot be named."""

    label: str | None
    cl_id: str | None


class Consensus(Record):
    """What votes have in common."""

    votes: int
    modal_label: str | None
    """The label with most votes, the one first given of several; ``None`` where most name nothing."""
    modal_share: Fraction
    """Of the votes that say what most say."""
    mean_pairwise_f1: Fraction | None
    """Hierarchical F1 of two votes, over all pairs; ``None`` with fewer than two votes."""
    entropy: float
    """Of the votes' distribution over labels, in bits: 0 where all say the same."""
    label: str | None
    """The most detailed name that enough votes bear, else ``None``: nothing is named."""
    cl_id: str | None
    support: int
    """Votes for the term, or for a kind of it."""


def least_votes(n_votes: int, share: float) -> int:
    """Return how many of the votes are at least a share of them.

    Examples
    --------
    >>> least_votes(5, 0.6), least_votes(4, 0.6), least_votes(3, 2 / 3)
    (3, 3, 2)
    """
    return math.ceil(share * n_votes - _ROUNDING)


def find_consensus(votes: Sequence[Vote], least: int) -> Consensus:
    r"""Compare votes, and name what at least so many of them bear.

    The consensus is the lowest common ancestor that has enough votes: the term with the fewest terms below it (then
    the one with most above, then the lowest id) of those that are, or lie above, the terms of ``least`` votes. Terms
    so broad that they name no type are none. The entropy is :math:`-\sum_i p_i \log_2 p_i` over the labels' shares.

    Parameters
    ----------
    votes
        The answers, in order; at least one.
    least
        Votes that must bear a name.
    """
    keys = [_key(vote) for vote in votes]
    counts = Counter(keys)
    modal, most = counts.most_common(1)[0]
    pairs = [_alike(one, other) for one, other in combinations(keys, 2)]
    chosen, support = _chosen(votes, least), _support(votes)
    return Consensus(
        votes=len(votes),
        modal_label=_label(votes, modal),
        modal_share=most / len(votes),
        mean_pairwise_f1=sum(pairs) / len(pairs) if pairs else None,
        entropy=-sum(n / len(votes) * math.log2(n / len(votes)) for n in counts.values() if n < len(votes)),
        label=_label(votes, chosen),
        cl_id=chosen if chosen in load_ontology() else None,
        support=support[chosen] if chosen else 0,
    )


def is_decided(votes: Sequence[Vote], left: int, least: int) -> bool:
    """Tell whether the consensus is what it will be, whatever the votes say that are still to come.

    Parameters
    ----------
    votes
        The answers so far.
    left
        How many are still to come.
    least
        Votes that must bear a name, of all of them.
    """
    if left >= least:
        return False  # they could all name something new
    chosen, support = _chosen(votes, least), _support(votes)
    return not any(
        count + left >= least and (chosen is None or _preference(name) < _preference(chosen))
        for name, count in support.items()
    )


def _chosen(votes: Sequence[Vote], least: int) -> str | None:
    borne = (name for name, count in _support(votes).items() if count >= least)
    return min(borne, key=_preference, default=None)


def _support(votes: Sequence[Vote]) -> Counter[str]:
    """Count for each name the votes for it or for a kind of it."""
    return Counter(name for vote in votes for name in _names(vote))


def _names(vote: Vote) -> frozenset[str]:
    ontology, key = load_ontology(), _key(vote)
    if key in ontology:
        return frozenset(term for term in ontology.ancestors(key) if not ontology.is_root_level(term))
    return frozenset({key} if key else ())


def _preference(name: str) -> tuple[int, int, str]:
    ontology = load_ontology()
    if name not in ontology:
        return (0, 0, name)
    return (ontology.n_descendants(name), -len(ontology.ancestors(name)), name)


def _key(vote: Vote) -> str:
    return vote.cl_id or (f"{_TEXT}{normalise(vote.label) or vote.label.casefold()}" if vote.label else "")


def _alike(one: str, other: str) -> float:
    if one == other:
        return 1.0
    ontology = load_ontology()
    return ontology.hierarchical_score(one, other).f1 if one in ontology and other in ontology else 0.0


def _label(votes: Sequence[Vote], name: str | None) -> str | None:
    if not name:
        return None
    ontology = load_ontology()
    return ontology.label(name) if name in ontology else next(vote.label for vote in votes if _key(vote) == name)
