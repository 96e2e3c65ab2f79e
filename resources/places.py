"""Where artifacts may lie: a folder of this machine, or an address of a store of objects."""

from __future__ import annotations

from pathlib import Path

from upath import UPath

from cassia_dagster.errors import ConfigurationError

EXTRAS = {"s3": "s3", "gs": "gs", "az": "az"}
"""Address → the extra of this package that installs its client."""

type Place = Path | UPath


def artifact_root(root: str) -> Place:
    """Return the folder, on this machine or at an address, that artifacts lie in.

    Raises
    ------
    ConfigurationError
        If nothing can be kept at that address, or its client is not installed.
    """
    scheme, mark, _ = root.partition("://")
    if not mark:
        return UPath(root)
    if scheme not in EXTRAS:
        known = ", ".join(f"{one}://" for one in EXTRAS)
        raise ConfigurationError(
            f"Artifacts cannot be kept at {root!r}. Give a folder, or an address that begins with {known}."
        )
    try:
        # Another machine may have written a moment ago, so nothing is believed of earlier listings.
        place = UPath(root, use_listings_cache=False)
        _ = place.fs
    except ImportError as error:
        raise ConfigurationError(
            f"The client for {root!r} is not installed ({error}). "
            f"`uv sync --extra {EXTRAS[scheme]}` installs it from a copy of this project."
        ) from error
    return place
