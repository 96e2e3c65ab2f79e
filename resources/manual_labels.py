"""The file of labels that persons gave: YAML or CSV, meant to be read, edited and kept under version control."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import yaml
from pydantic import Field, ValidationError

from cassia_dagster.errors import ConfigurationError
from cassia_dagster.evaluation.manual import ManualLabel
from cassia_dagster.files import replacing

COLUMNS = tuple(ManualLabel.model_fields)


def read_manual_labels(path: Path) -> list[ManualLabel]:
    """Read all manual labels; none if there is no file.

    Raises
    ------
    ConfigurationError
        If the file cannot be read; with the row and the field, and where two rows are about one cluster.
    """
    if not path.exists():
        return []
    try:
        text = path.read_text(encoding="utf-8")
        rows = list(csv.DictReader(io.StringIO(text))) if path.suffix == ".csv" else yaml.safe_load(text) or []
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"The manual labels {path} cannot be read: {error}") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ConfigurationError(
            f"The manual labels {path} must be a list of rows with the fields {', '.join(COLUMNS)}."
        )
    labels = [_label(path, number, row) for number, row in enumerate(rows, start=1)]
    places = [label.place for label in labels]
    if doubled := sorted({place for place in places if places.count(place) > 1}):
        dataset, resolution, cluster = doubled[0]
        raise ConfigurationError(
            f"{path} has two labels for cluster {cluster!r} of {dataset!r} at {resolution}. Take one of them out."
        )
    return labels


def write_manual_labels(path: Path, labels: Iterable[ManualLabel]) -> None:
    """Replace the file, in the order of datasets, resolutions and clusters, so that a difference is small to read."""
    rows = [one.model_dump(mode="json", exclude_none=True) for one in sorted(labels, key=lambda one: one.place)]
    with replacing(path) as temporary:
        if path.suffix != ".csv":
            temporary.write_text(yaml.safe_dump(rows, sort_keys=False, allow_unicode=True), encoding="utf-8")
            return
        with temporary.open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            table.writeheader()
            table.writerows(rows)


def version_of(labels: Sequence[ManualLabel]) -> str:
    """Name what was said, whatever its order."""
    said = sorted(one.model_dump_json() for one in labels)
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:32]


class ManualLabelsFile(dg.ConfigurableResource):
    """The project's file of labels that persons gave."""

    path: str = Field(description="A YAML or CSV file; there need not be one.")

    def of(self, dataset: str, resolution: str) -> list[ManualLabel]:
        """Return what was said of the clusters of a dataset at one resolution, as the file has it now."""
        return [one for one in read_manual_labels(Path(self.path)) if one.place[:2] == (dataset, resolution)]


def _label(path: Path, number: int, row: dict[str, Any]) -> ManualLabel:
    try:
        return ManualLabel.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        where = " → ".join(map(str, ("row", number, *first["loc"])))
        raise ConfigurationError(f"{path}: {where}: {first['msg'].removeprefix('Value error, ')}.") from error
