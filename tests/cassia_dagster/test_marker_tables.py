from __future__ import annotations

import pandas as pd
import pytest

from cassia_dagster.errors import InputError
from cassia_dagster.marker_tables import load_markers_of

T_CELL, B_CELL = ("CD3D", "CD3E", "CD2"), ("MS4A1", "CD79A", "CD19")


def table(*lists: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame({"cluster": [str(i) for i in range(len(lists))], "markers": [",".join(one) for one in lists]})


def test_ids_of_genes_become_symbols_in_every_cluster(gene_ids: dict[str, str]) -> None:
    ids = tuple(f"{gene_ids[gene]}.3" for gene in T_CELL)
    found = load_markers_of(table(ids, (ids[1], *B_CELL)), "human")
    assert found.table["gene"].to_list() == [*T_CELL, "CD3E", *B_CELL]
    assert found.notes == (f"3 Ensembl ids became present symbols (such as {ids[0]} → CD3D).",)


def test_an_id_beside_its_own_symbol_is_kept_so_that_no_cluster_has_a_gene_twice(gene_ids: dict[str, str]) -> None:
    found = load_markers_of(table((*T_CELL, gene_ids["CD3D"])), "human")
    assert found.table["gene"].to_list() == [*T_CELL, gene_ids["CD3D"]]
    assert "share their symbol" in found.notes[0]


def test_ids_that_nobody_knows_are_refused() -> None:
    with pytest.raises(InputError, match=r"Ensembl ids .* most have no symbol that is known"):
        load_markers_of(table(("ENSG00999999997", "ENSG00999999998", "CD3D")), "human")


def test_ids_of_the_other_species_are_refused(gene_ids: dict[str, str]) -> None:
    with pytest.raises(InputError, match="Ensembl ids of human"):
        load_markers_of(table(tuple(gene_ids[gene] for gene in T_CELL)), "mouse")
