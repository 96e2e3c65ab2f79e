"""Makes the cases that come with the package: the clusters of the demo's pancreatic islets.

``uv run python -m benchmarks.islets`` writes the file again; twice gives the same bytes.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

CASES = Path(__file__).parents[1] / "cassia_dagster" / "data" / "islets_cases.csv"
RESOLUTION = 0.8
N_MARKERS = 50


def make_cases() -> pd.DataFrame:
    """Cluster the demo's cells, and make a case of each cluster."""
    from cassia_dagster.singlecell.cluster import leiden
    from cassia_dagster.singlecell.embed import embed
    from cassia_dagster.singlecell.load import load_counts
    from cassia_dagster.singlecell.markers import rank_markers
    from cassia_dagster.singlecell.normalize import normalize

    with as_file(files("cassia_dagster") / "data" / "islets.h5ad") as path:
        adata = embed(normalize(load_counts(path)))
    labels = leiden(adata, RESOLUTION).labels
    return cases_of(adata, labels, rank_markers(adata, labels))


def cases_of(adata: AnnData, labels: pd.Series, markers: pd.DataFrame) -> pd.DataFrame:
    """Give each cluster its best markers, and the published label of most of its cells.

    Parameters
    ----------
    adata
        The demo's cells.
    labels, markers
        Their clusters, and the markers of these.
    """
    import pandas as pd

    from cassia_dagster.records import natural_order

    with as_file(files("cassia_dagster") / "data" / "islets_labels.csv") as path:
        terms = pd.read_csv(path).set_index("label")["cl_id"]
    rows = []
    for cluster in natural_order(labels.unique()):
        gold = adata.obs["cell_type"][(labels == cluster).to_numpy()].value_counts(normalize=True)
        genes = markers.loc[markers["cluster"] == cluster, "gene"].head(N_MARKERS)
        rows.append(
            {
                "case": cluster,
                "species": "human",
                "tissue": "pancreas",
                "gold_label": gold.index[0],
                "gold_cl_id": terms[gold.index[0]],
                "gold_share": round(float(gold.iloc[0]), 2),
                "markers": ", ".join(genes),
            }
        )
    return pd.DataFrame(rows)


if __name__ == "__main__":
    make_cases().to_csv(CASES, index=False, lineterminator="\n")
