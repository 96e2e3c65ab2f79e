"""Which markers of a cluster people see: the best, and enough of those that tell what a cell is."""

from __future__ import annotations

from typing import NamedTuple

from cassia_dagster.agents.shown import markers_shown
from cassia_dagster.knowledge.markers import tells_identity
from cassia_dagster.outputs.result import ResolutionResult
from cassia_dagster.records import ClusterEvidence, ClusterResult, Marker

BEST = 10
"""The best markers, whatever they tell."""

LEAST_TELLING = 5
"""Markers that tell identity, which are shown if the cluster has so many: naive T cells lead with their ribosomes."""


class Ranked(NamedTuple):
    """A marker, and its place among all of the cluster's."""

    rank: int
    marker: Marker


def shown_markers(evidence: ClusterEvidence) -> list[Ranked]:
    """List the markers of a cluster that people see, the best first."""
    shown = set(markers_shown(evidence.markers, BEST, LEAST_TELLING))
    return [Ranked(rank, marker) for rank, marker in enumerate(evidence.markers, 1) if marker in shown]


def telling_first(evidence: ClusterEvidence) -> list[str]:
    """List the same genes, those that tell what a cell is before the others: for where there is room for few."""
    return sorted((one.marker.gene for one in shown_markers(evidence)), key=lambda gene: not tells_identity(gene))


def genes_shown(result: ResolutionResult) -> list[str]:
    """List the genes that the report carries the values of, each once: markers that it shows, and those it cites."""
    return list(dict.fromkeys(gene for row in result.clusters for gene in (*_shown(row), *_cited(row))))


def _shown(row: ClusterResult) -> list[str]:
    return [one.marker.gene for one in shown_markers(row.evidence)]


def _cited(row: ClusterResult) -> list[str]:
    """Genes that were cited for the label, as far as they are markers and so in the data."""
    cited = set(row.boosted.annotation.supporting_genes) if row.boosted.annotation else set()
    return [marker.gene for marker in row.evidence.markers if marker.gene in cited]
