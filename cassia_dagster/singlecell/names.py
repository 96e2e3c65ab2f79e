"""What genes and cells are called: by symbols, each once, and no one without a name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cassia_dagster.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

NAME_IN_FILE = "cassia_name_in_file"
"""Column of ``var`` with what the file called each gene, where that is another name now."""


class Renamed(Protocol):
    """What genes are called now."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """One for each name, in their order."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done, for the user."""


type Rename = Callable[[Sequence[str]], Renamed]
"""Gives genes their present symbols; this package knows none."""


def are_same(found: pd.Index, wanted: pd.Index) -> bool:
    """Tell whether two indexes hold the same names, whatever their order."""
    # Most often they are in the same order. Else as sets: pandas takes ten times as long to look names up.
    return found.equals(wanted) or (len(found) == len(wanted) and set(found.to_list()) == set(wanted.to_list()))


def keep_names(adata: AnnData, before: pd.Index) -> None:
    """Keep in ``var`` what the file called the genes, where any has another name now."""
    if (adata.var_names != before).any():
        adata.var[NAME_IN_FILE] = before.astype(str).to_numpy()


def name_by_symbols(adata: AnnData, symbols: str, path: Path) -> None:
    """Name the genes by a column of ``var``; one without a symbol keeps its name."""
    import pandas as pd

    if symbols not in adata.var:
        available = ", ".join(map(str, adata.var.columns)) or "none"
        raise InputError(f"{path} has no var column {symbols!r} with gene symbols; it has: {available}.")
    column = adata.var[symbols].astype(object)
    given = column.notna() & (column.astype(str).str.strip() != "")
    adata.var_names = pd.Index(column.where(given, adata.var_names.to_series()).astype(str).to_list())


def ensembl_ids(names: Iterable[object]) -> list[str]:
    """Return those of the gene names that are Ensembl ids of human or mouse."""
    return [str(name) for name in names if str(name).startswith(("ENSG0", "ENSMUSG0"))]


def symbol_columns(adata: AnnData) -> list[str]:
    """Name the columns of ``var`` that look like gene symbols: mostly different text, and no Ensembl ids."""
    fitting = []
    for column in adata.var:
        values = adata.var[column].dropna()
        text = len(values) > 0 and all(isinstance(value, str) for value in values.head(100))
        if text and values.nunique() > adata.n_vars / 2 and len(ensembl_ids(values)) < len(values) / 2:
            fitting.append(str(column))
    return fitting


def settle_names(adata: AnnData, path: Path, rename: Rename | None = None) -> list[str]:
    """Refuse names that say nothing, rename genes, tell those of one name apart, and say so."""
    import pandas as pd

    for axis, index in (("gene", adata.var_names), ("cell", adata.obs_names)):
        nameless = index.isna() | (index.astype(str).str.strip() == "")
        if nameless.any():
            slot = "var_names" if axis == "gene" else "obs_names"
            raise InputError(
                f"{path}: {axis}s without a name: {nameless.sum():,} (the first is number {nameless.argmax() + 1}). "
                f"Give each one in {slot}, or leave them out."
            )
    _check_cell_names(adata, path)
    notes: list[str] = []
    if rename is not None:
        renamed = rename(adata.var_names.astype(str).to_list())
        adata.var_names, notes = pd.Index(renamed.symbols), list(renamed.notes)
        if notes:
            notes.append(f"What the file calls each gene is in var[{NAME_IN_FILE!r}] of the annotated file.")
    _check_symbols(adata, path)
    doubled = adata.var_names[adata.var_names.duplicated()]
    if not len(doubled):
        return notes
    # Different genes may share a symbol in every annotation of a genome.
    adata.var_names_make_unique()
    again = next(name for name in adata.var_names if name.startswith(f"{doubled[0]}-"))
    return [
        *notes,
        f"Names of genes that come again ({len(doubled):,}, the first is {doubled[0]}) got a number, as in {again}.",
    ]


def _check_cell_names(adata: AnnData, path: Path) -> None:
    doubled = adata.obs_names[adata.obs_names.duplicated()]
    if len(doubled):
        # Told apart by us, they could no longer be found in the file that they came from.
        raise InputError(
            f"{path}: names of cells that come again: {len(doubled):,} (the first is {str(doubled[0])!r}). "
            "Make them unique, for example with adata.obs_names_make_unique()."
        )


def _check_symbols(adata: AnnData, path: Path) -> None:
    ensembl = ensembl_ids(adata.var_names)
    if len(ensembl) > adata.n_vars / 2:
        columns = symbol_columns(adata)
        hint = f" Or name the var column that has them; it may be {' or '.join(columns)}." if columns else ""
        raise InputError(
            f"{path} names its genes by Ensembl ids (such as {ensembl[0]}). "
            f"Put gene symbols into var_names; models and marker knowledge speak in symbols.{hint}"
        )
