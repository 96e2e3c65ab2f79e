"""What the data says of a cluster: its markers, its cells, and the genes looked up in it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from cassia_dagster.records.base import Fraction, Percent, Record, Species


class Marker(Record):
    """A gene that is up in one cluster against all other cells; a statistic that nobody gave is ``None``, not zero."""

    gene: str
    avg_log2FC: float | None = None
    """log2 fold change of mean expression (means of log values, transformed back), cluster against the rest."""
    pct_1: Fraction | None = None
    """Fraction of the cluster's cells in which the gene is detected."""
    pct_2: Fraction | None = None
    """Fraction of all other cells in which the gene is detected."""
    p_val_adj: Fraction | None = None
    score: float | None = None
    """The Wilcoxon rank-sum z-score."""

    @property
    def is_up(self) -> bool:
        """Whether nothing is known against it: a gene in a bare list is taken at its word."""
        return self.avg_log2FC is None or self.avg_log2FC > 0


class ClusterQuality(Record):
    """Medians over a cluster's cells that betray debris, dying cells and doublets."""

    median_counts: float | None
    """``None`` where the file has normalised values only."""
    median_genes: float
    pct_mito: Percent
    pct_ribo: Percent


class NearbyCluster(Record):
    """Another cluster, and how alike the two are."""

    cluster: str
    similarity: Annotated[float, Field(ge=-1, le=1)]
    """Pearson correlation of the two centroids in the space of principal components."""


class TissueShare(Record):
    """A tissue that some of a cluster's cells are from."""

    tissue: str
    n_cells: int
    share: Fraction
    """Of the cluster's cells."""


class ClusterEvidence(Record):
    """All that the data says of one cluster; what every role is asked about."""

    cluster: str
    n_cells: int | None
    """``None`` where only a marker table is known."""
    share: Fraction | None
    markers: tuple[Marker, ...]
    """Best first."""
    nearest: tuple[NearbyCluster, ...] = ()
    quality: ClusterQuality | None = None
    species: Species
    tissue: str
    """Of all cells; where it differs between them, the main ones of this cluster."""
    tissues: tuple[TissueShare, ...] = ()
    """Most frequent first; empty where one tissue is known for all cells."""
    context: str = ""
    lab_markers: str = ""
    """Version of the lab's own marker table that counts here; empty where there is none."""


class Expression(StrEnum):
    """How a gene stands in a cluster."""

    UP = "up"
    DOWN = "down"
    NOT_DIFFERENT = "not_different"
    """Detected, and neither higher nor lower than elsewhere."""
    NOT_DETECTED = "not_detected"
    """Measured, but found in hardly any cell of the cluster."""
    NOT_MEASURED = "not_measured"
    """The data has no such gene; its absence says nothing."""
    NOT_LISTED = "not_listed"
    """Not among the markers, and there is no matrix to look it up in."""


class Comparison(Record):
    """A gene in one cluster against other cells."""

    against: str
    """Id of the other cluster, ids of several with "and" between them, or ``""`` for all other cells."""
    expression: Expression
    log2FC: float | None
    """``None`` where one of the two has no cell with the gene, so that there is no ratio."""
    mean: float | None
    """Mean log-normalised expression in the other cells; never of fewer than two."""
    pct: Fraction | None
    """Fraction of the other cells in which the gene is detected."""


class GeneLookup(Record):
    """What the data says of one gene in one cluster: summaries of many cells, never the value of one."""

    gene: str
    """As the matrix spells it, or as it was asked for where the matrix has none."""
    mean: float | None = None
    """Mean log-normalised expression in the cluster."""
    pct: Fraction | None = None
    """Fraction of the cluster's cells in which the gene is detected."""
    rest: Comparison
    nearest: tuple[Comparison, ...] = ()
    """Against the other clusters of its name, where these are told apart, and those most like it, the closest first."""

    @property
    def expression(self) -> Expression:
        """How the gene stands in the cluster, against all other cells."""
        return self.rest.expression
