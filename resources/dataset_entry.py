"""What a user says of one dataset, checked field by field."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from cassia_dagster.errors import ConfigurationError, InputError
from cassia_dagster.llm.choice import ModelChoice, ModelRole
from cassia_dagster.records import Fraction, Percent, Record, Species, Strategy
from cassia_dagster.singlecell.resolutions import (
    GIVEN,
    MARKER_TABLE,
    canonical_resolution,
    given_keys,
    is_given,
    title_of,
)

DEFAULT_RESOLUTIONS = ("0.4", "0.8", "1.2")

OF_CELLS = (
    "tissue_column",
    "labels",
    "label_terms",
    "batch_key",
    "clusters",
    "resolutions",
    "counts",
    "gene_symbols",
)
"""Fields that say something of cells, and nothing of a marker table."""

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


def each_once(values: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out what was there before."""
    return tuple(dict.fromkeys(values))


def _check_counts(counts: str) -> str:
    if counts not in ("X", "raw") and not re.fullmatch(r"layers/.+", counts):
        raise ValueError(f"{counts!r} is no place for counts: write X, raw or layers/NAME")
    return counts


type Counts = Annotated[str, AfterValidator(_check_counts)]
type Name = Annotated[str, AfterValidator(check_name)]
type Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
type Column = Annotated[str, Field(min_length=1)]
type Columns = Annotated[tuple[Column, ...], BeforeValidator(_one_or_several), AfterValidator(each_once)]
type Resolution = Annotated[str, BeforeValidator(_check_resolution)]
type Resolutions = Annotated[tuple[Resolution, ...], AfterValidator(each_once)]
type Key = Annotated[str, BeforeValidator(_check_key)]
type Kind = Literal["cells", "markers"]
type Models = Annotated[
    dict[Literal["all"] | ModelRole, ModelChoice],
    BeforeValidator(lambda said: {"all": said} if isinstance(said, str) else said),
]


class DatasetEntry(Record):
    """What a user says of one dataset."""

    name: Name
    path: Path
    kind: Kind = "cells"
    """What the file holds: cells, or only the marker genes of clusters."""
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
    """Column of ``obs`` with the batch of each cell."""
    integrate: bool = True
    """Whether neighbours are sought where batches are aligned, if there is a `batch_key`."""
    clusters: Columns = ()
    """Columns of ``obs`` with clusterings of the user's own, which are named beside or instead of Leiden's."""
    resolutions: Resolutions = Field(
        default_factory=lambda said: (
            () if said.get("clusters") or said.get("kind") == "markers" else DEFAULT_RESOLUTIONS
        )
    )
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
    strategy: Strategy | None = None
    """How labels are arrived at; `validated` if not given."""
    max_workers: int | None = Field(default=None, gt=0, le=256)
    """Clusters that are worked on at once."""
    score_threshold: Percent | None = None
    """Labels that score less get a second look."""
    namesakes: bool | None = None
    """Whether clusters that share a name get one too, to tell which kind of it each is."""
    max_contradiction: Fraction | None = None
    """Share of the cells in clusters named against their known label beyond which no annotated file is written."""
    max_usd: float | None = Field(default=None, ge=0)
    """Most US dollars that the dataset may cost, over all its runs."""
    notes: str = ""
    """Whatever the user wants to remember; it changes no result."""

    @property
    def given(self) -> dict[str, str]:
        """Resolution key → column, of the clusterings that the user brings."""
        return given_keys(self.clusters) if self.has_cells else {GIVEN: MARKER_TABLE}

    @property
    def has_cells(self) -> bool:
        """Whether the file holds cells, and not only the markers of their clusters."""
        return self.kind == "cells"

    def require_cells(self) -> None:
        """Raise `InputError` if the dataset is a marker table, of which no cell is known."""
        if not self.has_cells:
            raise InputError(
                f"Dataset {self.name!r} is a marker table: no cell of it is known, so there is nothing to normalise, "
                "to cluster, to lay out or to write labels to. What there is to make begins with leiden_clusters at "
                f"the resolution {GIVEN!r} (job annotate_clusters)."
            )

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
        if not resolutions and not info.data.get("clusters") and info.data.get("kind") != "markers":
            raise ValueError("name at least one resolution, or columns with clusters in the field clusters")
        return resolutions

    @model_validator(mode="after")
    def _nothing_is_said_of_cells_that_are_not_there(self) -> Self:
        if not self.has_cells and (said := next((field for field in OF_CELLS if getattr(self, field)), None)):
            raise ValueError(f"{said} says something of cells, and a marker table has none; leave it out")
        return self

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
