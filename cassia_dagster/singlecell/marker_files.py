"""Reads marker genes from files: tables as R and Python write them, and Scanpy's ranking in an .h5ad."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cassia_dagster.bounded import read_bounded
from cassia_dagster.errors import InputError
from cassia_dagster.singlecell.marker_columns import names_clusters_and_genes, split_genes, tidy_markers

if TYPE_CHECKING:
    import pandas as pd

RANKING = "rank_genes_groups"
"""Where Scanpy keeps it in ``uns``."""

_LONGEST_HEADER = 10_000
"""A table of counts has a longer first line than this; that of a marker table is short."""

_MOST_ROWS = 5_000_000
"""Fifty thousand genes in a hundred clusters."""


def read_marker_table(path: Path) -> pd.DataFrame:
    """Read the marker genes of clusters from a file.

    Parameters
    ----------
    path
        ``.csv`` or ``.tsv`` (also ``.gz``) or ``.parquet`` with a table that `tidy_markers` takes, or an ``.h5ad``
        with ``uns["rank_genes_groups"]``, of which nothing else is read.

    Returns
    -------
    DataFrame
        As `tidy_markers` returns it.

    Raises
    ------
    InputError
        With the file, the line, and the way out.
    """
    suffix = check_marker_format(path)
    try:
        return _READERS[suffix](path)
    except InputError:
        raise
    except Exception as error:  # each format's library raises many types for files that are not its own
        reason = (str(error).splitlines() or [""])[0]
        raise InputError(f"{path} cannot be read as a {suffix} file ({type(error).__name__}: {reason}).") from error


def check_marker_format(path: Path) -> str:
    """Return the suffix of a marker table; raise `InputError` if it is none, or not there."""
    suffix = _suffix(path)
    if suffix is None:
        raise InputError(f"{path} is no marker table that can be read; its name must end in {', '.join(_READERS)}.")
    if not path.is_file():
        raise InputError(f"There is no file {path}. Give the path of a marker table.")
    return suffix


def has_marker_columns(path: Path) -> bool:
    """Tell by its first line whether a text file is a marker table, and not a table of counts; parquet always is."""
    suffix = _suffix(path)
    if suffix is None or suffix == ".h5ad" or not path.is_file():
        return False
    return suffix == ".parquet" or names_clusters_and_genes(columns_of(path))


def columns_of(path: Path) -> list[str]:
    """Name the columns of a table, as far as its first line can be read."""
    suffix = _suffix(path) or ""
    if suffix == ".parquet":
        import pyarrow.parquet as pq

        return list(pq.read_schema(path).names)
    opened = gzip.open if suffix.endswith(".gz") else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            line = file.readline(_LONGEST_HEADER)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError):  # what is wrong with it is told by whoever reads it
        return []
    return next(csv.reader([line], delimiter="," if ".csv" in suffix else "\t"), [])


def _suffix(path: Path) -> str | None:
    return next((suffix for suffix in _READERS if path.name.lower().endswith(suffix)), None)


def _read_csv(path: Path) -> pd.DataFrame:
    return _read_text(path, ",")


def _read_tsv(path: Path) -> pd.DataFrame:
    return _read_text(path, "\t")


def _read_text(path: Path, separator: str) -> pd.DataFrame:
    import pandas as pd

    # As text, so that a cluster "01" or "NA" keeps its name.
    content = read_bounded(path)
    table = pd.read_csv(content, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    if table.shape[1] == 1:
        raise InputError(
            f"{path} has one column when it is read with {'commas' if separator == ',' else 'tabs'} between columns. "
            "Give it the suffix .csv or .tsv that fits."
        )
    if table.shape[1] == 2 and len(split_genes(str(table.columns[1]))) > 1:
        # A bare list has no header; its first row is a cluster like the others.
        content.seek(0)
        table = pd.read_csv(
            content, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig", header=None
        ).rename(columns={0: "cluster", 1: "markers"})
        return tidy_markers(table, str(path), first_line=1)
    return tidy_markers(table, str(path), first_line=2)


def _read_parquet(path: Path) -> pd.DataFrame:
    import pandas as pd
    import pyarrow.parquet as pq

    n_rows = pq.read_metadata(path).num_rows
    if n_rows > _MOST_ROWS:
        raise InputError(
            f"{path} declares {n_rows:,} rows; a marker table has at most {_MOST_ROWS:,}. Keep the significant ones."
        )
    return tidy_markers(pd.read_parquet(path), str(path))


def _read_h5ad(path: Path) -> pd.DataFrame:
    import h5py
    from anndata.io import read_elem

    with h5py.File(path) as file:
        if f"uns/{RANKING}" not in file:
            raise InputError(
                f"{path} holds no ranking of genes in uns[{RANKING!r}]. Run scanpy.tl.rank_genes_groups and save it, "
                "or annotate the cells themselves with `cassia-dagster run`."
            )
        ranking = read_elem(file[f"uns/{RANKING}"])
    return ranked_genes(ranking, str(path))


def ranked_genes(ranking: Mapping[str, Any], where: str) -> pd.DataFrame:
    """Put what ``scanpy.tl.rank_genes_groups`` leaves in ``uns`` into CASSIA's columns.

    Parameters
    ----------
    ranking
        ``adata.uns["rank_genes_groups"]``; statistics that the test did not compute may be absent.
    where
        What messages call it.
    """
    import pandas as pd

    if "names" not in ranking or ranking["names"].dtype.names is None:
        raise InputError(f"{where}: the ranking of genes has no names, so it is none of scanpy.tl.rank_genes_groups.")
    parts = []
    for group in ranking["names"].dtype.names:
        columns = ("names", "scores", "logfoldchanges", "pvals", "pvals_adj")
        part = pd.DataFrame({column: ranking[column][group] for column in columns if column in ranking})
        for column, given in (("pct_nz_group", "pts"), ("pct_nz_reference", "pts_rest")):
            if given in ranking:
                part[column] = ranking[given][group].reindex(part["names"]).to_numpy()
        parts.append(part.assign(group=group))
    return tidy_markers(pd.concat(parts, ignore_index=True), where)


_READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": _read_csv,
    ".csv.gz": _read_csv,
    ".tsv": _read_tsv,
    ".tsv.gz": _read_tsv,
    ".parquet": _read_parquet,
    ".h5ad": _read_h5ad,
}
