"""Asset `drift`: what the clusters are called now against what they were called before."""

from typing import TYPE_CHECKING, Literal

import dagster as dg
from pydantic import Field

from assets.failures import fatal_errors
from assets.on_demand import GROUP, write_beside_report
from assets.partitions import BY_DATASET_AND_RESOLUTION, dataset_and_resolution
from assets.pools import memory_tags
from cassia_dagster.errors import InputError
from cassia_dagster.evaluation.comparison import Change
from cassia_dagster.evaluation.drift import ClusterDrift, Drift, compare_versions, find_causes, labels_of
from cassia_dagster.records import AnnotatedCluster, BoostedCluster
from resources.catalog import CatalogResource
from resources.places import Place
from resources.storage import TableFile, TableIOManager
from resources.versions import version_of_records
from resources.versions_kept import Version, versions_of

if TYPE_CHECKING:
    import pandas as pd

MAX_CHANGED_SHARE = 0.1

STANDING = "reviewed"
"""The asset whose versions are compared: the labels that stand, whoever gave them."""


class DriftConfig(dg.Config):
    """What is compared, and how much may be different."""

    against: str = Field(
        default="",
        description="Data version of the labels (or how it begins) to compare with; the one before the present one, "
        "if none is named.",
    )
    max_changed_share: float = Field(
        default=MAX_CHANGED_SHARE, ge=0, le=1, description="Share of the cells that may be called something else."
    )
    severity: Literal["warn", "error"] = Field(
        default="warn",
        description="What more than that is: a warning, or an error that fails the run.",
    )


@dg.asset(
    partitions_def=BY_DATASET_AND_RESOLUTION,
    group_name=GROUP,
    op_tags=memory_tags(matrix=False),
    kinds={"parquet"},
    code_version="2",
    io_manager_key="table_storage",
    dagster_type=dg.Any,
    check_specs=[
        dg.AssetCheckSpec(
            "labels_hold",
            asset="drift",
            blocking=True,
            description="No more cells are called something else than before than the launchpad allows.",
        )
    ],
)
def drift(
    context: dg.AssetExecutionContext,
    config: DriftConfig,
    catalog: CatalogResource,
    table_storage: dg.ResourceParam[TableIOManager],
    leiden_clusters: TableFile,
    annotations: TableFile,
    reviewed: TableFile,
) -> dg.MaterializeResult:
    """What became of the labels since an earlier version: after other data, another prompt, model or knowledge.

    Clusters are matched by the cells that they share, and their names compared on the Cell Ontology: the same, finer,
    coarser, a sibling, of the same lineage, of another. What changed between the two versions stands beside it. These
    are the labels that stand, those that persons gave among them. Asks no model; made on demand only.
    """
    dataset, resolution = dataset_and_resolution(context)
    with fatal_errors():
        entry = catalog.entry(dataset)
        earlier = earlier_version(table_storage.root, dataset, resolution, config.against)
        past = {
            asset: table_as_of(table_storage.root, asset, dataset, resolution, earlier)
            for asset in ("leiden_clusters", "annotations")
        }
        present = annotations.records(AnnotatedCluster)
        before, now = TableFile(earlier.path).records(BoostedCluster), reviewed.records(BoostedCluster)
        found = compare_versions(
            labels_of(before),
            labels_of(now),
            _cells(past["leiden_clusters"]),
            _cells(leiden_clusters),
            find_causes(past["annotations"].records(AnnotatedCluster), present, before, now),
            digests={row.cluster: row.cells for row in present},
            against=f"{earlier.written:%Y-%m-%d %H:%M} UTC",
        )
        path = write_beside_report(entry, resolution, "drift", [found])
    return dg.MaterializeResult(
        value=[found],
        data_version=version_of_records(found.clusters),
        metadata={
            "against": dg.MetadataValue.text(f"{earlier.data_version} of {found.against}"),
            "against_run": dg.MetadataValue.dagster_run(earlier.run),
            "changed_share": round(found.changed_share, 4),
            "clusters_changed": sum(row.change is not Change.SAME for row in found.clusters),
            "clusters_gone": len(found.gone),
            "causes": dg.MetadataValue.json(list(found.causes)),
            "clusters": dg.MetadataValue.table([_shown(row) for row in found.clusters]),
            "json": dg.MetadataValue.path(str(path)),
        },
        check_results=[_check(found, config)],
    )


def earlier_version(root: Place, dataset: str, resolution: str, against: str = "") -> Version:
    """Find the version of the labels to compare with.

    Raises
    ------
    InputError
        If there is none, or none or several whose data version begins so.
    """
    versions = versions_of(root, STANDING, dataset, resolution)
    if len(versions) < 2:
        raise InputError(
            f"The labels of {dataset!r} at {resolution} have no earlier version to compare with yet. One is kept "
            "whenever they change."
        )
    if not against:
        return versions[1]
    fitting = [version for version in versions if version.data_version.startswith(against)]
    if len(fitting) != 1:
        known = ", ".join(f"{one.data_version[:12]} ({one.written:%Y-%m-%d %H:%M})" for one in versions)
        raise InputError(f"{len(fitting) or 'No'} versions begin with {against!r}. There are: {known}.")
    return fitting[0]


def table_as_of(root: Place, asset: str, dataset: str, resolution: str, version: Version) -> TableFile:
    """Return the table of another asset as it was when a version was written.

    Raises
    ------
    InputError
        If it is no longer kept.
    """
    for one in versions_of(root, asset, dataset, resolution):
        if one.written <= version.written:
            return TableFile(one.path)
    raise InputError(f"The {asset} from which the version {version.data_version} was made are no longer kept.")


def _cells(clusters: TableFile) -> "pd.Series":
    table = clusters.read()
    # Of a marker table no cell is known, and each cluster is itself from version to version.
    known = table["cell_id"] != ""
    return table.set_index(table["cell_id"].where(known, table["cluster"]))["cluster"]


def _check(found: Drift, config: DriftConfig) -> dg.AssetCheckResult:
    severity = dg.AssetCheckSeverity.ERROR if config.severity == "error" else dg.AssetCheckSeverity.WARN
    changed = [row.cluster for row in found.clusters if row.change is not Change.SAME]
    said = (
        f"{found.changed_share:.1%} of the cells are called something else than before; {config.max_changed_share:.1%} "
        "may be. Look at the clusters in the table; an earlier version can be compared again by its data version."
    )
    return dg.AssetCheckResult(
        check_name="labels_hold",
        passed=found.changed_share <= config.max_changed_share,
        severity=severity,
        description=said,
        metadata={"clusters": dg.MetadataValue.json(changed), "changed_share": found.changed_share},
    )


def _shown(row: ClusterDrift) -> dg.TableRecord:
    change = row.score_change
    return dg.TableRecord(
        {
            "cluster": row.cluster,
            "cells": row.n_cells,
            "before": row.before or "none",
            "overlap": f"{row.overlap:.2f}",
            "label": row.label or "unresolved",
            "label before": row.label_before or "unresolved",
            "change": row.change.value,
            "score": "" if change is None else f"{change:+.0f}",
        }
    )
