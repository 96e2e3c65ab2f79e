"""The numbers that the model behind the candidates hangs on, in one place, where a procedure can choose them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Weighing:
    """How markers are weighed, and from when on a cluster is named.

    The values that ship were settled with the development clusters in view. ``python -m benchmarks.crossfit`` chooses
    them anew on one part of those clusters and reports on the other; ``docs/evaluation.md`` has the outcome.
    """

    # What is known of the types.
    genes_per_type: int = 65
    """Heaviest genes of a type that are kept."""
    curated: float = 0.1
    """What a curator's choice adds to a weight, where all weights of a type have length 1: about rank ten."""
    min_sources: int = 3
    """Sources that must speak of a type: the lists of fewer are too short and too odd to compete with the others."""

    # How a cluster is read.
    n_markers: int = 20
    """Informative markers that are read for the type; the tail adds noise."""
    lineage_markers: int = 50
    """Informative markers that are read for the lineage, which shows in more of them than the type."""
    temperature: float = 0.03
    """Difference of fit that makes a type e times as likely."""
    renown: float = 0.6
    """Power of the number of sources that speak of a type itself, and not of one of its kinds."""
    lineage_weight: float = 3.0
    """Weight of the mean log odds of the lineages."""
    own_organ: float = 0.6
    """Added to the logarithm of the probability of types that are bound to the sample's organ."""
    other_organ: float = 0.6
    """Factor on the fit of types that are bound to organs other than the sample's."""

    # When it is named, and how closely.
    half_fit: float = 0.08
    """Fit at which confidence is halved."""
    min_speaking: int = 3
    """Genes that must speak for a type: one or two are a hint, however specific, and may be ambient."""
    min_confidence: float = 0.25
    mixed: float = 0.2
    """Share of the markers that only a rival lineage explains, above which a cluster is mixed: 6 of 10 made-up doublets
    have more, 1 of 100 real clusters."""
    sure: float = 0.75
    """Confidence in a type from which on its kinds are told apart."""
    clear_kind: float = 0.75
    """Of a kind's fit, the most that its siblings may reach where it is named instead of its parent."""


SETTLED = Weighing()
"""What everything uses that asks for nothing else."""
