from __future__ import annotations

import os
from pathlib import Path

import pytest

from cassia_dagster.knowledge.genes import symbols_of
from cassia_dagster.knowledge.markers import load_markers

T_CELL_ID, INSULIN_ID = "ENSG00000167286", "ENSG00000254647"


def test_an_ensembl_id_becomes_its_symbol_whatever_its_version() -> None:
    found = symbols_of([T_CELL_ID, f"{INSULIN_ID}.7"], "human")
    assert found.symbols == ("CD3D", "INS")
    assert found.n_from_ids == 2


def test_mouse_ids_are_read_as_mouse_genes() -> None:
    assert symbols_of(["ENSMUSG00000032094", "ENSMUSG00000032093"], "mouse").symbols == ("Cd3d", "Cd3e")


def test_an_id_of_another_species_or_of_none_is_kept() -> None:
    found = symbols_of(["ENSMUSG00000032094", "ENSG99999999999.1", "ENSDARG00000000001"], "human")
    assert found.symbols == ("ENSMUSG00000032094", "ENSG99999999999.1", "ENSDARG00000000001")
    assert found.n_unknown_ids == 2


def test_a_retired_id_has_the_symbol_only_where_the_present_one_is_missing() -> None:
    present, retired = "ENSG00000149527", "ENSG00000276429"
    assert symbols_of([retired], "human").symbols == ("PLCH2",)
    both = symbols_of([retired, present], "human")
    assert both.symbols == (retired, "PLCH2")
    assert both.n_second_ids == 1


def test_an_id_gives_way_to_a_gene_that_has_the_symbol_already() -> None:
    assert symbols_of(["CD3D", T_CELL_ID], "human").symbols == ("CD3D", T_CELL_ID)


def test_a_former_symbol_becomes_the_present_one_unless_that_is_there() -> None:
    assert symbols_of(["SDPR"], "human").symbols == ("CAVIN2",)
    assert symbols_of(["Sdpr"], "mouse").symbols == ("Cavin2",)
    both = symbols_of(["SDPR", "CAVIN2"], "human")
    assert both.symbols == ("SDPR", "CAVIN2")
    assert both.n_from_former == 0


def test_two_former_symbols_of_one_gene_do_not_become_the_same() -> None:
    found = symbols_of(["SDPR", "SDR"], "human").symbols
    assert len(set(found)) == 2


def test_a_name_that_is_no_gene_stays_as_it_is() -> None:
    names = ("INS", "GFP-transgene", "", "=1+1")
    assert symbols_of(names, "human").symbols == names


def test_the_summary_counts_every_name_that_changed() -> None:
    assert symbols_of([T_CELL_ID, "SDPR", "INS"], "human").summary.startswith("1 Ensembl ids and 1 former symbols")


def test_nearly_all_marker_genes_are_present_symbols() -> None:
    genes = load_markers("human").genes
    changed = [one for one, symbol in zip(genes, symbols_of(genes, "human").symbols, strict=True) if one != symbol]
    assert len(changed) < len(genes) / 100


@pytest.mark.skipif(not os.environ.get("CASSIA_EVALUATION_DATA"), reason="CASSIA_EVALUATION_DATA is not set")
def test_a_dataset_of_ensembl_ids_gets_symbols() -> None:
    from anndata import read_h5ad

    folder = Path(os.environ["CASSIA_EVALUATION_DATA"]) / "lungcelllines297_celseq2_5cl"
    names = read_h5ad(folder / "lungcelllines297_celseq2_5cl.h5ad", backed="r").var_names
    found = symbols_of(names, "human")
    assert found.n_from_ids > 0.9 * len(names)
    assert len(set(found.symbols)) == len(names)
