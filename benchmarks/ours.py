"""The functions of this package, called one after the other as its assets call them."""

from __future__ import annotations

from pathlib import Path

from benchmarks.stages import Clock


def run(clock: Clock, path: Path, folder: Path, resolutions: list[str], *, finish: bool) -> None:
    """Do what `plain_scanpy.run` does."""
    import numpy as np
    from scipy import sparse

    from cassia_dagster.singlecell.cluster import leiden
    from cassia_dagster.singlecell.embed import embed, umap_coordinates
    from cassia_dagster.singlecell.load import load_counts
    from cassia_dagster.singlecell.markers import rank_markers
    from cassia_dagster.singlecell.normalize import normalize

    with clock.stage("load"):
        counts = load_counts(path)
    with clock.stage("normalise"):
        adata = normalize(counts)
        del counts
    with clock.stage("components"):
        adata = embed(adata)
    np.save(folder / "components.npy", adata.obsm["X_pca"])
    sparse.save_npz(folder / "graph.npz", sparse.csr_matrix(adata.obsp["connectivities"]))
    for number, resolution in enumerate(resolutions):
        with clock.stage(f"clusters {resolution}"):
            labels = leiden(adata, float(resolution)).labels
        with clock.stage(f"markers {resolution}"):
            markers = rank_markers(adata, labels)
        markers.to_parquet(folder / f"markers_{resolution}.parquet")
        labels.rename("cluster").to_frame().to_parquet(folder / f"labels_{resolution}.parquet")
        adata.obs[f"leiden_{resolution}"] = labels
        if finish and number == 0:
            with clock.stage("umap"):
                adata.obsm["X_umap"] = umap_coordinates(adata)
            with clock.stage("write"):
                adata.write_h5ad(folder / "cells.h5ad", compression="lzf")
