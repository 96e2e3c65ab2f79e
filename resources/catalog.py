"""The datasets that the project knows, in a YAML file that a person can edit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import dagster as dg
import yaml
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from cassia_dagster.errors import ConfigurationError
from cassia_dagster.files import replacing
from cassia_dagster.llm.choice import ModelChoice, ModelRole
from cassia_dagster.records import Percent, Record, Species
from cassia_dagster.singlecell.cluster import canonical_resolution

DEFAULT_RESOLUTIONS = ("0.4", "0.8", "1.2")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def check_name(name: str) -> str:
    """Return a dataset's name if it can be a partition key, a file name and a column; raise otherwise.

    Raises
    ------
    ValueError
        With what a name may look like.
    """
    if not _NAME.fullmatch(name) or ".." in name:
        raise ValueError(
            f"{name!r} cannot name a dataset: use letters, digits, '.', '_' and '-' (at most 100), "
            "begin with a letter or digit, and leave out '..'"
        )
    return name


def _check_resolution(resolution: Any) -> str:
    try:
        return canonical_resolution(resolution)
    except ConfigurationError as error:  # as a ValueError it is told together with its place in the file
        raise ValueError(str(error).removesuffix(".")) from error


def _each_once(resolutions: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(resolutions))


def _check_counts(counts: str) -> str:
    if counts not in ("X", "raw") and not re.fullmatch(r"layers/.+", counts):
        raise ValueError(f"{counts!r} is no place for counts: write X, raw or layers/NAME")
    return counts


type Counts = Annotated[str, AfterValidator(_check_counts)]
type Name = Annotated[str, AfterValidator(check_name)]
type Resolution = Annotated[str, BeforeValidator(_check_resolution)]
type Models = Annotated[
    dict[Literal["all"] | ModelRole, ModelChoice],
    BeforeValidator(lambda said: {"all": said} if isinstance(said, str) else said),
]
type Resolutions = Annotated[tuple[Resolution, ...], Field(min_length=1), AfterValidator(_each_once)]


class DatasetEntry(Record):
    """What a user says of one dataset."""

    name: Name
    path: Path
    species: Species = "human"
    tissue: str = Field(min_length=1)
    context: str = ""
    """What else a model should know, such as "biopsy of a tumour"."""
    labels: tuple[str, ...] = ()
    """Columns of ``obs`` with known cell types, which the result is compared with."""
    label_terms: Path | None = None
    """CSV with the columns ``label, cl_id``: the Cell Ontology terms of the known labels."""
    resolutions: Resolutions = DEFAULT_RESOLUTIONS
    primary_resolution: Resolution | None = None
    """Fills the single-valued columns of the annotated file; the first resolution if not given."""
    counts: Counts | None = None
    """Where the raw counts are; if not given, they are looked for in ``X``, the layer ``counts`` and ``raw``."""
    gene_symbols: str | None = Field(default=None, min_length=1)
    """Column of ``var`` with the gene symbols; if not given, they are the ``var_names``."""
    output: Path = Path("output")
    models: Models = Field(default_factory=dict)
    """Who plays the roles; ``all`` stands for those that are not named."""
    max_workers: int | None = Field(default=None, gt=0, le=256)
    """Clusters that are worked on at once."""
    score_threshold: Percent | None = None
    """Labels that score less get a second look."""
    max_usd: float | None = Field(default=None, ge=0)
    """Most US dollars that the dataset may cost, over all its runs."""

    def model(self, role: ModelRole) -> ModelChoice:
        """Return the model that this entry chooses for a role, if it does."""
        return self.models.get(role, ModelChoice()).over(self.models.get("all", ModelChoice()))

    @property
    def primary(self) -> str:
        """The resolution that speaks for the dataset where only one can."""
        return self.primary_resolution or self.resolutions[0]

    @property
    def folder(self) -> Path:
        """Where the files for the user go."""
        return self.output / self.name

    @model_validator(mode="after")
    def _primary_is_listed(self) -> Self:
        if self.primary not in self.resolutions:
            raise ValueError(
                f"primary_resolution {self.primary} is none of the resolutions {', '.join(self.resolutions)}"
            )
        return self


class Catalog(Record):
    """All datasets of a project, and the resolutions that it knows."""

    resolutions: Resolutions = DEFAULT_RESOLUTIONS
    """What the project knows whatever its datasets list."""
    datasets: tuple[DatasetEntry, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Catalog:
        """Read a catalog; one that does not exist yet is empty.

        Raises
        ------
        ConfigurationError
            With the file, the entry, the field, and what is wrong with it.
        """
        if not path.exists():
            return cls()
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
            if not isinstance(content, dict):
                raise ConfigurationError(
                    f"{path} must be a mapping with the keys 'datasets' and 'resolutions', not {type(content).__name__}"
                )
            return cls.model_validate(content)
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{path} is not valid YAML: {error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            place = _place(first["loc"], content)
            raise ConfigurationError(f"{path}: {place}: {first['msg'].removeprefix('Value error, ')}.") from error

    def write(self, path: Path) -> None:
        """Replace the file by this catalog."""
        content = self.model_dump(mode="json", exclude_none=True)
        with replacing(path) as temporary:
            temporary.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")

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
        """The project's resolutions and those of its datasets, rising."""
        return sorted({*self.resolutions, *(one for entry in self.datasets for one in entry.resolutions)}, key=float)

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
            f"The catalog has no dataset {name!r}; it has: {known}. Add it with `cassia-dagster run`."
        )

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [entry.name for entry in self.datasets]
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"datasets: two entries have the name {doubled[0]!r}")
        return self


def _place(location: tuple[int | str, ...], content: dict[str, Any]) -> str:
    """Say where in the file a value stands, and of which entry it is, by name if that is a name."""
    parts = list(location)
    if parts[:1] == ["datasets"] and len(parts) > 1:
        entry = content["datasets"][parts[1]]
        name = entry.get("name") if isinstance(entry, dict) else None
        parts[1] = name if isinstance(name, str) and name else parts[1]
    return " → ".join(map(str, parts)) or "the file"


class CatalogResource(dg.ConfigurableResource):
    """The dataset catalog of the project."""

    path: str = Field(description="The YAML file that lists the datasets.")

    def entry(self, name: str) -> DatasetEntry:
        """Return the entry of a dataset, as the file has it now."""
        return Catalog.read(Path(self.path)).entry(name)
