import numpy as np
import pytest
from anndata import AnnData

from cassia_dagster.errors import InputError
from cassia_dagster.singlecell import blocks
from cassia_dagster.singlecell.expression import read_genes

GENES = ["SST", "INS", "GCG"]


@pytest.fixture(scope="module")
def stored(islets: AnnData, tmp_path_factory) -> tuple[AnnData, object]:
    small = AnnData(X=islets.X[:200].copy(), obs=islets.obs[:200], var=islets.var)
    path = tmp_path_factory.mktemp("expression") / "islets.h5ad"
    small.write_h5ad(path, compression="lzf")
    return small, path


@pytest.mark.parametrize("cells", [1, 64, 4096])
def test_genes_read_in_blocks_are_those_of_the_matrix_in_the_order_asked_for(stored, cells, monkeypatch) -> None:
    monkeypatch.setattr(blocks, "CELLS", cells)
    whole, path = stored
    read = read_genes(path, GENES)
    assert list(read.var_names) == GENES
    assert list(read.obs_names) == list(whole.obs_names)
    assert np.array_equal(read.X.toarray(), whole[:, GENES].X.toarray())


def test_no_genes_are_no_columns(stored) -> None:
    assert read_genes(stored[1], []).shape == (200, 0)


def test_a_gene_that_is_not_there_is_an_error_that_names_it(stored) -> None:
    with pytest.raises(InputError, match="no gene 'NOPE'"):
        read_genes(stored[1], ["SST", "NOPE"])
