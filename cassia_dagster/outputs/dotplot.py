"""The dot plot: in which share of each cluster's cells a marker is found, and how high."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cassia_dagster.outputs.result import ResolutionResult, by_grouping
from cassia_dagster.outputs.shown import telling_first

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

MARKERS_DOTTED = 3
"""Markers of each cluster in the dot plot: of those that the report shows, those that tell what a cell is first."""

MOST_COLUMNS = 120
"""Genes that a dot plot has at most; with more clusters than that allows, each brings fewer."""


@dataclass(frozen=True, slots=True)
class Dot:
    """One gene in one cluster."""

    share: float
    """Of the cluster's cells, those in which the gene is detected."""
    mean: float
    """Of the log-normalised values of all its cells."""
    level: float
    """The mean, as part of the gene's highest among the clusters."""


@dataclass(frozen=True, slots=True)
class DotPlot:
    """Clusters as rows, genes as columns; both in the order of the groupings, so that the dots run along a diagonal."""

    clusters: tuple[str, ...]
    genes: tuple[tuple[str, str], ...]
    """Each with the cluster that it is a marker of."""
    dots: tuple[tuple[Dot, ...], ...]


def dot_plot(result: ResolutionResult, clusters: pd.Series, expression: AnnData) -> DotPlot:
    """Summarise the best markers over all cells of each cluster.

    Parameters
    ----------
    result
        A dataset at one resolution.
    clusters
        Of each cell, in the order of the expression's: its cluster.
    expression
        Log-normalised values, cells × genes.

    Returns
    -------
    DotPlot
        Of the genes of `shown.genes_shown` that the expression holds.
    """
    import numpy as np
    import scipy.sparse

    ordered = by_grouping(result)
    each = max(1, min(MARKERS_DOTTED, MOST_COLUMNS // len(ordered)))
    genes: dict[str, str] = {}
    for row in ordered:
        # A gene that leads two clusters stands with the first, and the second brings its next best.
        fresh = [gene for gene in telling_first(row.evidence) if gene not in genes]
        known = [gene for gene in fresh if gene in expression.var_names]
        genes |= dict.fromkeys(known[:each], row.cluster)
    ids = [row.cluster for row in ordered]
    codes = clusters.astype(str).map({cluster: place for place, cluster in enumerate(ids)}).to_numpy()
    members = scipy.sparse.csr_matrix(
        (np.ones(len(codes)), (codes, np.arange(len(codes)))), shape=(len(ids), len(codes))
    )
    sizes = np.maximum(np.asarray(members.sum(axis=1)), 1)
    values = scipy.sparse.csc_matrix(expression[:, list(genes)].X)
    means = (members @ values).toarray() / sizes
    shares = (members @ (values > 0).astype(float)).toarray() / sizes
    levels = means / np.maximum(means.max(axis=0, initial=0), 1e-9)
    rows = zip(shares.tolist(), means.tolist(), levels.tolist(), strict=True)
    dots = tuple(tuple(Dot(*one) for one in zip(*row, strict=True)) for row in rows)
    return DotPlot(tuple(ids), tuple(genes.items()), dots)
