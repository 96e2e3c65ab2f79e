"""Makes cells comparable: depth normalisation, logarithm, quality figures, variable genes."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from cassia_dagster.singlecell.blocks import rows_of, spans
from cassia_dagster.singlecell.variable_genes import GeneMoments, flag_variable_genes

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from anndata import AnnData
    from scipy.sparse import csr_matrix

    from cassia_dagster.singlecell.values import Values

MITO_PREFIXES = ("MT-", "Mt-", "mt-")
RIBO_PREFIXES = ("RPS", "RPL", "Rps", "Rpl")

TOTALS = ("n_counts", "total_counts", "nCount_RNA", "nUMI", "n_umi")
"""Columns in which Scanpy, Seurat and others keep how many molecules a cell had."""

OURS = {
    "obs": ("n_counts", "n_genes", "pct_mito", "pct_ribo"),
    "layers": ("counts",),
    "obsm": ("X_pca", "X_pca_harmony", "X_umap"),
    "obsp": ("distances", "connectivities"),
    "uns": ("pca", "neighbors", "integration"),
}
"""Slots and names that this pipeline fills."""


def normalize(
    counts: AnnData,
    *,
    target_sum: float = 1e4,
    min_mean: float = 0.0125,
    max_mean: float = 3.0,
    min_disp: float = 0.5,
) -> AnnData:
    """Log-normalise counts and flag highly variable genes; all genes are kept.

    Parameters
    ----------
    counts
        Raw counts in ``X``, shape (n_cells, n_genes). Not changed.
    target_sum
        Counts that every cell is scaled to.
    min_mean, max_mean, min_disp
        Bounds on the mean and the normalised dispersion of a highly variable gene.

    Returns
    -------
    AnnData, shape (n_cells, n_genes)
        ``X``: log1p of the normalised counts; ``layers["counts"]``: the counts; ``var["highly_variable"]``;
        ``obs``: ``n_counts``, ``n_genes``, ``pct_mito`` and ``pct_ribo`` (percent of counts). What the input has
        under these names, or under those that `embed` gives, is kept as ``<name>_original``.

    Notes
    -----
    The steps and the defaults are those of Scanpy's clustering tutorial.
    """
    matrix = canonical(counts.X)
    adata = with_tables_of(counts)
    set_aside(adata)
    for column, values in measure_quality(matrix, adata.var_names).items():
        adata.obs[column] = values
    adata.layers["counts"] = matrix
    depth = adata.obs["n_counts"].to_numpy() / target_sum
    adata.X, moments = _log_of_share(matrix, depth)
    describe_genes(adata, moments, min_mean=min_mean, max_mean=max_mean, min_disp=min_disp)
    return adata


def adopt(
    normalised: AnnData,
    values: Values,
    *,
    target_sum: float = 1e4,
    min_mean: float = 0.0125,
    max_mean: float = 3.0,
    min_disp: float = 0.5,
) -> AnnData:
    """Do what `normalize` does where there are no counts, but what somebody else has made of them.

    Parameters
    ----------
    normalised
        Normalised values or their logarithms in ``X``, shape (n_cells, n_genes). Not changed.
    values
        What they are, as `values.tell_values` says.
    target_sum, min_mean, max_mean, min_disp
        As for `normalize`. Logarithms whose totals are known are converted to this total, which is exact, for the
        bounds mean something only there; others stay as they are.

    Returns
    -------
    AnnData, shape (n_cells, n_genes)
        As `normalize` returns it, but without ``layers["counts"]``; ``obs["n_counts"]`` is there only if the authors
        left the totals in ``obs``.
    """
    import numpy as np
    from scipy import sparse

    matrix = canonical(normalised.X)
    adata = with_tables_of(normalised)
    totals = _known_totals(adata.obs)
    set_aside(adata)
    if values.kind == "log":
        linear = np.expm1(matrix.data * np.float32(values.logarithm))
        matrix = sparse.csr_matrix((linear, matrix.indices, matrix.indptr), shape=matrix.shape)
    quality = measure_quality(matrix, adata.var_names)
    sums = quality.pop("n_counts")
    for column, measured in quality.items():
        adata.obs[column] = measured
    if totals is not None:
        adata.obs["n_counts"] = totals
    known = values.total or target_sum
    depth = np.full_like(sums, known / target_sum) if values.kind == "log" else sums / target_sum
    adata.X, moments = _log_of_share(matrix, depth)
    describe_genes(adata, moments, min_mean=min_mean, max_mean=max_mean, min_disp=min_disp)
    return adata


def canonical(matrix: csr_matrix) -> csr_matrix:
    """Return the matrix, or a copy if it has zeros that are stored, entries that come twice, or genes out of order.

    Matrices made of it may share its indices, for no library finds anything to change in them.
    """
    if matrix.has_canonical_format and matrix.data.all():
        return matrix
    matrix = matrix.copy()
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix


def measure_quality(counts: csr_matrix, genes: pd.Index) -> dict[str, np.ndarray]:
    """Measure each cell: molecules, genes, and the percentages of mitochondrial and ribosomal ones.

    Parameters
    ----------
    counts
        Cells × genes.
    genes
        Their names.

    Returns
    -------
    dict
        Column of ``obs`` → a value for each cell.
    """
    import numpy as np

    totals = counts @ np.ones(len(genes), dtype=np.float32)
    quality = {"n_counts": totals, "n_genes": np.diff(counts.indptr)}
    for column, prefixes in (("pct_mito", MITO_PREFIXES), ("pct_ribo", RIBO_PREFIXES)):
        part = counts @ np.asarray(genes.str.startswith(prefixes), dtype=np.float32)
        quality[column] = np.divide(100 * part, totals, out=np.zeros_like(totals), where=totals > 0)
    return quality


def share_of_depth(block: csr_matrix, depth: np.ndarray) -> csr_matrix:
    """Divide the values of each cell by its depth; an empty cell has none."""
    import numpy as np
    from scipy import sparse

    of_values = np.repeat(depth.astype(np.float32), np.diff(block.indptr))
    return sparse.csr_matrix((block.data / of_values, block.indices, block.indptr), shape=block.shape)


def describe_genes(adata: AnnData, moments: GeneMoments, **bounds: float) -> None:
    """Flag the highly variable genes in ``var``, and say in ``uns``, as Scanpy does, what was done to ``X``."""
    genes = flag_variable_genes(moments, **bounds)
    for column in genes:
        adata.var[column] = genes[column].to_numpy()
    adata.uns["hvg"] = {"flavor": "seurat"}
    adata.uns["log1p"] = {"base": None}


def _log_of_share(matrix: csr_matrix, depth: np.ndarray) -> tuple[csr_matrix, GeneMoments]:
    """Return log1p of the values by the depth of their cells, and the moments of the genes before the logarithm."""
    import numpy as np
    from scipy import sparse

    logarithms, moments = np.empty_like(matrix.data), GeneMoments(matrix.shape[1])
    for rows in spans(matrix.shape[0]):
        share = share_of_depth(rows_of(matrix, rows), depth[rows])
        moments.add(share)
        logarithms[matrix.indptr[rows.start] : matrix.indptr[rows.stop]] = log_values(share)
    return sparse.csr_matrix((logarithms, matrix.indices, matrix.indptr), shape=matrix.shape), moments


def log_values(share: csr_matrix) -> np.ndarray:
    """Return log1p of the stored values; that of 64 bits, rounded to 32, does not hang on the processor."""
    import numpy as np

    logarithms: np.ndarray = np.log1p(share.data, dtype=np.float64).astype(np.float32)
    return logarithms


def with_tables_of(source: Any) -> AnnData:
    """Copy all but ``X`` and what ``layers`` and ``raw`` hold, which are shared."""
    from anndata import AnnData

    raw = source.raw
    adata = AnnData(
        obs=source.obs.copy(),
        var=source.var.copy(),
        uns=deepcopy(dict(source.uns)),
        obsm={name: source.obsm[name].copy() for name in source.obsm},
        varm={name: source.varm[name].copy() for name in source.varm},
        # Iterating over layers also yields the key None, which is X.
        layers={name: source.layers[name] for name in source.layers if name is not None},
        obsp={name: source.obsp[name] for name in source.obsp},
        varp={name: source.varp[name] for name in source.varp},
    )
    if raw is not None:
        adata.raw = AnnData(X=raw.X, var=raw.var, obs=source.obs[[]], varm=dict(raw.varm))
    return adata


def _known_totals(obs: pd.DataFrame) -> pd.Series | None:
    """Return the counts of each cell, where the authors left them."""
    import numpy as np
    import pandas as pd

    for column in TOTALS:
        if column in obs and pd.api.types.is_numeric_dtype(obs[column]):
            totals = obs[column].astype(np.float32)
            if np.isfinite(totals).all() and (totals >= 0).all():
                return totals
    return None


def set_aside(adata: AnnData) -> None:
    """Keep what has a name that this pipeline fills as ``<name>_original``."""
    for slot, names in OURS.items():
        held = getattr(adata, slot)
        for name in names:
            if name in held:
                held[f"{name}_original"] = held[name]
                del held[name]
