"""Asset `review`: one dataset over all its resolutions, and which of them to trust most."""

from typing import Any

import dagster as dg

from assets.annotated_adata import LISTED_ONLY
from assets.failures import fatal_errors
from assets.partitions import BY_DATASET, by_resolution
from assets.pools import memory_tags
from assets.raw_adata import raw_adata
from assets.results import Tables, assemble, compare
from cassia_dagster.errors import InputError
from cassia_dagster.evaluation.review import Review, review_resolutions
from cassia_dagster.knowledge.ontology import Relation
from cassia_dagster.outputs.review import level_of, write_review
from cassia_dagster.singlecell.cluster import digest_cells
from resources.catalog import CatalogResource
from resources.settings import AnnotationSettings
from resources.storage import IF_CELLS, AdataFile, TableFile
from resources.versions import version_of_records

LEVEL_COLUMNS = dg.TableSchema(
    [
        dg.TableColumn("clustering", "string", "The resolution, or the column that the clusters were given by."),
        dg.TableColumn("clusters", "int", "How many clusters it has."),
        dg.TableColumn("sound share", "float", "Share of the cells whose cluster has a sound label."),
        dg.TableColumn("sound types", "int", "How many different types have a sound label."),
        dg.TableColumn("repeated labels", "int", "Clusters beyond the first of each name."),
        dg.TableColumn("contradicts next", "float", "Share of cells named after another lineage at the next one."),
        dg.TableColumn("recommended", "bool", "Whether this is the one to begin with."),
    ]
)


@dg.asset(
    partitions_def=BY_DATASET,
    deps=[raw_adata],
    ins={
        **dict.fromkeys(("leiden_clusters", "annotations", "scores", "reviewed", "merged"), LISTED_ONLY),
        "normalized_adata": IF_CELLS,
    },
    group_name="results",
    op_tags=memory_tags(matrix=True),
    kinds={"html", "csv"},
    code_version="2",
    check_specs=[
        dg.AssetCheckSpec(
            "resolutions_agree",
            asset="review",
            description="No cluster is named after a lineage that excludes the one most of its cells had before.",
        )
    ],
)
def review(
    context: dg.AssetExecutionContext,
    catalog: CatalogResource,
    settings: AnnotationSettings,
    normalized_adata: AdataFile,
    leiden_clusters: dict[str, TableFile],
    annotations: dict[str, TableFile],
    scores: dict[str, TableFile],
    reviewed: dict[str, TableFile],
    merged: dict[str, TableFile],
) -> dg.MaterializeResult:
    """How clusters split and what they are called from resolution to resolution, and which resolution to begin with.

    Every cell is followed from each resolution to the next: does the child bear the parent's name, a finer or a coarser
    one, or one of another lineage, so that one of the two must be wrong? The recommended resolution is the one that
    tells the most types apart which the data bears out; it is only said, the catalog's primary resolution stays what it
    is.
    """
    with fatal_errors():
        entry = catalog.entry(context.partition_key)
        entry.require_cells()
        fan_ins = [by_resolution(fan_in) for fan_in in (leiden_clusters, annotations, scores, reviewed, merged)]
        made = [key for key in entry.clusterings if all(key in fan_in for fan_in in fan_ins)]
        if not made:
            raise InputError(
                f"Dataset {entry.name!r} is annotated at none of its resolutions yet. Materialize one first "
                "(job annotate_clusters)."
            )
        clusters = {key: fan_ins[0][key].read().set_index("cell_id")["cluster"] for key in made}
        known = normalized_adata.read().obs[list(entry.labels)]
        threshold = settings.of(entry).score_threshold
        levels = []
        for key in made:
            result = assemble(entry, key, digest_cells(clusters[key]), Tables(*(fan_in[key] for fan_in in fan_ins[1:])))
            agreements = {column: compare(entry, result, clusters[key], known[column]) for column in entry.labels}
            levels.append(
                level_of(result, clusters[key], agreements, threshold, **_measured_when_clustered(context, key))
            )
        across = review_resolutions(entry.name, levels, clusters)
        paths = write_review(across, entry.folder)
    return dg.MaterializeResult(
        data_version=version_of_records([across]),
        metadata=_describe(across)
        | {kind: dg.MetadataValue.path(str(path.absolute())) for kind, path in paths.items()},
        check_results=[_agree(across)],
    )


def _measured_when_clustered(context: dg.AssetExecutionContext, resolution: str) -> dict[str, float]:
    """Return what `leiden_clusters` noted of how good a clustering is, as far as it did."""
    partition = dg.MultiPartitionKey({"dataset": context.partition_key, "resolution": resolution})
    wanted = dg.AssetRecordsFilter(dg.AssetKey("leiden_clusters"), asset_partitions=[partition])
    for record in context.instance.fetch_materializations(wanted, limit=1).records:
        if record.asset_materialization:
            noted = {name: value.value for name, value in record.asset_materialization.metadata.items()}
            return {name: float(noted[name]) for name in ("modularity", "stability") if noted.get(name) is not None}
    return {}


def _contradicted(reviewed: Review) -> dict[str, float]:
    """Pairs of neighbouring clusterings → share of cells; of a given clustering nothing is said, it is no finer one."""
    pairs = zip(reviewed.levels, reviewed.levels[1:], strict=False)
    return {
        f"{above.title} → {below.title}": reviewed.contradicted(above.resolution, below.resolution)
        for above, below in pairs
    }


def _describe(reviewed: Review) -> dict[str, Any]:
    chosen = next(one for one in reviewed.levels if one.resolution == reviewed.recommendation.resolution)
    contradicted = [*_contradicted(reviewed).values(), 0.0]
    rows = [
        dg.TableRecord(
            {
                "clustering": level.title,
                "clusters": len(level.clusters),
                "sound share": round(level.sound_share, 3),
                "sound types": level.sound_types,
                "repeated labels": level.repeats,
                "contradicts next": round(share, 3),
                "recommended": level is chosen,
            }
        )
        for level, share in zip(reviewed.levels, contradicted, strict=True)
    ]
    return {
        "recommended_resolution": dg.MetadataValue.text(chosen.resolution),
        "reason": dg.MetadataValue.text(reviewed.recommendation.reason),
        "resolutions": dg.MetadataValue.table(rows, schema=LEVEL_COLUMNS),
        "sound_share": round(chosen.sound_share, 4),
        "sound_types": chosen.sound_types,
        "contradicted_share": round(max(contradicted), 4),
    }


def _agree(reviewed: Review) -> dg.AssetCheckResult:
    wrong = [
        f"{flow.resolution}/{flow.cluster} → {flow.next_resolution}/{flow.next_cluster}"
        for flow in reviewed.renamed
        if flow.relation is Relation.CONTRADICTION
    ]
    say = "Every cluster keeps the lineage that most of its cells had before."
    if wrong:
        say = "Open the review, 'What changes its name': of each pair named there as another lineage one name is wrong."
    return dg.AssetCheckResult(
        check_name="resolutions_agree",
        passed=not wrong,
        severity=dg.AssetCheckSeverity.WARN,
        description=say,
        metadata={"resolution/cluster": dg.MetadataValue.json(wrong)},
    )
