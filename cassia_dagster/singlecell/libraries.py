"""The libraries that decide what the single-cell stages find: with another version, the last bits may be others."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "normalized_adata": ("numpy", "scipy", "scikit-learn", "harmonypy"),
    "umap": ("numpy", "scipy", "numba", "scanpy", "umap-learn"),
    "leiden_clusters": ("igraph", "leidenalg", "scikit-learn"),
    "marker_table": ("numpy", "scipy", "pandas", "scanpy"),
}
"""Asset → the libraries that compute it."""


def versions_behind(asset: str) -> dict[str, str]:
    """Return the installed versions of the libraries that an asset is computed with.

    Examples
    --------
    >>> sorted(versions_behind("leiden_clusters"))
    ['igraph', 'leidenalg', 'scikit-learn']
    """
    return {library: version(library) for library in LIBRARIES[asset]}
