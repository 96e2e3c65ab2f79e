"""Reads a table of marker genes by the column names of Seurat, Scanpy, presto and CASSIA, and writes it in CASSIA's."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cassia_dagster.errors import InputError
from cassia_dagster.singlecell.markers import COLUMNS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    type Floats = np.ndarray[Any, np.dtype[np.float64]]

_NATURAL_LOG = 1 / math.log(2)
_PERCENT = 0.01


@dataclass(frozen=True, slots=True)
class _Source:
    """A column that others write, and how its numbers become ours."""

    names: tuple[str, ...]
    """In lower case, without punctuation; the first that a table has is read."""
    factor: float = 1.0


CLUSTER_NAMES = ("cluster", "clusters", "clusterid", "group", "broadcelltype", "truecelltype", "celltype", "ident")
GENE_NAMES = ("gene", "genes", "names", "feature", "symbol", "genesymbol", "genename", "markergene")
LIST_NAMES = ("topmarkers", "markerlist", "markers", "markergenes", "genes", "genelist")

_NUMBERS: dict[str, tuple[_Source, ...]] = {
    "avg_log2FC": (
        _Source(("avglog2fc", "log2fc", "log2foldchange", "logfoldchanges")),
        # Seurat before version 4 and presto: natural logarithms.
        _Source(("avglogfc", "logfc"), _NATURAL_LOG),
    ),
    "p_val": (_Source(("pval", "pvals", "pvalue")),),
    "p_val_adj": (_Source(("pvaladj", "pvalsadj", "padj", "pvalueadj", "qval", "fdr")),),
    "pct.1": (_Source(("pct1", "pctnzgroup")), _Source(("pctin",), _PERCENT)),
    "pct.2": (_Source(("pct2", "pctnzreference")), _Source(("pctout",), _PERCENT)),
    "score": (_Source(("score", "scores")),),
}
_FRACTIONS = ("p_val", "p_val_adj", "pct.1", "pct.2")
_NOT_GIVEN = ("", "na", "nan", "none", "null")
_BETWEEN_GENES = re.compile(r"[\s,;|]+")


def tidy_markers(table: pd.DataFrame, where: str, first_line: int | None = None) -> pd.DataFrame:
    """Put a marker table into CASSIA's columns.

    Parameters
    ----------
    table
        One row for each cluster and gene (Seurat's FindAllMarkers before and after version 4, Scanpy's
        ``get.rank_genes_groups_df``, presto), or one for each cluster with its genes in one cell, best first.
        Genes may be the row names. Not changed.
    where
        What messages call the table.
    first_line
        Line of the file that the first row stands in; ``None`` for a table that is in no file of text.

    Returns
    -------
    DataFrame
        ``cluster, gene, avg_log2FC, p_val, p_val_adj, pct.1, pct.2, score`` in the order of the rows, all of them.
        Cluster ids are text, exactly as written. NaN stands for what was not given; fold changes in natural
        logarithms are turned into log2, percent into fractions.

    Raises
    ------
    InputError
        With the line and the column of what cannot be read.
    """
    import pandas as pd

    if table.empty:
        raise InputError(f"{where} has no rows; a marker table has one for each cluster and gene.")
    named = {_plain(column): column for column in reversed(list(table.columns))}
    cluster = _find(named, CLUSTER_NAMES)
    gene = _find(named, tuple(name for name in GENE_NAMES if named.get(name) != cluster))
    listed = _find(named, LIST_NAMES)
    if cluster is None and table.shape[1] == 2:
        cluster, listed = table.columns
    if cluster is None:
        raise InputError(f"{where} does not say which cluster a gene belongs to. {_columns_of(table)}")
    lists = listed if listed is not None and (gene is None or _holds_lists(table[gene])) else None
    if lists is not None:
        return _from_lists(table[cluster], table[lists], where, first_line)
    genes = table[gene] if gene is not None else _row_names(table, where)
    tidy = pd.DataFrame(
        {
            "cluster": _text(table[cluster], "cluster", where, first_line),
            "gene": [gene.strip() for gene in _text(genes, "gene", where, first_line)],
            **{column: _number(table, column, named, where, first_line) for column in _NUMBERS},
        },
        columns=list(COLUMNS),
    )
    return _without_repeats(tidy, where, first_line)


def names_clusters_and_genes(columns: Iterable[str]) -> bool:
    """Tell whether columns are those of a marker table: one of clusters, and one of genes or lists of them.

    Examples
    --------
    >>> names_clusters_and_genes(["", "p_val", "avg_log2FC", "cluster", "gene"])
    True
    >>> names_clusters_and_genes(["cell", "CD3D", "MS4A1"])
    False
    """
    named = {_plain(column): column for column in columns}
    cluster = _find(named, CLUSTER_NAMES)
    genes = _find(named, tuple(name for name in (*GENE_NAMES, *LIST_NAMES) if named.get(name) != cluster))
    return cluster is not None and genes is not None


def meanings(columns: Iterable[str]) -> dict[str, str]:
    """Say of each column of a marker table which of ours it is read as; nothing of those that are not read.

    Examples
    --------
    >>> meanings(["names", "group", "logfoldchanges", "why"])
    {'names': 'gene', 'group': 'cluster', 'logfoldchanges': 'avg_log2FC', 'why': ''}
    """
    own = list(columns)
    named = {_plain(column): column for column in reversed(own)}
    cluster = _find(named, CLUSTER_NAMES)
    gene = _find(named, tuple(name for name in GENE_NAMES if named.get(name) != cluster))
    read = {cluster: "cluster", gene: "gene"}
    if gene is None:
        read[_find(named, LIST_NAMES)] = "genes, best first"
    for ours, sources in _NUMBERS.items():
        read[_find(named, (name for source in sources for name in source.names))] = ours
    return {column: read.get(column, "") for column in own}


def split_genes(text: str) -> list[str]:
    """Split a list of genes at commas, semicolons, bars or white space; a repeated gene counts where it came first.

    Examples
    --------
    >>> split_genes("CD3D, CD3E;CD3D")
    ['CD3D', 'CD3E']
    """
    return list(dict.fromkeys(gene for gene in _BETWEEN_GENES.split(text) if gene))


def _row(position: int, first_line: int | None) -> str:
    return f"row {position}" if first_line is None else f"line {first_line + position}"


def _plain(column: Hashable) -> str:
    return re.sub(r"[^a-z0-9]", "", str(column).lower())


def _find(named: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((named[name] for name in names if name in named), None)


def _columns_of(table: pd.DataFrame) -> str:
    columns = ", ".join(str(column) or "(unnamed)" for column in table.columns)
    return (
        f"Its columns are {columns}. Name them as Seurat does (cluster, gene, avg_log2FC, p_val_adj, pct.1, pct.2), or "
        "Scanpy (group, names, logfoldchanges, pvals_adj, scores), or give two columns: cluster, and its genes with "
        "commas between them."
    )


def _holds_lists(values: pd.Series) -> bool:
    return bool(values.astype(str).str.contains(r"[,;|]").any())


def _text(values: pd.Series, what: str, where: str, first_line: int | None) -> list[str]:
    given = values.notna().to_numpy()
    text = [str(value) if known else "" for value, known in zip(values.astype(object), given, strict=True)]
    empty = next((position for position, value in enumerate(text) if not value.strip()), None)
    if empty is not None:
        raise InputError(f"{where}, {_row(empty, first_line)}: the {what} is empty. Every row needs one.")
    for position, value in enumerate(text):
        if not value.isprintable():
            raise InputError(f"{where}, {_row(position, first_line)}: the {what} {value!r} holds control characters.")
    return text


def _row_names(table: pd.DataFrame, where: str) -> pd.Series:
    """Take the genes from the row names, as R writes them: in an unnamed first column, made unique by a suffix."""
    import pandas as pd

    unnamed = [column for column in table.columns[:1] if not str(column) or str(column).startswith("Unnamed: 0")]
    if unnamed:
        names = table[unnamed[0]].astype(str)
    elif not isinstance(table.index, pd.RangeIndex) and table.index.map(lambda name: isinstance(name, str)).all():
        names = pd.Series(list(table.index), index=table.index)
    else:
        raise InputError(f"{where} has no column of genes. {_columns_of(table)}")
    present = set(names)

    def original(name: str) -> str:
        stem, dot, number = name.rpartition(".")
        return stem if dot and number.isdecimal() and stem in present else name

    return names.map(original)


def _number(
    table: pd.DataFrame, column: str, named: Mapping[str, Any], where: str, first_line: int | None
) -> Floats | float:
    import numpy as np
    import pandas as pd

    source = next((one for one in _NUMBERS[column] if _find(named, one.names) is not None), None)
    if source is None:
        return math.nan
    name = _find(named, source.names)
    written = table[name].astype(object)
    missing = (written.isna() | written.astype(str).str.strip().str.lower().isin(_NOT_GIVEN)).to_numpy()
    read = pd.to_numeric(written.where(~missing), errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    numbers: Floats = read * source.factor
    wrong = ~missing & ~np.isfinite(numbers)
    expected = "a number"
    if not wrong.any() and column in _FRACTIONS:
        wrong, expected = ~missing & ~((numbers >= 0) & (numbers <= 1)), "between 0 and 1"
        if source.factor == _PERCENT:
            expected = "between 0 and 100"
    if wrong.any():
        position = int(np.argmax(wrong))
        raise InputError(
            f"{where}, {_row(position, first_line)}, column {name}: {str(written.iloc[position])!r} is not {expected}. "
            "Leave empty what is not known."
        )
    return numbers


def _from_lists(clusters: pd.Series, lists: pd.Series, where: str, first_line: int | None) -> pd.DataFrame:
    import pandas as pd

    names = _text(clusters, "cluster", where, first_line)
    genes = [split_genes(text) for text in _text(lists, "list of genes", where, first_line)]
    doubled = clusters[clusters.duplicated()]
    # With one gene a row, a cluster has as many rows as genes; two lists may be of two clusters with one name.
    if len(doubled) and any(len(some) > 1 for some in genes):
        raise InputError(
            f"{where}: cluster {str(doubled.iloc[0])!r} has two lists of genes. Give each cluster one row."
        )
    if empty := next((name for name, some in zip(names, genes, strict=True) if not some), None):
        raise InputError(f"{where}: the list of genes of cluster {empty!r} is empty.")
    rows = [(name, gene) for name, some in zip(names, genes, strict=True) for gene in some]
    tidy = pd.DataFrame(rows, columns=["cluster", "gene"]).reindex(columns=list(COLUMNS))
    return _without_repeats(tidy.astype(dict.fromkeys(_NUMBERS, float)), where, first_line)


def _without_repeats(tidy: pd.DataFrame, where: str, first_line: int | None) -> pd.DataFrame:
    repeated = tidy.duplicated(["cluster", "gene"])
    if repeated.any():
        position = int(repeated.to_numpy().argmax())
        cluster, gene = tidy.loc[position, ["cluster", "gene"]]
        raise InputError(
            f"{where}, {_row(position, first_line)}: cluster {cluster!r} has the gene {gene} a second time. "
            "Keep one row for each cluster and gene."
        )
    return tidy
