"""Tells which artifacts of the cells need not be made again: same input, code, libraries and parameters, and there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.leiden_clusters import LeidenConfig, leiden_clusters
from assets.marker_table import MarkerConfig, marker_table
from assets.normalized_adata import NormalizeConfig, normalized_adata
from assets.umap import umap
from cassia_dagster.singlecell.libraries import versions_behind
from resources.storage import stored_cells, stored_table

if TYPE_CHECKING:
    from resources.places import Place

CELLS: Mapping[str, type[dg.Config] | None] = {
    "normalized_adata": NormalizeConfig,
    "umap": None,
    "leiden_clusters": LeidenConfig,
    "marker_table": MarkerConfig,
}
"""Assets that are the same each time, so that making them again gives nothing, with their parameters."""

MADE_BEFORE: Mapping[str, str] = {"umap": "normalized_adata", "marker_table": "leiden_clusters"}
"""What is made in the same run from what; the second is on record only as it was before that run."""

GIVEN = {"given_by", "imported_from"}
"""In the metadata of what was taken from the user's file as it is: no parameter and no library had a part in it."""

_VERSION, _CODE, _READ = "dagster/data_version", "dagster/code_version", "dagster/input_event_pointer/"
_NOT_THERE = "NULL"


def kept_artifacts(
    instance: dg.DagsterInstance, root: Place, dataset: str, resolution: str | None
) -> dict[str, dict[str, Any]]:
    """Find the artifacts of a dataset, at one resolution or of none, that a run with the usual parameters would repeat.

    Parameters
    ----------
    instance
        Where materializations are on record.
    root
        Folder of the artifacts.
    dataset, resolution
        Which partition.

    Returns
    -------
    dict
        Asset → the metadata of its last materialization.
    """
    kept: dict[str, dict[str, Any]] = {}
    for asset, config in CELLS.items():
        if MADE_BEFORE.get(asset, asset) not in {*kept, asset}:
            continue
        record = _last(instance, asset, dataset, resolution)
        if record is None or not record.asset_materialization:
            continue
        made = record.asset_materialization
        seen = {name: value.value for name, value in made.metadata.items()}
        tags = made.tags or {}
        computed = not GIVEN & seen.keys()
        usual = config is None or not computed or seen.get("parameters") == config().model_dump(mode="json")
        same_code = tags.get(_CODE) == _code_versions()[asset]
        same_code &= not computed or seen.get("libraries") == versions_behind(asset)
        if usual and same_code and _inputs_stand(instance, tags, dataset, resolution):
            path = _path(root, asset, dataset, resolution)
            # A file that is younger than the record of it was left by a run that was killed before it could tell.
            if path.exists() and path.stat().st_mtime <= record.timestamp:
                kept[asset] = seen
    return kept


def _last(instance: dg.DagsterInstance, asset: str, dataset: str, resolution: str | None) -> dg.EventLogRecord | None:
    key = dg.MultiPartitionKey({"dataset": dataset, "resolution": resolution}) if resolution else dataset
    wanted = dg.AssetRecordsFilter(dg.AssetKey(asset), asset_partitions=[key])
    records = instance.fetch_materializations(wanted, limit=1).records
    return records[0] if records else None


def _inputs_stand(instance: dg.DagsterInstance, tags: Mapping[str, str], dataset: str, resolution: str | None) -> bool:
    """Tell whether every input has the version now that it had when it was read."""
    read = {tag.removeprefix(_READ): event for tag, event in tags.items() if tag.startswith(_READ)}
    for asset, event in read.items():
        now = _last(instance, asset, dataset, resolution if asset == "leiden_clusters" else None)
        if event == _NOT_THERE:  # a marker table has no cells
            if now is not None:
                return False
            continue
        wanted = dg.AssetRecordsFilter(dg.AssetKey(asset), storage_ids=[int(event)])
        then = instance.fetch_materializations(wanted, limit=1).records
        versions = [
            (record.asset_materialization.tags or {}).get(_VERSION)
            for record in (*then, now)
            if record and record.asset_materialization
        ]
        if len(versions) != 2 or None in versions or versions[0] != versions[1]:
            return False
    return bool(read)


def _code_versions() -> dict[str, str | None]:
    return {
        key.to_user_string(): version
        for asset in (normalized_adata, umap, leiden_clusters, marker_table)
        for key, version in asset.code_versions_by_key.items()
    }


def _path(root: Place, asset: str, dataset: str, resolution: str | None) -> Place:
    if asset == "normalized_adata":
        return stored_cells(root, dataset).path
    if resolution is None:
        return root / asset / f"{dataset}.parquet"
    return stored_table(root, asset, dataset, resolution).path
