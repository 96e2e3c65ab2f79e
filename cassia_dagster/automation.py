"""What can be run by name: one job for each level of partitions, for Dagster runs no two levels at once."""

import dagster as dg

ANNOTATE_CLUSTERS = dg.define_asset_job(
    "annotate_clusters",
    selection=dg.AssetSelection.assets(
        "leiden_clusters", "marker_table", "annotations", "scores", "boosted", "merged", "report"
    ),
    description="Cluster a dataset at one resolution and name every cluster: from the graph to the report.",
)

PREPARE_CELLS = dg.define_asset_job(
    "prepare_cells",
    selection=dg.AssetSelection.assets("normalized_adata", "umap"),
    description="Normalise a dataset, find its neighbour graph and lay it out; what all resolutions share.",
)

WRITE_ANNOTATED_FILE = dg.define_asset_job(
    "write_annotated_file",
    selection=dg.AssetSelection.assets("annotated_adata"),
    description="Write one file of a dataset's cells with the labels of all its resolutions.",
)

JOBS = (PREPARE_CELLS, ANNOTATE_CLUSTERS, WRITE_ANNOTATED_FILE)
"""In the order in which they build on each other."""
