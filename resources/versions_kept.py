"""Earlier versions of the small tables: what a dataset was said to be before, and which run said so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from resources.places import Place

KEPT = ("leiden_clusters", "annotations", "scores", "boosted", "reviewed", "merged")
"""The assets whose tables have a past."""

MOST = 20
"""Versions of one table that are kept, the present one among them."""

FOLDER = "earlier"

_NAME = re.compile(r"(\d{8}T\d{12})Z_([0-9a-f]+)_([A-Za-z0-9-]+)\.parquet")
_TIME = "%Y%m%dT%H%M%S%f"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a table, as it was written."""

    path: Place
    """A parquet file like the one that the asset has now; open it with `resources.storage.TableFile`."""
    written: datetime
    """In UTC."""
    data_version: str
    """As Dagster has it: what the rows mean, without cost and history."""
    run: str
    """The id of Dagster's run."""


def versions_of(root: Place, asset: str, dataset: str, resolution: str) -> list[Version]:
    """List the versions of a table that are kept, the newest, which is the present one, first.

    Parameters
    ----------
    root
        The folder of all artifacts.
    asset
        One of `KEPT`.
    dataset, resolution
        The keys of its partition.
    """
    return sorted(_listed(folder_of(root, asset, dataset, resolution)), key=lambda one: one.path.name, reverse=True)


def folder_of(root: Place, asset: str, dataset: str, resolution: str) -> Place:
    """Return where the versions of a table lie."""
    return root / FOLDER / asset / dataset / resolution


def next_version(root: Place, asset: str, dataset: str, resolution: str, data_version: str, run: str) -> Place | None:
    """Return where a version that is about to be written belongs; ``None`` if the newest one means the same."""
    known = versions_of(root, asset, dataset, resolution)
    if known and known[0].data_version == data_version:
        return None
    now = datetime.now(UTC)
    if known:  # a clock that was set back must not turn the order round
        now = max(now, known[0].written + timedelta(microseconds=1))
    return folder_of(root, asset, dataset, resolution) / f"{now.strftime(_TIME)}Z_{data_version}_{run}.parquet"


def _listed(folder: Place) -> Iterator[Version]:
    for path in folder.iterdir() if folder.exists() else ():
        if seen := _NAME.fullmatch(path.name):
            written = datetime.strptime(seen[1], _TIME).replace(tzinfo=UTC)
            yield Version(path, written, data_version=seen[2], run=seen[3])
