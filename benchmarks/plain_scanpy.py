"""The reference: Scanpy's clustering tutorial as a biologist types it, with markers of the log-normalised values.

It differs from the tutorial's text in one line, as Scanpy's own one does: ``adata.raw = adata`` stands after ``log1p``.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.stages import Clock


def run(clock: Clock, path: Path, folder: Path, resolutions: list[str], *, finish: bool) -> None:
    """Go from a file of counts to markers, and keep what is to be compared.

    Parameters
    ----------
    clock
        Measures the stages.
    path
        The counts.
    folder
        Where the outcome goes.
    resolutions
        Of the clusterings; all on one graph.
    finish
        Whether to go on to UMAP, and to write the file of cells.
    """
    import numpy as np
    import scanpy as sc
    from scipy import sparse

    with clock.stage("load"):
        adata = sc.read_h5ad(path)
    with clock.stage("normalise"):
        sc.pp.normalize_total(adata, target_sum=1e4)
        sc.pp.log1p(adata)
    with clock.stage("variable genes"):
        sc.pp.highly_variable_genes(adata, min_mean=0.0125, max_mean=3, min_disp=0.5)
        adata.raw = adata
        adata = adata[:, adata.var["highly_variable"]].copy()
    with clock.stage("components"):
        sc.pp.scale(adata, max_value=10)
        sc.tl.pca(adata, svd_solver="arpack")
    with clock.stage("neighbours"):
        sc.pp.neighbors(adata, n_neighbors=10, n_pcs=25)
    np.save(folder / "components.npy", adata.obsm["X_pca"])
    sparse.save_npz(folder / "graph.npz", sparse.csr_matrix(adata.obsp["connectivities"]))
    for number, resolution in enumerate(resolutions):
        with clock.stage(f"clusters {resolution}"):
            sc.tl.leiden(adata, resolution=float(resolution), flavor="leidenalg", key_added=f"leiden_{resolution}")
        with clock.stage(f"markers {resolution}"):
            sc.tl.rank_genes_groups(adata, f"leiden_{resolution}", method="wilcoxon", key_added=f"markers_{resolution}")
            markers = sc.get.rank_genes_groups_df(adata, group=None, key=f"markers_{resolution}")
        markers.to_parquet(folder / f"markers_{resolution}.parquet")
        labels = adata.obs[f"leiden_{resolution}"].astype(str).rename("cluster")
        labels.to_frame().to_parquet(folder / f"labels_{resolution}.parquet")
        if finish and number == 0:
            with clock.stage("umap"):
                sc.tl.umap(adata)
            with clock.stage("write"):
                adata.write_h5ad(folder / "cells.h5ad", compression="gzip")
