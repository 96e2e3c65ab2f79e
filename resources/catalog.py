"""The datasets that the project knows, in a YAML file that a person can edit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import dagster as dg
import yaml
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from cassia_dagster.errors import ConfigurationError
from cassia_dagster.files import replacing
from cassia_dagster.llm.choice import ModelChoice, ModelRole
from cassia_dagster.llm.provider_errors import redact
from cassia_dagster.records import Percent, Record, Species
from cassia_dagster.singlecell.resolutions import canonical_resolution, given_keys, in_order, is_given, title_of

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
    if is_given(resolution):
        raise ValueError(f"{resolution!r} is no resolution of Leiden's; name the column of obs in the field clusters")
    try:
        return canonical_resolution(resolution)
    except ConfigurationError as error:  # as a ValueError it is told together with its place in the file
        raise ValueError(str(error).removesuffix(".")) from error


def _check_key(key: Any) -> str:
    return str(key) if is_given(key) else _check_resolution(key)


def _one_or_several(columns: Any) -> Any:
    return [columns] if isinstance(columns, str) else columns


def _each_once(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def _check_counts(counts: str) -> str:
    if counts not in ("X", "raw") and not re.fullmatch(r"layers/.+", counts):
        raise ValueError(f"{counts!r} is no place for counts: write X, raw or layers/NAME")
    return counts


type Counts = Annotated[str, AfterValidator(_check_counts)]
type Name = Annotated[str, AfterValidator(check_name)]
type Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
type Column = Annotated[str, Field(min_length=1)]
type Columns = Annotated[tuple[Column, ...], BeforeValidator(_one_or_several), AfterValidator(_each_once)]
type Resolution = Annotated[str, BeforeValidator(_check_resolution)]
type Resolutions = Annotated[tuple[Resolution, ...], AfterValidator(_each_once)]
type Key = Annotated[str, BeforeValidator(_check_key)]
type Models = Annotated[
    dict[Literal["all"] | ModelRole, ModelChoice],
    BeforeValidator(lambda said: {"all": said} if isinstance(said, str) else said),
]


class DatasetEntry(Record):
    """What a user says of one dataset."""

    name: Name
    path: Path
    species: Species = "human"
    tissue: Text | None = None
    """Where all cells are from; either this or `tissue_column`."""
    tissue_column: Column | None = None
    """Column of ``obs`` with the tissue of each cell."""
    context: str = ""
    """What else a model should know, such as "biopsy of a tumour"."""
    labels: Columns = ()
    """Columns of ``obs`` with known cell types, which the result is compared with."""
    label_terms: Path | None = None
    """CSV with the columns ``label, cl_id``: the Cell Ontology terms of the known labels."""
    markers: Path | None = None
    """CSV of the lab's own marker genes, which count beside the shipped knowledge."""
    batch_key: Column | None = None
    """Column of ``obs`` with the batch of each cell: it is counted and shown, and nothing is corrected for it yet."""
    clusters: Columns = ()
    """Columns of ``obs`` with clusterings of the user's own, which are named beside or instead of Leiden's."""
    resolutions: Resolutions = Field(default_factory=lambda said: () if said.get("clusters") else DEFAULT_RESOLUTIONS)
    """Of the Leiden clusterings; none if not given where there are `clusters`."""
    primary_resolution: Key | None = None
    """Fills the single-valued columns of the annotated file; the first of `clusterings` if not given."""
    counts: Counts | None = None
    """Where the raw counts are; if not given, they are looked for in ``X``, the layer ``counts`` and ``raw``."""
    gene_symbols: Column | None = None
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
    notes: str = ""
    """Whatever the user wants to remember; it changes no result."""

    @property
    def given(self) -> dict[str, str]:
        """Resolution key → column, of the clusterings that the user brings."""
        return given_keys(self.clusters)

    @property
    def clusterings(self) -> tuple[str, ...]:
        """The resolution keys of all clusterings that are to be named, the user's own last."""
        return (*self.resolutions, *self.given)

    def model(self, role: ModelRole) -> ModelChoice:
        """Return the model that this entry chooses for a role, if it does."""
        return self.models.get(role, ModelChoice()).over(self.models.get("all", ModelChoice()))

    @property
    def tables(self) -> tuple[Path, ...]:
        """The files beside the cells that bear on results."""
        return tuple(path for path in (self.label_terms, self.markers) if path)

    @property
    def primary(self) -> str:
        """The resolution key that speaks for the dataset where only one can."""
        return self.primary_resolution or self.clusterings[0]

    @property
    def where(self) -> str:
        """What a list shows of the tissue, which may differ from cell to cell."""
        return self.tissue or f"tissue by {self.tissue_column}"

    @property
    def folder(self) -> Path:
        """Where the files for the user go."""
        return self.output / self.name

    def title(self, key: str) -> str:
        """Say in words which clustering a resolution key stands for."""
        return title_of(key, self.given.get(key))

    @field_validator("clusters")
    @classmethod
    def _columns_have_folders_of_their_own(cls, columns: tuple[str, ...]) -> tuple[str, ...]:
        keys = [key.lower() for key in given_keys(columns)]
        for position, key in enumerate(keys):
            if key in keys[:position]:
                raise ValueError(
                    f"{columns[keys.index(key)]!r} and {columns[position]!r} differ in capitals only, so on some "
                    "file systems their results would share a folder; rename one of the two in the file"
                )
        return columns

    @field_validator("resolutions")
    @classmethod
    def _something_is_named(cls, resolutions: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if not resolutions and not info.data.get("clusters"):
            raise ValueError("name at least one resolution, or columns with clusters in the field clusters")
        return resolutions

    @model_validator(mode="after")
    def _tissue_is_said_once(self) -> Self:
        if (self.tissue is None) == (self.tissue_column is None):
            state = "missing" if self.tissue is None else "said twice"
            raise ValueError(
                f"the tissue is {state}; give either tissue, a word for all cells, or tissue_column, a column of obs"
            )
        return self

    @model_validator(mode="after")
    def _primary_is_listed(self) -> Self:
        if self.primary not in self.clusterings:
            raise ValueError(
                f"primary_resolution {self.primary} is none of the resolutions {', '.join(self.clusterings)}"
            )
        return self


class Catalog(Record):
    """All datasets of a project, and the resolutions that it knows."""

    resolutions: Annotated[tuple[Key, ...], Field(min_length=1), AfterValidator(_each_once)] = DEFAULT_RESOLUTIONS
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
        content = _mapping(path)
        rows = content.get("datasets") or []
        try:
            catalog = cls.model_validate(content | {"datasets": [] if isinstance(rows, list) else rows})
        except ValidationError as error:
            raise ConfigurationError(_told(path, error)) from error
        names = [_name_of(row, position) for position, row in enumerate(rows)]
        sound: list[DatasetEntry] = []
        broken: dict[str, str] = {}
        for name, row in zip(names, rows, strict=True):
            if names.count(name) > 1:
                broken[name] = f"{path}: datasets: two entries have the name {name!r}. Rename one of them."
                continue
            try:
                sound.append(DatasetEntry.model_validate(row))
            except ValidationError as error:
                broken[name] = _told(path, error, "datasets", name)
        return catalog.model_copy(update={"datasets": tuple(sound)}), broken

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


def _mapping(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigurationError(
            f"{path} must be a mapping with the keys 'datasets' and 'resolutions', not {type(content).__name__}"
        )
    return content


def _name_of(row: Any, position: int) -> str:
    name = row.get("name") if isinstance(row, dict) else None
    return name if isinstance(name, str) and name else str(position)


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
        catalog, broken = Catalog.read_sound(Path(self.path))
        if name in broken:
            raise ConfigurationError(broken[name])
        return catalog.entry(name)
