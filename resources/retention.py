"""What lies among the artifacts and nobody needs any more: earlier versions, and what is left of removed datasets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from upath import UPath

from resources.places import Place, artifact_root
from resources.versions_kept import FOLDER


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file among the artifacts, and what it is of."""

    path: UPath
    bytes: int
    asset: str
    dataset: str
    resolution: str | None
    """``None`` where the asset has no resolutions."""
    is_version: bool
    """Whether it is kept as a version of a table, and not the table that assets read."""


def artifacts(root: Place) -> Iterator[Artifact]:
    """Find what IO managers wrote below a root; files of another kind or depth are not theirs, and left out."""
    place = UPath(artifact_root(str(root)))
    found = place.fs.find(place.path, detail=True)
    for name, seen in sorted(found.items()):
        path = PurePosixPath(name).relative_to(place.path)
        parts = path.parts
        is_version = parts[0] == FOLDER
        asset, *keys = parts[1:] if is_version else parts
        if path.suffix not in {".parquet", ".h5ad"} or parts[-1].startswith("."):
            continue
        if is_version and len(keys) == 3:
            dataset, resolution = keys[0], keys[1]
        elif not is_version and len(keys) == 2:
            dataset, resolution = keys[0], keys[1].removesuffix(path.suffix)
        elif not is_version and len(keys) == 1:
            dataset, resolution = keys[0].removesuffix(path.suffix), None
        else:
            continue
        yield Artifact(place.joinpath(*parts), seen["size"], asset, dataset, resolution, is_version)


def superfluous(found: Collection[Artifact], keep: int) -> list[Artifact]:
    """Return the versions of tables that are older than the newest ``keep`` of each."""
    versions: dict[tuple[str, str, str | None], list[Artifact]] = defaultdict(list)
    for one in found:
        if one.is_version:
            versions[one.asset, one.dataset, one.resolution].append(one)
    # Their names begin with the time.
    by_age = (sorted(ones, key=lambda one: one.path.name, reverse=True) for ones in versions.values())
    return [one for ones in by_age for one in ones[max(keep, 1) :]]


def orphans(found: Collection[Artifact], listed: Mapping[str, Collection[str]]) -> list[Artifact]:
    """Return what was made of datasets, or of resolutions of them, that are not listed any more.

    Parameters
    ----------
    found
        All artifacts.
    listed
        Dataset → its resolution keys.
    """
    return [
        one
        for one in found
        if one.dataset not in listed or (one.resolution is not None and one.resolution not in listed[one.dataset])
    ]
