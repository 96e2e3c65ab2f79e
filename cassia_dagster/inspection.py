"""Finds out what a file holds before anything is computed from it, and what a run would make of it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cassia_dagster.errors import InputError
from cassia_dagster.knowledge.markers import MIN_KNOWN_GENES, check_genes, known_genes
from cassia_dagster.records import SPECIES, Record, Species
from cassia_dagster.singlecell.formats import read
from cassia_dagster.singlecell.load import (
    MAX_LABELS,
    checked_counts,
    ensembl_ids,
    find_counts,
    matrix_at,
    name_by_symbols,
    places,
    symbol_columns,
    take_counts,
)

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from scipy.sparse import csr_matrix

MAX_LOGARITHM = 17.0
"""No natural logarithm of a count that a sequencer can give is larger than this (2.4e7)."""

type Kind = Literal["counts", "log", "normalised", "scaled", "damaged", "empty"]
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
    kind: Kind
    signs: str
    """What it was told by."""


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
    obstacle: str | None
    """Why a run would refuse the file; nothing if it would not."""

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
    matrices = tuple(_matrix(matrix_at(adata, place), place) for place in places(adata))
    obstacle = counts = None
    try:
        counts = find_counts(adata, path, _only_counts(matrices))
        adata = take_counts(adata, path, counts)
    except InputError as error:
        obstacle = str(error)
    examples, ensembl = tuple(map(str, adata.var_names[:3])), ensembl_ids(adata.var_names)
    named_by_ensembl = len(ensembl) > adata.n_vars / 2
    symbols = next(iter(symbol_columns(adata)), None) if named_by_ensembl else None
    if symbols is not None:
        name_by_symbols(adata, symbols, path)
    known = known_genes(adata.var_names)
    species = max(SPECIES, key=lambda one: known[one])
    if obstacle is None:
        obstacle = _obstacle(adata, path, species)
    told = known[species] >= MIN_KNOWN_GENES
    return Inspection(
        path=path,
        n_cells=shape[0],
        n_genes=shape[1],
        matrices=matrices,
        counts=counts,
        gene_ids="Ensembl ids" if named_by_ensembl else "symbols" if told else "unknown",
        gene_examples=examples,
        gene_symbols=symbols,
        known_genes=known,
        species=species if told else None,
        columns=columns,
        obstacle=obstacle,
    )


def _only_counts(matrices: tuple[Matrix, ...]) -> str | None:
    """Name the layer with counts, where a run would find none by itself."""
    holding = [matrix.place for matrix in matrices if matrix.kind == "counts"]
    return holding[0] if holding and not {"X", "layers/counts", "raw"}.intersection(holding) else None


def _obstacle(adata: AnnData, path: Path, species: Species) -> str | None:
    try:
        checked_counts(adata, path, "X")
        check_genes(adata.var_names, species)
    except InputError as error:
        return str(error)
    return None


def _matrix(matrix: csr_matrix, place: str) -> Matrix:
    kind, signs = _kind(matrix)
    return Matrix(place=place, n_genes=matrix.shape[1], kind=kind, signs=signs)


def _kind(matrix: csr_matrix) -> tuple[Kind, str]:
    """Tell what was done to the values of a matrix, and by what that is seen."""
    import numpy as np

    values = matrix.data
    if not len(values):
        return "empty", "nothing but zeros" if matrix.shape[0] and matrix.shape[1] else "no cells or no genes"
    if not np.isfinite(values).all():
        return "damaged", f"{np.count_nonzero(~np.isfinite(values)):,} values are NaN or infinite"
    least, largest = float(values.min()), float(values.max())
    if least < 0:
        return "scaled", f"values from {least:.3g} to {largest:.3g}"
    zeros = f"{1 - len(values) / np.prod(matrix.shape, dtype=float):.0%} zeros"
    if (values == np.round(values)).all():
        return "counts", f"whole numbers up to {largest:,.0f}, {zeros}"
    if largest < MAX_LOGARITHM:
        return "log", f"fractions up to {largest:.3g}, {zeros}"
    return "normalised", f"fractions up to {largest:,.0f}, too large for logarithms, {zeros}"


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
