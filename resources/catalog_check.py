"""Whether a file has what its entry in the catalog says of it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from cassia_dagster.errors import InputError
from cassia_dagster.knowledge.anatomy import tissue_note
from cassia_dagster.knowledge.genes import present_symbols
from cassia_dagster.knowledge.lab import read_lab_markers
from cassia_dagster.knowledge.markers import check_genes
from cassia_dagster.marker_tables import Markers, load_markers_of
from cassia_dagster.singlecell.columns import cells_per_batch, given_clusters, tissue_of_cells
from cassia_dagster.singlecell.frame import read_frame
from cassia_dagster.singlecell.load import (
    INPUT,
    Cells,
    check_column,
    check_place,
    check_shape,
    load_cells,
)
from cassia_dagster.singlecell.names import Rename, keep_names, name_by_symbols, settle_names

if TYPE_CHECKING:
    from anndata import AnnData

    from resources.catalog import DatasetEntry


_SHOWN = 5
"""Warnings of one table that a note lists."""


def load_checked(entry: DatasetEntry) -> Cells:
    """Load the cells of a dataset, with every column that the catalog names.

    Raises
    ------
    InputError
        With the file, what is wrong with it or with the entry, and the way out.
    """
    cells = load_cells(entry.path, entry.counts, entry.gene_symbols, _present_names(entry))
    check_genes(cells.adata.var_names, entry.species)
    check_columns(entry, cells.adata)
    _check_tables(entry)
    return _note_tissues(entry, cells)


def _note_tissues(entry: DatasetEntry, cells: Cells) -> Cells:
    """Add what cannot be read of the tissues to the notes, which the terminal, the UI and the report show."""
    notes = (*cells.notes, *_tissue_notes(entry, cells.adata))
    cells.adata.uns[INPUT]["notes"] = "\n".join(notes)
    return replace(cells, notes=notes)


def _tissue_notes(entry: DatasetEntry, adata: AnnData) -> list[str]:
    if entry.tissue_column:
        said = sorted(set(tissue_of_cells(adata.obs, entry.tissue_column, entry.path)))
    else:
        said = [entry.tissue or ""]
    return [note for note in map(tissue_note, said) if note]


def tables_checked(entry: DatasetEntry, place: str) -> tuple[AnnData, list[str]]:
    """Do what `load_checked` does with all but the values of the matrix, which is to be streamed from the file.

    Returns
    -------
    tables
        ``obs`` and ``var``, checked and named.
    notes
        What is not as expected, and what was done about it.
    """
    frame = read_frame(entry.path)
    tables = frame.cells if place != "raw" or frame.raw is None else frame.raw
    check_columns(entry, tables)
    _check_tables(entry)
    return tables, [*_check_names_and_genes(entry, tables), *_tissue_notes(entry, tables)]


def load_table(entry: DatasetEntry) -> Markers:
    """Load a dataset that is a marker table; what is wrong with it is raised as by `load_markers_of`."""
    _check_tables(entry)
    return load_markers_of(entry.path, entry.species)


def lab_notes(entry: DatasetEntry) -> tuple[str, ...]:
    """Say what is odd about a lab's own marker table, where there is one: genes that nobody knows."""
    if entry.markers is None:
        return ()
    warnings = read_lab_markers(entry.markers, entry.species).warnings
    more = f"; and {len(warnings) - _SHOWN:,} more" if len(warnings) > _SHOWN else ""
    return (f"Your marker table {entry.markers.name}: {'; '.join(warnings[:_SHOWN])}{more}.",) if warnings else ()


def _check_tables(entry: DatasetEntry) -> None:
    if entry.markers is not None:
        read_lab_markers(entry.markers, entry.species)


def check_columns(entry: DatasetEntry, adata: AnnData) -> None:
    """Raise `InputError` unless ``obs`` has the columns that the entry names, and they can mean what it says."""
    for column in entry.labels:
        check_column(adata, column, entry.path)
    for column in entry.clusters:
        given_clusters(adata.obs, column, entry.path)
    if entry.batch_key:
        cells_per_batch(adata.obs, entry.batch_key, entry.path)
    if entry.tissue_column:
        tissue_of_cells(adata.obs, entry.tissue_column, entry.path)


def check_frame(entry: DatasetEntry) -> None:
    """Check all that can be told of a dataset without reading the values of a matrix.

    Raises
    ------
    InputError
        As `load_checked` does; what only the values betray is left to that.
    """
    if not entry.has_cells:
        load_table(entry)
        return
    frame = read_frame(entry.path)
    check_columns(entry, frame.cells)
    _check_tables(entry)
    check_place(entry.counts, frame.places, entry.path)
    tables = [] if entry.counts == "raw" else [frame.cells]
    if frame.raw is not None and entry.counts in (None, "raw"):
        tables.append(frame.raw)
    troubles = []
    for adata in tables:
        try:
            _check_names_and_genes(entry, adata)
        except InputError as error:  # where counts are looked for in several places, the next may do
            troubles.append(error)
        else:
            return
    raise troubles[0]


def _check_names_and_genes(entry: DatasetEntry, adata: AnnData) -> list[str]:
    """Check and settle the names of cells and genes; return what was done about them."""
    check_shape(adata, entry.path)
    before = adata.var_names
    if entry.gene_symbols is not None:
        name_by_symbols(adata, entry.gene_symbols, entry.path)
    notes = settle_names(adata, entry.path, _present_names(entry))
    keep_names(adata, before)
    check_genes(adata.var_names, entry.species)
    return notes


def _present_names(entry: DatasetEntry) -> Rename:
    return partial(present_symbols, species=entry.species, where=str(entry.path))
