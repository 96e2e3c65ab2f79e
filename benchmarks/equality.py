"""Compares what the plain workflow found with what ours makes of the same: components, graph, clusters, markers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from anndata import AnnData

N_COMPONENTS = 25
"""Those that neighbours are sought in."""
N_TOP = 50
_DIFFERENCES = ("largest difference of z", "largest difference of p")


def compare(path: Path, plain: Path, resolution: str) -> dict[str, float | bool]:
    """Repeat each step by our functions on the input that the plain workflow's step had.

    Parameters
    ----------
    path
        The counts.
    plain
        Folder of a run of the plain workflow.
    resolution
        Of its clusters.

    Returns
    -------
    dict
        Name of a figure to its value.
    """
    import anndata
    import numpy as np
    import pandas as pd
    from scipy import sparse
    from sklearn.metrics import adjusted_rand_score

    from benchmarks.synthetic import TRUTH
    from cassia_dagster.singlecell.cluster import LeidenEngine, leiden
    from cassia_dagster.singlecell.embed import embed
    from cassia_dagster.singlecell.load import load_counts
    from cassia_dagster.singlecell.markers import rank_markers
    from cassia_dagster.singlecell.normalize import normalize

    adata = embed(normalize(load_counts(path)))
    theirs = pd.read_parquet(plain / f"labels_{resolution}.parquet")["cluster"].astype("str")
    graph = anndata.AnnData(obs=adata.obs[[]].copy())
    graph.obsp["connectivities"] = sparse.load_npz(plain / "graph.npz")
    same = leiden(graph, float(resolution), engine=LeidenEngine.leidenalg).labels
    fast = leiden(graph, float(resolution), engine=LeidenEngine.igraph)
    reference = leiden(graph, float(resolution), engine=LeidenEngine.leidenalg)
    ours = leiden(adata, float(resolution)).labels
    values = _plain_values(path)
    plain_markers = pd.read_parquet(plain / f"markers_{resolution}.parquet")
    of_theirs, of_ours = (
        _compare_markers(plain_markers, rank_markers(one, theirs, min_pct=0, min_log2fc=-np.inf, max_p_val_adj=1))
        for one in (values, adata)
    )
    return {
        "largest difference of a normalised value": float(abs(values.X - adata.X).max()),
        "least correlation of a component": _correlation(np.load(plain / "components.npy"), adata),
        "edges of the plain graph that ours has": _shared_edges(graph, adata),
        "clusters on the plain graph are identical (leidenalg)": bool((same.to_numpy() == theirs.to_numpy()).all()),
        "modularity on the plain graph: leidenalg": reference.modularity,
        "modularity on the plain graph: igraph, best of its tries": fast.modularity,
        "ARI of the plain clusters and ours": float(adjusted_rand_score(theirs, ours)),
        "ARI of the plain clusters and the planted types": float(adjusted_rand_score(adata.obs[TRUTH], theirs)),
        "ARI of ours and the planted types": float(adjusted_rand_score(adata.obs[TRUTH], ours)),
        **of_theirs,
        **{f"{name}, of our own normalised values": of_ours[name] for name in _DIFFERENCES},
    }


def _plain_values(path: Path) -> AnnData:
    """Do what the plain script does up to its logarithms."""
    import scanpy as sc

    adata = sc.read_h5ad(path)
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    return adata


def _correlation(theirs: np.ndarray, adata: AnnData) -> float:
    import numpy as np

    ours = adata.obsm["X_pca"]
    each = [abs(np.corrcoef(theirs[:, number], ours[:, number])[0, 1]) for number in range(N_COMPONENTS)]
    return float(min(each))


def _shared_edges(plain: AnnData, adata: AnnData) -> float:
    theirs, ours = (one.obsp["connectivities"] > 0 for one in (plain, adata))
    return float(theirs.multiply(ours).nnz / theirs.nnz)


def _compare_markers(plain: pd.DataFrame, ours: pd.DataFrame) -> dict[str, float | bool]:
    """Compare markers of the same clusters, as far as genes are up in them, which is what ours keeps."""
    import numpy as np

    theirs = plain.assign(cluster=plain["group"].astype(str), gene=plain["names"].astype(str))
    both = ours.merge(theirs, on=["cluster", "gene"], validate="one_to_one")
    of_clusters = [
        set(mine["gene"].head(N_TOP)) == set(theirs.loc[theirs["cluster"] == cluster, "gene"].head(N_TOP))
        for cluster, mine in ours.groupby("cluster", sort=False)
    ]
    return {
        "genes up in a cluster that are compared": float(len(both)),
        "largest difference of z": float(np.abs(both["score"] - both["scores"]).max()),
        "largest difference of p": float(np.abs(both["p_val"] - both["pvals"]).max()),
        "largest difference of log2 fold change": float(np.abs(both["avg_log2FC"] - both["logfoldchanges"]).max()),
        f"clusters whose top {N_TOP} are the same genes": sum(of_clusters) / len(of_clusters),
    }
