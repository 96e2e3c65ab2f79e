"""Makes cells comparable: depth normalisation, logarithm, quality figures, variable genes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from cassia_dagster.singlecell.values import Values

MITO_PREFIXES = ("MT-", "Mt-", "mt-")
RIBO_PREFIXES = ("RPS", "RPL", "Rps", "Rpl")

TOTALS = ("n_counts", "total_counts", "nCount_RNA", "nUMI", "n_umi")
"""Columns in which Scanpy, Seurat and others keep how many molecules a cell had."""

OURS = {
    "obs": ("n_counts", "n_genes", "pct_mito", "pct_ribo"),
    "layers": ("counts",),
    "obsm": ("X_pca", "X_umap"),
    "obsp": ("distances", "connectivities"),
    "uns": ("pca", "neighbors"),
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
    import scanpy as sc

    adata = counts.copy()
    _set_aside(adata)
    _measure_quality(adata)
    adata.layers["counts"] = adata.X.copy()
    sc.pp.normalize_total(adata, target_sum=target_sum)
    sc.pp.log1p(adata)
    sc.pp.highly_variable_genes(adata, min_mean=min_mean, max_mean=max_mean, min_disp=min_disp)
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
    import scanpy as sc

    adata = normalised.copy()
    totals = _known_totals(adata.obs)
    _set_aside(adata)
    if values.kind == "log":
        adata.X.data = np.expm1(adata.X.data * np.float32(values.logarithm))
    _measure_quality(adata)
    adata.obs = adata.obs.drop(columns="n_counts")
    if totals is not None:
        adata.obs["n_counts"] = totals
    if values.kind == "log":
        adata.X.data *= np.float32(target_sum / values.total if values.total else 1)
    else:
        sc.pp.normalize_total(adata, target_sum=target_sum)
    adata.uns.pop("log1p", None)
    sc.pp.log1p(adata)
    sc.pp.highly_variable_genes(adata, min_mean=min_mean, max_mean=max_mean, min_disp=min_disp)
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


def _set_aside(adata: AnnData) -> None:
    for slot, names in OURS.items():
        held = getattr(adata, slot)
        for name in names:
            if name in held:
                held[f"{name}_original"] = held[name]
                del held[name]


def _measure_quality(adata: AnnData) -> None:
    import numpy as np

    totals = np.asarray(adata.X.sum(axis=1)).ravel()
    adata.obs["n_counts"] = totals
    adata.obs["n_genes"] = np.diff(adata.X.indptr)
    for column, prefixes in (("pct_mito", MITO_PREFIXES), ("pct_ribo", RIBO_PREFIXES)):
        genes = adata.var_names.str.startswith(prefixes)
        part = np.asarray(adata.X[:, np.flatnonzero(genes)].sum(axis=1)).ravel()
        adata.obs[column] = np.divide(100 * part, totals, out=np.zeros_like(totals), where=totals > 0)
