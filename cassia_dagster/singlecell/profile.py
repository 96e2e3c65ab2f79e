"""Gathers what the data says of each cluster: size, quality, look-alikes and ranked markers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cassia_dagster.records import (
    ClusterEvidence,
    ClusterQuality,
    NearbyCluster,
    Species,
    TissueShare,
    natural_order,
    rounded,
)
from cassia_dagster.singlecell.columns import main_tissues
from cassia_dagster.singlecell.markers import as_markers

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


def gather_evidence(
    adata: AnnData,
    labels: pd.Series,
    markers: pd.DataFrame,
    *,
    species: Species,
    tissue: str | pd.Series,
    context: str = "",
    n_markers: int = 100,
    n_nearest: int = 3,
) -> list[ClusterEvidence]:
    """Profile every cluster that has a cell, also one without any marker.

    Parameters
    ----------
    adata
        ``obs`` as `normalize` leaves it and ``obsm["X_pca"]``; the matrix is not touched.
    labels
        Cell id → cluster id.
    markers
        As `rank_markers` returns it.
    species, context
        What the user says of the sample.
    tissue
        Where all cells are from, or cell id → tissue.
    n_markers, n_nearest
        Markers and look-alike clusters to keep, at most.

    Returns
    -------
    list of ClusterEvidence
        In natural order of the cluster ids; all numbers rounded to three significant digits, ties broken by
        gene name.
    """
    labels = labels.reindex(adata.obs_names)
    sizes = labels.value_counts()
    clusters = natural_order(str(cluster) for cluster in sizes.index)
    quality = _quality(adata.obs, labels)
    nearest = _nearest(adata, labels, clusters, n_nearest)
    rows = {str(cluster): table for cluster, table in markers.groupby("cluster", sort=False)}
    return [
        ClusterEvidence(
            cluster=cluster,
            n_cells=int(sizes[cluster]),
            share=rounded(sizes[cluster] / len(labels)),
            markers=as_markers(rows[cluster], n_markers) if cluster in rows else (),
            nearest=nearest[cluster],
            quality=quality[cluster],
            species=species,
            **_provenance(cluster, labels, tissue),
            context=context,
        )
        for cluster in clusters
    ]


def _provenance(cluster: str, labels: pd.Series, tissue: str | pd.Series) -> dict[str, Any]:
    """Say where a cluster's cells are from, as `ClusterEvidence` has it."""
    if isinstance(tissue, str):
        return {"tissue": tissue}
    counts = tissue.reindex(labels.index)[labels == cluster].value_counts()
    cells = {str(name): int(number) for name, number in counts.items()}
    shares = tuple(
        TissueShare(tissue=name, n_cells=cells[name], share=rounded(cells[name] / sum(cells.values())))
        for name in sorted(cells, key=lambda name: (-cells[name], name))
    )
    return {"tissue": main_tissues(cells), "tissues": shares}


def _quality(obs: pd.DataFrame, labels: pd.Series) -> dict[str, ClusterQuality]:
    # Where there never were counts, nobody knows how many a cell had.
    measured = obs.reindex(columns=["n_counts", "n_genes", "pct_mito", "pct_ribo"])
    medians = measured.groupby(labels.to_numpy()).median()
    return {
        str(row.Index): ClusterQuality(
            median_counts=rounded(row.n_counts) if "n_counts" in obs else None,
            median_genes=rounded(row.n_genes),
            pct_mito=rounded(row.pct_mito),
            pct_ribo=rounded(row.pct_ribo),
        )
        for row in medians.itertuples()
    }


def _nearest(
    adata: AnnData, labels: pd.Series, clusters: list[str], n_nearest: int
) -> dict[str, tuple[NearbyCluster, ...]]:
    """Rank the other clusters by the correlation of their centroids among the principal components."""
    import numpy as np

    if len(clusters) < 2:
        return dict.fromkeys(clusters, ())
    values, components = labels.to_numpy(), np.asarray(adata.obsm["X_pca"], dtype=np.float64)
    centroids = np.stack([components[values == cluster].mean(axis=0) for cluster in clusters])
    similarity = np.clip(np.corrcoef(centroids), -1, 1)
    nearest = {}
    for position, cluster in enumerate(clusters):
        others = [
            NearbyCluster(cluster=other, similarity=rounded(similarity[position, index]))
            for index, other in enumerate(clusters)
            if index != position
        ]
        nearest[cluster] = tuple(sorted(others, key=lambda nearby: -nearby.similarity)[:n_nearest])
    return nearest
