"""The datasets that the project knows, in a YAML file that a person can edit."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Self

import dagster as dg
import yaml
from pydantic import AfterValidator, Field, ValidationError, model_validator

from cassia_dagster.errors import ConfigurationError
from cassia_dagster.files import replacing
from cassia_dagster.llm.provider_errors import redact
from cassia_dagster.records import Record
from cassia_dagster.singlecell.resolutions import in_order
from resources.dataset_entry import DEFAULT_RESOLUTIONS, DatasetEntry, Key, check_name, each_once

__all__ = [
    "DEFAULT_RESOLUTIONS",
    "Catalog",
    "CatalogResource",
    "DatasetEntry",
    "check_name",
    "remove_entry",
    "write_entry",
]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The same reader, ten times as fast where PyYAML was built with libyaml."""


class Catalog(Record):
    """All datasets of a project, and the resolutions that it knows."""

    resolutions: Annotated[tuple[Key, ...], Field(min_length=1), AfterValidator(each_once)] = DEFAULT_RESOLUTIONS
    """What the project knows whatever its datasets list, also keys of given clusterings."""
    datasets: tuple[DatasetEntry, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Catalog:
        """Read a catalog; one that does not exist yet is empty.

        Raises
        ------
        ConfigurationError
            With the file, the entry, the field, and what is wrong with it.
        """
        catalog, broken = cls.read_sound(path)
        for trouble in broken.values():
            raise ConfigurationError(trouble)
        return catalog

    @classmethod
    def read_entry(cls, path: Path, name: str) -> DatasetEntry:
        """Read the entry of one dataset, whatever is wrong with others.

        Raises
        ------
        ConfigurationError
            If there is none, or with what is wrong with it.
        """
        catalog, broken = cls.read_sound(path)
        if name in broken:
            raise ConfigurationError(broken[name])
        return catalog.entry(name)

    @classmethod
    def read_sound(cls, path: Path) -> tuple[Catalog, dict[str, str]]:
        """Read what can be used of a catalog, so that a broken entry stops no other dataset.

        Returns
        -------
        catalog
            With the sound entries.
        broken
            Name (or position) of every other entry, to what is wrong with it. Of two entries with one name neither
            is taken for the right one.

        Raises
        ------
        ConfigurationError
            If nothing can be used: the file is no YAML, no mapping, or says other things than a catalog does.
        """
        catalog, broken = _sound(path, _text(path))
        return catalog, dict(broken)

    def write(self, path: Path) -> None:
        """Replace the file by this catalog."""
        _write(path, self.model_dump(mode="json", exclude_none=True))

    def with_entry(self, entry: DatasetEntry) -> Catalog:
        """Return the catalog with the entry added, or put in the place of the one of its name."""
        others = tuple(other for other in self.datasets if other.name != entry.name)
        # What was known stays known, so that no partition that was made disappears from the graph.
        return Catalog(resolutions=tuple(self.all_resolutions), datasets=(*others, entry))

    def without(self, name: str) -> Catalog:
        """Return the catalog without the entry of a dataset; raise as `entry` does if there is none."""
        gone = self.entry(name)
        # As in `with_entry`: what was known stays known.
        return Catalog(
            resolutions=tuple(self.all_resolutions), datasets=tuple(one for one in self.datasets if one is not gone)
        )

    @property
    def all_resolutions(self) -> list[str]:
        """The resolution keys of the project and of its datasets, rising, those of given clusterings last."""
        return in_order({*self.resolutions, *(key for entry in self.datasets for key in entry.clusterings)})

    def entry(self, name: str) -> DatasetEntry:
        """Return the entry of a dataset.

        Raises
        ------
        ConfigurationError
            If there is none, with the names that there are.
        """
        for entry in self.datasets:
            if entry.name == name:
                return entry
        known = ", ".join(entry.name for entry in self.datasets) or "none"
        raise ConfigurationError(
            f"The catalog has no dataset {name!r}; it has: {known}. Add it with `cassia-dagster datasets add`."
        )

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [entry.name for entry in self.datasets]
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"datasets: two entries have the name {doubled[0]!r}")
        return self


def write_entry(path: Path, entry: DatasetEntry) -> None:
    """Write one entry into a catalog's file, in the place of the one of its name; all others stay as they stand.

    Raises
    ------
    ConfigurationError
        If the file cannot be read, or has two entries of this name.
    """
    catalog, _ = Catalog.read_sound(path)
    rows = _mapping(path).get("datasets") or []
    row, position = entry.model_dump(mode="json", exclude_none=True), _position(path, rows, entry.name)
    if position is None:
        rows.append(row)
    else:
        rows[position] = row
    _write(path, {"resolutions": list(catalog.with_entry(entry).resolutions), "datasets": rows})


def remove_entry(path: Path, name: str) -> None:
    """Take one entry, sound or broken, out of a catalog's file; all others stay as they stand.

    Raises
    ------
    ConfigurationError
        If the file cannot be read, or has no entry of this name, or two.
    """
    catalog, broken = Catalog.read_sound(path)
    left = catalog if name in broken else catalog.without(name)
    rows = _mapping(path).get("datasets") or []
    position = _position(path, rows, name)
    kept = [row for place, row in enumerate(rows) if place != position]
    _write(path, {"resolutions": left.all_resolutions, "datasets": kept})


@lru_cache(maxsize=2)
def _sound(path: Path, text: str) -> tuple[Catalog, dict[str, str]]:
    """Read what a file says; of the same words it is the same, and automation asks dozens of times a tick."""
    content = _mapping(path, text)
    rows = content.get("datasets") or []
    try:
        catalog = Catalog.model_validate(content | {"datasets": [] if isinstance(rows, list) else rows})
    except ValidationError as error:
        raise ConfigurationError(_told(path, error)) from error
    names = _names_of(rows)
    how_many = Counter(names)
    sound: list[DatasetEntry] = []
    broken: dict[str, str] = {}
    for name, row in zip(names, rows, strict=True):
        if how_many[name] > 1:
            broken[name] = _doubled(path, name)
            continue
        try:
            sound.append(DatasetEntry.model_validate(row))
        except ValidationError as error:
            broken[name] = _told(path, error, "datasets", name)
    return catalog.model_copy(update={"datasets": tuple(sound)}), broken


def _position(path: Path, rows: list[Any], name: str) -> int | None:
    """Find the one row of a name, if there is one."""
    names = _names_of(rows)
    if names.count(name) > 1:
        raise ConfigurationError(_doubled(path, name))
    return names.index(name) if name in names else None


def _write(path: Path, content: dict[str, Any]) -> None:
    with replacing(path) as temporary:
        temporary.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not valid YAML: {error}") from error


def _mapping(path: Path, text: str | None = None) -> dict[str, Any]:
    try:
        content = yaml.load(_text(path) if text is None else text, Loader=_LOADER) or {}  # noqa: S506 - a safe one
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigurationError(
            f"{path} must be a mapping with the keys 'datasets' and 'resolutions', not {type(content).__name__}"
        )
    return content


def _names_of(rows: list[Any]) -> list[str]:
    """Return the name of each entry; of one without, its position."""
    names = [row.get("name") if isinstance(row, dict) else None for row in rows]
    return [name if isinstance(name, str) and name else str(position) for position, name in enumerate(names)]


def _doubled(path: Path, name: str) -> str:
    return f"{path}: datasets: two entries have the name {name!r}. Rename one of them."


def _told(path: Path, error: ValidationError, *place: str) -> str:
    """Say what is wrong, and where in the file it stands."""
    first = error.errors()[0]
    where = " → ".join(map(str, (*place, *first["loc"]))) or "the file"
    # Someone may have written a key where a model or a field should be; this goes to Dagster's event log.
    return f"{path}: {redact(where, None)}: {redact(first['msg'].removeprefix('Value error, '), None)}."


class CatalogResource(dg.ConfigurableResource):
    """The dataset catalog of the project."""

    path: str = Field(description="The YAML file that lists the datasets.")

    def entry(self, name: str) -> DatasetEntry:
        """Return the entry of a dataset, as the file has it now, whatever is wrong with others."""
        return Catalog.read_entry(Path(self.path), name)
