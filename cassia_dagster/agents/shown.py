"""Which of a cluster's markers a model is shown: the best, and enough of those that tell what a cell is."""

from __future__ import annotations

from itertools import islice

from cassia_dagster.knowledge.markers import tells_identity
from cassia_dagster.records import ClusterEvidence, Marker

N_MARKERS = 50
"""The best markers, whatever they tell."""

LEAST_TELLING = 25
"""Markers that tell identity, which a model is shown if the cluster has so many."""


def with_markers_shown(evidence: ClusterEvidence) -> ClusterEvidence:
    """Keep the best fifty markers, and further ones that tell identity where fewer than half of these do.

    Small, resting cells such as naive T cells are set apart by their ribosomes first of all: forty and more of their
    best fifty markers tell nothing but that. What they are stands further down, and is still significant.
    """
    return evidence.model_copy(update={"markers": markers_shown(evidence.markers)})


def markers_shown(
    markers: tuple[Marker, ...], n_best: int = N_MARKERS, least_telling: int = LEAST_TELLING
) -> tuple[Marker, ...]:
    """Choose as `with_markers_shown` does; the order stays."""
    best, rest = markers[:n_best], markers[n_best:]
    missing = least_telling - sum(tells_identity(marker.gene) for marker in best)
    return (*best, *islice((marker for marker in rest if tells_identity(marker.gene)), max(0, missing)))
