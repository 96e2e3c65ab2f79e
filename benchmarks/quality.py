"""Whether the faster way ends in equally good clusters: modularity and planted types, of whole runs of both."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.machine import ended_well
from benchmarks.synthetic import TRUTH

if TYPE_CHECKING:
    import pandas as pd
    from igraph import Graph

RESOLUTION = "1.0"


def compare(folder: Path, n_cells: int) -> dict[str, float]:
    """Measure the clusters that finished runs of `speed` left.

    Parameters
    ----------
    folder
        Of cells and runs.
    n_cells
        Of which size.

    Returns
    -------
    dict
        Name of a figure to its value.

    Raises
    ------
    FileNotFoundError
        If no run of that size has ended.
    """
    import anndata
    from scipy import sparse
    from sklearn.metrics import adjusted_rand_score

    from cassia_dagster.singlecell.cluster import neighbour_graph

    types = anndata.read_h5ad(folder / f"{n_cells}.h5ad", backed="r").obs[TRUTH]
    found, graphs, figures = dict[str, "pd.Series"](), dict[str, "Graph"](), dict[str, float]()
    for workflow in ("plain", "ours"):
        place = next((one for one in sorted((folder / f"{n_cells}").glob(f"{workflow}-*-1")) if ended_well(one)), None)
        if place is None:
            continue
        import pandas as pd

        found[workflow] = pd.read_parquet(place / f"labels_{RESOLUTION}.parquet")["cluster"]
        cells = anndata.AnnData(obs=pd.DataFrame(index=found[workflow].index))
        cells.obsp["connectivities"] = sparse.load_npz(place / "graph.npz")
        graphs[workflow] = neighbour_graph(cells)
        figures[f"clusters, {workflow}"] = float(found[workflow].nunique())
        figures[f"ARI to the planted types, {workflow}"] = float(adjusted_rand_score(types, found[workflow]))
    if not found:
        raise FileNotFoundError(f"No run of {n_cells:,} cells has ended in {folder}; run the command speed first.")
    for of_graph, graph in graphs.items():
        for workflow, labels in found.items():
            codes = labels.astype("category").cat.codes.tolist()
            modularity = float(graph.modularity(codes, weights="weight", directed=False))
            figures[f"modularity on the graph of {of_graph}, clusters of {workflow}"] = modularity
    if len(found) == 2:
        figures["ARI of the two"] = float(adjusted_rand_score(found["plain"], found["ours"]))
    return figures
