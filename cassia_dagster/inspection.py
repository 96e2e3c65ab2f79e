"""Finds out what a file holds before anything is computed from it, and what a run would make of it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cassia_dagster.agents.annotate import MAX_ROUNDS
from cassia_dagster.agents.boost import USUAL_ROUNDS
from cassia_dagster.errors import InputError
from cassia_dagster.knowledge.genes import present_symbols, species_of_ids
from cassia_dagster.knowledge.markers import MIN_KNOWN_GENES, check_genes, known_genes
from cassia_dagster.records import SPECIES, Record, Species
from cassia_dagster.singlecell.formats import read
from cassia_dagster.singlecell.load import (
    MAX_LABELS,
    checked_cells,
    count_values,
    places,
    values_at,
)
from cassia_dagster.singlecell.memory import memory_needed
from cassia_dagster.singlecell.names import symbol_columns
from cassia_dagster.singlecell.values import Values

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

type Role = Literal["labels", "clusters", "batch", "tissue", ""]

_ROLES: tuple[tuple[Role, re.Pattern[str]], ...] = (
    ("clusters", re.compile(r"leiden|louvain|cluster")),
    ("labels", re.compile(r"cell.?(type|class|label|identity|ontology)|annot|label|granular|broad")),
    ("tissue", re.compile(r"tissue|organ(?!ism|oid)|anatom")),
    ("batch", re.compile(r"batch|donor|sample|patient|subject|library|chemistry|dataset|lane|assay|orig.ident")),
)


class Matrix(Record):
    """One matrix of a file."""

    place: str
    """``X``, ``raw`` or ``layers/NAME``."""
    n_genes: int
    n_values: int
    """Those that are not zero."""
    holds: Values


class Column(Record):
    """One column of ``obs``."""

    name: str
    n_values: int
    examples: tuple[str, ...]
    """The most frequent values; of a measurement, its range."""
    role: Role


class Inspection(Record):
    """What a file holds."""

    path: Path
    n_cells: int
    n_genes: int
    matrices: tuple[Matrix, ...]
    counts: str | None
    """Where the raw counts are, if there are any."""
    gene_ids: Literal["symbols", "Ensembl ids", "unknown"]
    gene_examples: tuple[str, ...]
    gene_symbols: str | None
    """Column of ``var`` with symbols, where the names of the genes are none."""
    known_genes: dict[Species, int]
    species: Species | None
    columns: tuple[Column, ...]
    taken: Matrix | None
    """The matrix that a run would begin with."""
    notes: tuple[str, ...]
    """What is not as expected, and what a run would do about it."""
    obstacle: str | None
    """Why a run would refuse the file; nothing if it would not."""

    @property
    def memory(self) -> int | None:
        """The bytes that a run would take at its peak, roughly."""
        return memory_needed(self.taken.n_values) if self.taken else None

    def having(self, role: Role) -> list[str]:
        """Name the columns of a role."""
        return [column.name for column in self.columns if column.role == role]

    @property
    def command(self) -> str:
        """The command that annotates the file; of the tissue only the user knows."""
        words = ["cassia-dagster", "run", str(self.path), "--species", self.species or "human"]
        words += [word for column in self.having("labels") for word in ("--labels", column)]
        words += ["--counts", self.counts] if self.counts not in (None, "X", "layers/counts", "raw") else []
        words += ["--gene-symbols", self.gene_symbols] if self.gene_symbols else []
        return f"{shlex.join(words)} --tissue TISSUE"


def inspect(path: Path) -> Inspection:
    """Look at a file without computing anything from it.

    Parameters
    ----------
    path
        Anything that `formats.read` takes.

    Raises
    ------
    InputError
        If it cannot be read at all; what a run would refuse in a file that can is part of the result.
    """
    adata = read(path)
    shape, columns = adata.shape, tuple(_column(adata.obs[name]) for name in adata.obs)
    matrices = tuple(_matrix(adata, place) for place in places(adata))
    names = adata.var_names.astype(str).to_list()
    of_ids = species_of_ids(names)
    symbols = next(iter(symbol_columns(adata)), None) if of_ids else None
    rename = partial(present_symbols, species=of_ids or _likely(names), where=str(path))
    place = obstacle = None
    notes: tuple[str, ...] = ()
    try:
        cells = checked_cells(adata, path, _only_counts(matrices), symbols, rename)
        adata, place, notes = cells.adata, cells.place, cells.notes
    except InputError as error:
        obstacle = str(error)
    known = known_genes(adata.var_names)
    species = _likely(adata.var_names)
    told = known[species] >= MIN_KNOWN_GENES
    if obstacle is None:
        obstacle = _unknown_genes(adata, species)
    taken = next((one for one in matrices if one.place == place), None)
    return Inspection(
        path=path,
        n_cells=shape[0],
        n_genes=shape[1],
        matrices=matrices,
        counts=taken.place if taken and taken.holds.kind == "counts" else None,
        gene_ids="Ensembl ids" if of_ids else "symbols" if told else "unknown",
        gene_examples=tuple(names[:3]),
        gene_symbols=symbols,
        known_genes=known,
        species=species if told else None,
        columns=columns,
        taken=taken,
        notes=notes,
        obstacle=obstacle,
    )


def _likely(genes: Iterable[str]) -> Species:
    known = known_genes(genes)
    return max(SPECIES, key=lambda one: known[one])


def questions(n_clusters: int) -> tuple[int, int]:
    """Return how many questions to a model clusters with markers take, at least and at most.

    The annotator and the validator are asked up to `MAX_ROUNDS` times, the scorer once; where there is a second look,
    the booster in each of its rounds and for the conclusion, and the scorer again if the label changed. Not counted are
    the merger, who is asked once for all clusters, and what is asked again because a reply was no valid one.
    """
    second_look = USUAL_ROUNDS + 2
    return n_clusters * 3, n_clusters * (2 * MAX_ROUNDS + 1 + second_look)


def _only_counts(matrices: tuple[Matrix, ...]) -> str | None:
    """Name the layer with counts, where a run would find none by itself."""
    holding = [matrix.place for matrix in matrices if matrix.holds.kind == "counts"]
    return holding[0] if holding and not {"X", "layers/counts", "raw"}.intersection(holding) else None


def _unknown_genes(adata: AnnData, species: Species) -> str | None:
    try:
        check_genes(adata.var_names, species)
    except InputError as error:
        return str(error)
    return None


def _matrix(adata: AnnData, place: str) -> Matrix:
    n_genes = int(adata.raw.n_vars if place == "raw" else adata.n_vars)
    return Matrix(place=place, n_genes=n_genes, n_values=count_values(adata, place), holds=values_at(adata, place))


def _column(values: pd.Series) -> Column:
    import pandas as pd

    name, n_values = str(values.name), int(values.nunique())
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if numeric and n_values > 3:
        examples: tuple[str, ...] = (f"{values.min():,.6g} to {values.max():,.6g}",)
    else:
        # Counted without the levels that no cell has.
        examples = tuple(str(value) for value in values.dropna().astype(object).value_counts().index[:3])
    role: Role = ""
    if 1 < n_values <= MAX_LABELS and not pd.api.types.is_float_dtype(values):
        role = next((role for role, pattern in _ROLES if pattern.search(name.lower())), "")
    elif n_values == 1 and _ROLES[2][1].search(name.lower()):
        role = "tissue"
    return Column(name=name, n_values=n_values, examples=examples, role="" if numeric and role == "labels" else role)
