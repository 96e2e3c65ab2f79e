"""A marker table that a user brings, with its genes in present symbols, and what is to be said of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cassia_dagster.errors import InputError
from cassia_dagster.knowledge.genes import present_symbols
from cassia_dagster.knowledge.markers import known_genes
from cassia_dagster.records import SPECIES, Species
from cassia_dagster.singlecell.marker_columns import tidy_markers
from cassia_dagster.singlecell.marker_files import read_marker_table
from cassia_dagster.singlecell.names import ensembl_ids

if TYPE_CHECKING:
    import pandas as pd

WITHOUT_CELLS = (
    "Only a marker table is known: there are no maps, no cell counts and no annotated file, and the second look "
    "could look up nothing beyond the table."
)


class Markers(NamedTuple):
    """A marker table as the method takes it."""

    table: pd.DataFrame
    """As `marker_columns.tidy_markers` returns it, its genes in present symbols."""
    notes: tuple[str, ...]
    """What became of the names of its genes."""


def load_markers_of(markers: pd.DataFrame | Path | str, species: Species) -> Markers:
    """Read a marker table and give its genes their present symbols.

    Parameters
    ----------
    markers
        A table that `tidy_markers` takes, or the path of one that `read_marker_table` does.
    species
        Whose genes they are.

    Raises
    ------
    InputError
        If it cannot be read, or its genes are none of the species'.
    """
    where = str(markers) if isinstance(markers, Path | str) else "The marker table"
    table = read_marker_table(Path(where)) if isinstance(markers, Path | str) else tidy_markers(markers, where)
    names = list(dict.fromkeys(table["gene"]))
    found = present_symbols(names, species, where)
    _check_genes(found.symbols, species, where)
    present = dict(zip(names, found.symbols, strict=True))
    return Markers(table.assign(gene=table["gene"].map(present)), found.notes)


def _check_genes(genes: Iterable[str], species: Species, where: str) -> None:
    """Raise `InputError` if the genes are no symbols, or those of the other species."""
    names = list(genes)
    if len(ensembl := ensembl_ids(names)) > len(names) / 2:
        raise InputError(
            f"{where} names its genes by Ensembl ids (such as {ensembl[0]}), and most have no symbol that is known. "
            "Give gene symbols instead."
        )
    known = known_genes(names)
    likely = max(SPECIES, key=lambda one: known[one])
    if known[likely] == 0:
        raise InputError(f"{where}: none of its {len(names):,} genes is a known symbol (such as {names[0]!r}).")
    if known[species] < known[likely] / 3:
        raise InputError(
            f"{where}: only {known[species]} of its {len(names):,} genes are known symbols of {species}, and "
            f"{known[likely]} of {likely}. Are the cells of {likely}?"
        )
