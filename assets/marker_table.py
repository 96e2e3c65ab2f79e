"""Asset `marker_table`: the genes that tell each cluster from the rest."""

import dagster as dg
from pydantic import Field

from assets.advice import advice
from assets.failures import fatal_errors
from assets.model_calls import MODELS, expected_calls
from assets.partitions import BY_DATASET_AND_RESOLUTION, dataset_and_resolution
from assets.pools import MATRIX, memory_tags
from assets.raw_adata import same_file
from cassia_dagster.records import natural_order
from cassia_dagster.singlecell.libraries import versions_behind
from cassia_dagster.singlecell.markers import MarkerEngine, rank_markers
from cassia_dagster.singlecell.memory import measured
from resources.catalog import DatasetEntry
from resources.catalog_check import load_table
from resources.storage import IF_CELLS, AdataFile, TableFile
from resources.versions import version_of_table

SHOWN_GENES = 8


class MarkerConfig(dg.Config):
    """What counts as a marker."""

    min_pct: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Least fraction of the cluster that expresses it.",
    )
    min_log2fc: float = Field(
        default=0.25,
        ge=0,
        description="Least log2 fold change against all other cells.",
    )
    max_p_val_adj: float = Field(default=0.05, gt=0, le=1, description="Largest adjusted p-value.")
    engine: MarkerEngine = Field(
        default=MarkerEngine.sparse,
        description="What computes the test: sparse, or scanpy, which gives the same and is many times slower.",
    )


@dg.asset(
    partitions_def=BY_DATASET_AND_RESOLUTION,
    ins={"normalized_adata": IF_CELLS},
    group_name="clusters",
    op_tags=memory_tags(matrix=True),
    kinds={"scanpy", "parquet"},
    pool=MATRIX,
    code_version="2",
    io_manager_key="table_storage",
    required_resource_keys=MODELS,
    dagster_type=dg.Any,
    check_specs=[
        dg.AssetCheckSpec(
            "every_cluster_has_markers",
            asset="marker_table",
            description="A cluster without a marker cannot be named; it keeps its row and is reported as unresolved.",
        )
    ],
)
def marker_table(
    context: dg.AssetExecutionContext, config: MarkerConfig, normalized_adata: AdataFile, leiden_clusters: TableFile
) -> dg.MaterializeResult:
    """Positive markers of each cluster against all other cells, by the Wilcoxon rank-sum test.

    The test sees the log-normalised values of all genes. The columns are those that users of CASSIA and of
    Seurat's FindAllMarkers know, and `score`, the z-score by which a cluster's genes are ranked. The markers
    decide what the models will be asked, so the metadata say what that is expected to cost. Where the user's file is
    a marker table itself, nothing is computed: all its rows are taken as they are.
    """
    labels = leiden_clusters.read().set_index("cell_id")["cluster"]
    with fatal_errors(), measured() as usage:
        entry: DatasetEntry = context.resources.catalog.entry(dataset_and_resolution(context)[0])
        if entry.has_cells:
            with normalized_adata.expression() as expressed:
                markers = rank_markers(expressed, labels, **config.model_dump())
            made: dict[str, dg.MetadataValue] = {
                "parameters": dg.MetadataValue.json(config.model_dump(mode="json")),
                "libraries": dg.MetadataValue.json(versions_behind("marker_table")),
            }
        else:
            with same_file(context.instance, entry):
                markers = load_table(entry).table
            made = {"imported_from": dg.MetadataValue.path(str(entry.path))}
    counts = markers["cluster"].value_counts()
    clusters = natural_order(labels.unique())
    without = [cluster for cluster in clusters if cluster not in counts]
    rows = [
        dg.TableRecord(
            {
                "cluster": cluster,
                "markers": int(counts.get(cluster, 0)),
                "top genes": ", ".join(markers.loc[markers["cluster"] == cluster, "gene"].head(SHOWN_GENES)),
            }
        )
        for cluster in clusters
    ]
    return dg.MaterializeResult(
        value=markers,
        data_version=version_of_table(markers),
        metadata={
            "markers": len(markers),
            "clusters_without_markers": len(without),
            "top_genes": dg.MetadataValue.table(rows),
            **made,
            **usage.metadata,
            **expected_calls(
                context.resources, *dataset_and_resolution(context), normalized_adata, leiden_clusters, markers
            ),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="every_cluster_has_markers",
                passed=not without,
                description=advice("every_cluster_has_markers", passed=not without),
                severity=dg.AssetCheckSeverity.WARN,
                metadata={"clusters": dg.MetadataValue.json(without)},
            )
        ],
    )
