"""Data versions made from meaning: the same labels, scores and genes have the same version, whatever they cost."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from cassia_dagster.records import Record
from cassia_dagster.singlecell.blocks import MatrixDigest

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


def version_of_records(records: Sequence[Record], without: Collection[str] = ()) -> dg.DataVersion:
    """Hash the rows without their conversation history, which tells how, not what, and without some other fields."""
    return _version(record.model_dump_json(exclude={"history", *without}).encode() for record in records)


def version_of_table(table: "pd.DataFrame | pd.Series") -> dg.DataVersion:
    """Hash names, index and values."""
    import pandas as pd

    frame = table.to_frame() if isinstance(table, pd.Series) else table
    return _version([repr(list(frame.columns)).encode(), pd.util.hash_pandas_object(frame).to_numpy().tobytes()])


def version_of_adata(
    adata: "AnnData", given: Mapping[str, str] | None = None, matrix: bytes | None = None
) -> dg.DataVersion:
    """Hash ``obs``, the genes, the values of ``X``, the variable genes, the components and the graph.

    Which columns of ``obs`` are clusterings, by resolution key, is hashed too: what is made of them must be made anew
    when a key comes to stand for another column, and nothing else when the user says other things of the dataset.
    Where ``X`` is not in memory, its digest takes its place.
    """
    import numpy as np

    arrays = [adata.obsm["X_pca"], adata.var["highly_variable"].to_numpy()]
    cells, genes = version_of_table(adata.obs).value.encode(), "\n".join(adata.var_names).encode()
    said = [repr(sorted(given.items())).encode()] if given else []
    matrices = [_digest(adata.X) if matrix is None else matrix, _digest(adata.obsp["connectivities"])]
    return _version([cells, genes, *said, *matrices, *(np.ascontiguousarray(array).tobytes() for array in arrays)])


def _digest(matrix: Any) -> bytes:
    digest = MatrixDigest()
    digest.add(matrix)
    return digest.value


def version_of_files(parts: Iterable[bytes]) -> dg.DataVersion:
    """Hash the contents of files that were made together."""
    return _version(parts)


def _version(parts: Iterable[bytes]) -> dg.DataVersion:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return dg.DataVersion(digest.hexdigest()[:32])
