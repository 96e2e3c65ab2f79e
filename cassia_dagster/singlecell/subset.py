"""What is inside a cluster: its cells alone, with variable genes, components, neighbours and clusters of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cassia_dagster.errors import InputError
from cassia_dagster.singlecell.blocks import rows_of, spans
from cassia_dagster.singlecell.cluster import leiden
from cassia_dagster.singlecell.embed import embed
from cassia_dagster.singlecell.markers import rank_markers
from cassia_dagster.singlecell.normalize import describe_genes
from cassia_dagster.singlecell.variable_genes import GeneMoments

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from scipy.sparse import csr_matrix

    from cassia_dagster.singlecell.stored import StoredCells

FEWEST_CELLS = 30
"""Cells that a parent must have: fewer have no neighbourhoods to tell apart."""


@dataclass(frozen=True, slots=True)
class Subclustering:
    """The parts of a parent."""

    labels: pd.Series
    """Cell id → id of the part, for the parent's cells; ``"<parent>.0"`` is the largest."""
    against_siblings: pd.DataFrame
    """Markers of each part against the other parts, as `rank_markers` returns them; none where there is one part."""
    against_all: pd.DataFrame
    """Markers of each part against all other cells of the dataset, its siblings among them."""


def recluster(
    values: AnnData | StoredCells,
    labels: pd.Series,
    parents: list[str],
    *,
    resolution: float = 0.4,
    n_neighbors: int = 10,
    n_pcs: int = 25,
    seed: int = 0,
) -> Subclustering:
    """Cluster the cells of one cluster, or of several together, among themselves.

    Parameters
    ----------
    values
        Log-normalised values of all genes and cells. Not changed.
    labels
        Cell id → cluster id, of all cells.
    parents
        The clusters whose cells are taken together.
    resolution
        The higher, the more parts.
    n_neighbors, n_pcs, seed
        As for `embed`.

    Raises
    ------
    InputError
        If there are too few cells, or no genes that vary between them.
    """
    name = "+".join(parents)
    members = labels.index[labels.isin(parents)]
    if len(members) < FEWEST_CELLS:
        raise InputError(f"Cluster {name} has {len(members)} cells; at least {FEWEST_CELLS} are needed to look inside.")
    cells = _subset(values, members)
    embed(cells, n_neighbors=n_neighbors, n_pcs=n_pcs, seed=seed)
    inside = leiden(cells, resolution, seed=seed).labels.map(lambda part: f"{name}.{part}")
    taken = set(labels[~labels.isin(parents)])
    if clash := sorted(taken & set(inside)):
        raise InputError(f"The part {clash[0]!r} would have the name of a cluster that is there already.")
    refined = labels.mask(labels.isin(parents), inside.reindex(labels.index))
    among_all = rank_markers(values, refined)
    return Subclustering(
        labels=inside,
        against_siblings=rank_markers(values, inside.reindex(members)),
        against_all=among_all[among_all["cluster"].isin(set(inside))].reset_index(drop=True),
    )


def _subset(values: AnnData | StoredCells, members: pd.Index) -> AnnData:
    """Take out some cells, and flag the genes that vary between them."""
    import anndata
    import numpy as np
    import pandas as pd
    from scipy import sparse

    chosen = values.obs_names.isin(members)
    blocks: list[csr_matrix] = []
    moments = GeneMoments(values.n_vars)
    for span in spans(values.n_obs):
        block = rows_of(values.X, span)[np.flatnonzero(chosen[span])]
        blocks.append(block)
        depth_shares = block.copy()
        np.expm1(depth_shares.data, out=depth_shares.data)
        moments.add(depth_shares)
    cells = anndata.AnnData(
        X=sparse.vstack(blocks, format="csr"),
        obs=pd.DataFrame(index=values.obs_names[chosen]),
        var=pd.DataFrame(index=values.var_names),
    )
    describe_genes(cells, moments, min_mean=0.0125, max_mean=3.0, min_disp=0.5)
    return cells
