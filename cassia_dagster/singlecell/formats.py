"""Reads the formats in which matrices of cells and genes are passed on; what they hold is checked elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from cassia_dagster.errors import InputError
from cassia_dagster.singlecell.guard import check_hdf5, check_sparse, check_within, check_zarr
from cassia_dagster.singlecell.loom import read_loom

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

HOUSEHOLD = frozenset({"ACTB", "GAPDH", "B2M", "MALAT1", "EEF1A1", "TPT1", "FTL", "FTH1", "UBC", "PTPRC", "VIM"})
"""Genes that nearly every table of counts has, in capitals; by them genes are told from cells."""

_GENE_PREFIXES = ("MT-", "RPL", "RPS", "ENSG0", "ENSMUSG0")


def read(path: Path) -> AnnData:
    """Read a file or folder of any known format as it is.

    Parameters
    ----------
    path
        An ``.h5ad`` file, a 10x ``.h5`` file, a ``.loom`` file, a ``.zarr`` store, a table of counts (``.csv``,
        ``.tsv``, also gzipped; a row for each cell, a column for each gene), or a folder with the matrix that 10x's
        Cell Ranger and STARsolo write.

    Returns
    -------
    AnnData, shape (n_cells, n_genes)

    Raises
    ------
    InputError
        With the file, what is wrong with it, and the way out.
    """
    suffix = check_format(path)
    before = _state(path)
    try:
        adata = READERS[suffix](path)
        check_sparse(adata, path)
    except InputError:
        raise
    except MemoryError as error:
        raise InputError(f"{path} does not fit into the memory. Take fewer cells, or a larger machine.") from error
    except Exception as error:  # each format's library raises many types for files that are not its own
        _refuse_change(path, before)
        article = "an" if suffix.startswith(".h5") else "a"
        raise InputError(
            f"{path} cannot be read as {article} {suffix} {'folder' if path.is_dir() else 'file'} "
            f"({type(error).__name__}: {_first_line(error)}). Was the download complete?"
        ) from error
    _refuse_change(path, before)
    return adata


def _state(path: Path) -> list[tuple[int, int, int] | None]:
    """Return what changes when a file is written to or replaced."""
    state: list[tuple[int, int, int] | None] = []
    for part in sorted(path.rglob("*")) if path.is_dir() else [path]:
        try:
            seen = part.stat()
        except OSError:  # it is gone
            state.append(None)
        else:
            state.append((seen.st_ino, seen.st_size, seen.st_mtime_ns))
    return state


def _refuse_change(path: Path, before: list[tuple[int, int, int] | None]) -> None:
    """Raise if the file is no longer what it was: of half the old and half the new nothing can be said."""
    if _state(path) != before:
        raise InputError(f"{path} changed while it was read. Wait until nothing writes to it, and try again.")


def check_format(path: Path) -> str:
    """Return the suffix of a file or folder that can be read; raise `InputError` if it is none, or not there."""
    if not path.exists():
        raise InputError(f"There is no file {path}. Give the path of an .h5ad file, or of {_OTHERS}.")
    suffix = _suffix(path) or (MTX if path.is_dir() else "")
    if suffix not in READERS or path.is_dir() != (suffix in _FOLDERS):
        kind = "is a folder, which" if path.is_dir() else "cannot be read: it"
        raise InputError(f"{path} {kind} is not an .h5ad file, nor {_OTHERS}. Convert it to one of these.")
    if not (path.is_dir() or path.is_file()):
        raise InputError(f"{path} is a pipe or a device, not a file. Write its content to a file, and give that.")
    return suffix


def _read_h5ad(path: Path) -> AnnData:
    import anndata
    import h5py

    check_hdf5(path)
    with h5py.File(path, "r") as file:
        if not {"obs", "var"} <= set(file):
            raise InputError(
                f"{path} is an HDF5 file, but no AnnData: it has {', '.join(list(file)[:10]) or 'nothing'}, and not "
                "obs and var. Give the file that AnnData.write_h5ad made."
            )
    return anndata.read_h5ad(path)


def _read_zarr(path: Path) -> AnnData:
    import anndata

    check_zarr(path)
    return anndata.read_zarr(path)


def _read_10x_h5(path: Path) -> AnnData:
    import h5py
    import scanpy as sc

    check_hdf5(path)
    with h5py.File(path) as file:
        if "matrix" not in file and "X" in file:
            raise InputError(f"{path} is an AnnData file with the name of a 10x file. Rename it to {path.stem}.h5ad.")
    adata = sc.read_10x_h5(path, gex_only=False)
    check_sparse(adata, path)
    if "feature_types" in adata.var:
        # Antibodies and guides are counted in the same matrix, and are no genes.
        adata = adata[:, (adata.var["feature_types"] == "Gene Expression").to_numpy()].copy()
    return adata


def _read_loom(path: Path) -> AnnData:
    # The format stores every zero, and nine of ten values are zeros, which are left out as they are read.
    check_hdf5(path, kept=0.1)
    return read_loom(path)


def _read_table(path: Path) -> AnnData:
    import anndata
    import numpy as np
    import pandas as pd
    from scipy import sparse

    separator = "," if ".csv" in _suffix(path) else "\t"
    # Read apart, for pandas would rename a gene that comes twice.
    header = pd.read_csv(path, sep=separator, header=None, nrows=1, dtype=str, keep_default_na=False).iloc[0]
    frame = pd.read_csv(path, sep=separator, index_col=0, header=0, low_memory=False)
    if not frame.size:
        raise InputError(
            f"{path} has {len(frame)} rows and {frame.shape[1]} columns of numbers when it is read with "
            f"{'commas' if separator == ',' else 'tabs'} between them. Give a row for each cell, a column for each "
            "gene, and the suffix .csv or .tsv that fits."
        )
    frame.columns = pd.Index(header.tolist()[-frame.shape[1] :])
    cells = frame.index.astype(str)
    if _gene_like(cells) > _gene_like(frame.columns):
        raise InputError(
            f"{path} seems to hold genes × cells: its rows are named {_first(cells)}, its columns "
            f"{_first(frame.columns)}. Transpose it: a row for each cell, a column for each gene."
        )
    _refuse_text(frame, path)
    return anndata.AnnData(
        X=sparse.csr_matrix(frame.to_numpy(dtype=np.float32)),
        obs=pd.DataFrame(index=cells),
        var=pd.DataFrame(index=frame.columns.astype(str)),
    )


def _refuse_text(frame: pd.DataFrame, path: Path) -> None:
    import pandas as pd

    for position, dtype in enumerate(frame.dtypes):
        if not pd.api.types.is_numeric_dtype(dtype):
            column = frame.iloc[:, position]
            text = column[pd.to_numeric(column, errors="coerce").isna()]
            value = str(text.iloc[0]) if len(text) else str(column.iloc[0])
            raise InputError(
                f"{path}: column {str(frame.columns[position])!r} holds {value!r}, which is no number. Leave nothing "
                "but counts in the table; an .h5ad file can hold labels of cells beside them."
            )


def _read_mtx(path: Path) -> AnnData:
    import anndata
    import pandas as pd
    from scipy import io, sparse

    matrix, genes, barcodes = (
        _part(path, *names) for names in (("matrix.mtx",), ("features.tsv", "genes.tsv"), ("barcodes.tsv",))
    )
    by_gene = sparse.coo_matrix(io.mmread(matrix))
    features = pd.read_csv(genes, sep="\t", header=None, dtype=str, keep_default_na=False)
    cells = pd.read_csv(barcodes, sep="\t", header=None, dtype=str, keep_default_na=False)[0]
    if by_gene.shape != (len(features), len(cells)):
        raise InputError(
            f"{path}: {matrix.name} is {by_gene.shape[0]:,} × {by_gene.shape[1]:,}, but {genes.name} names "
            f"{len(features):,} genes and {barcodes.name} {len(cells):,} cells. Take the three files of one output."
        )
    symbols = features[1] if features.shape[1] > 1 else features[0]
    adata = anndata.AnnData(
        X=sparse.csr_matrix(by_gene.T),
        obs=pd.DataFrame(index=pd.Index(cells)),
        var=pd.DataFrame({"gene_ids": features[0].to_numpy()}, index=pd.Index(symbols)),
    )
    adata.obs_names.name = adata.var_names.name = None
    if features.shape[1] > 2:
        # Antibodies and guides are counted in the same matrix, and are no genes.
        adata = adata[:, (features[2] == "Gene Expression").to_numpy()].copy()
    return adata


def _part(folder: Path, *names: str) -> Path:
    """Find one of the three files of a 10x matrix, packed or not."""
    for name in names:
        for candidate in (folder / f"{name}.gz", folder / name):
            if candidate.is_file():
                check_within(candidate, folder)
                return candidate
    held = sorted(path.name for path in folder.iterdir())
    raise InputError(
        f"The folder {folder} has no {' or '.join(names)} (nor that with .gz), so it is no 10x matrix; "
        f"it has: {', '.join(held[:10]) or 'nothing'}. Give the folder with matrix.mtx, features.tsv and barcodes.tsv."
    )


def _gene_like(names: Iterable[str]) -> int:
    """Count the names that are surely genes."""
    upper = (str(name).upper() for name in names)
    return sum(name in HOUSEHOLD or name.startswith(_GENE_PREFIXES) for name in upper)


def _first(names: pd.Index) -> str:
    return ", ".join(repr(str(name)) for name in names[:3])


def _suffix(path: Path) -> str:
    """Return the suffix that tells the format, without regard to capitals; none if it is not known."""
    name = path.name.lower()
    return next((suffix for suffix in sorted(READERS, key=len, reverse=True) if name.endswith(suffix)), "")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]


MTX = "10x matrix"
"""Stands in for a suffix where a folder has none."""

READERS: dict[str, Callable[[Path], AnnData]] = {
    ".h5ad": _read_h5ad,
    ".h5": _read_10x_h5,
    ".loom": _read_loom,
    ".zarr": _read_zarr,
    ".csv": _read_table,
    ".csv.gz": _read_table,
    ".tsv": _read_table,
    ".tsv.gz": _read_table,
    MTX: _read_mtx,
}
"""Suffix to reader; a folder without a suffix from here is taken for a 10x matrix."""

_FOLDERS = (".zarr", MTX)
_OTHERS = "a 10x .h5, .loom, .zarr, .csv or .tsv (also .gz) file or a folder with a 10x matrix.mtx"
