from __future__ import annotations

import os
from pathlib import Path

import pytest

from cassia_dagster.errors import InputError
from cassia_dagster.knowledge.genes import present_symbols, species_of_ids, symbols_of
from cassia_dagster.knowledge.markers import load_markers

T_CELL_ID, INSULIN_ID = "ENSG00000167286", "ENSG00000254647"


def test_an_ensembl_id_becomes_its_symbol_whatever_its_version() -> None:
    found = symbols_of([T_CELL_ID, f"{INSULIN_ID}.7"], "human")
    assert found.symbols == ("CD3D", "INS")
    assert found.from_ids == ("ENSG00000167286 → CD3D", "ENSG00000254647.7 → INS")


def test_mouse_ids_are_read_as_mouse_genes() -> None:
    assert symbols_of(["ENSMUSG00000032094", "ENSMUSG00000032093"], "mouse").symbols == ("Cd3d", "Cd3e")


def test_an_id_of_another_species_or_of_none_is_kept() -> None:
    found = symbols_of(["ENSMUSG00000032094", "ENSG99999999999.1", "ENSDARG00000000001"], "human")
    assert found.symbols == ("ENSMUSG00000032094", "ENSG99999999999.1", "ENSDARG00000000001")
    assert found.unknown_ids == ("ENSMUSG00000032094", "ENSG99999999999.1")


def test_a_retired_id_has_the_symbol_only_where_the_present_one_is_missing() -> None:
    present, retired = "ENSG00000149527", "ENSG00000276429"
    assert symbols_of([retired], "human").symbols == ("PLCH2",)
    both = symbols_of([retired, present], "human")
    assert both.symbols == (retired, "PLCH2")
    assert both.second_ids == (retired,)


def test_an_id_gives_way_to_a_gene_that_has_the_symbol_already() -> None:
    assert symbols_of(["CD3D", T_CELL_ID], "human").symbols == ("CD3D", T_CELL_ID)


def test_a_former_symbol_becomes_the_present_one_unless_that_is_there() -> None:
    assert symbols_of(["SDPR"], "human").symbols == ("CAVIN2",)
    assert symbols_of(["Sdpr"], "mouse").symbols == ("Cavin2",)
    both = symbols_of(["SDPR", "CAVIN2"], "human")
    assert both.symbols == ("SDPR", "CAVIN2")
    assert not both.from_former


def test_a_former_symbol_gives_way_to_an_id_of_the_gene_wherever_it_stands(gene_ids: dict[str, str]) -> None:
    assert symbols_of(["SDPR", gene_ids["CAVIN2"]], "human").symbols == ("SDPR", "CAVIN2")


def test_two_former_symbols_of_one_gene_do_not_become_the_same() -> None:
    found = symbols_of(["SDPR", "SDR"], "human").symbols
    assert len(set(found)) == 2


def test_a_name_that_is_no_gene_stays_as_it_is() -> None:
    names = ("INS", "GFP-transgene", "", "=1+1")
    assert symbols_of(names, "human").symbols == names


def test_the_copy_on_y_of_a_gene_is_read_without_its_mark_and_keeps_its_id_beside_the_one_on_x() -> None:
    copy = f"{T_CELL_ID}.5_PAR_Y"
    assert symbols_of([copy], "human").symbols == ("CD3D",)
    assert symbols_of([T_CELL_ID, copy], "human").symbols == ("CD3D", copy)


def test_the_notes_say_of_every_kind_of_name_how_many_and_which() -> None:
    again = f"{T_CELL_ID}.2"
    found = symbols_of([T_CELL_ID, again, "ENSG99999999999", INSULIN_ID, "SDPR", "CD3E"], "human")
    assert found.notes == (
        "2 Ensembl ids became present symbols (such as ENSG00000167286 → CD3D).",
        "1 former symbols became present symbols (such as SDPR → CAVIN2).",
        "1 of 4 Ensembl ids (25.0%) have no symbol in the table and are kept as they are (such as ENSG99999999999).",
        f"1 of 4 Ensembl ids (25.0%) share their symbol with another gene and are kept as they are (such as {again}).",
    )


def test_nothing_is_said_of_names_that_stay() -> None:
    assert symbols_of(["INS", "CD3D", "MYGENE"], "human").notes == ()


def test_ids_of_the_other_species_are_refused_where_they_are_most() -> None:
    ids = ["ENSMUSG00000032094", "ENSMUSG00000032093", T_CELL_ID, "GFP"]
    with pytest.raises(InputError, match=r"f\.csv names .* Ensembl ids of mouse \(such as ENSMUSG00000032094\), but"):
        present_symbols(ids[:3], "human", "f.csv")
    assert present_symbols(ids[2:], "human", "f.csv").symbols == ("CD3D", "GFP")
    assert present_symbols(ids[:3], "mouse", "f.csv").symbols == ("Cd3d", "Cd3e", T_CELL_ID)


def test_the_species_is_told_by_ids_where_most_names_are_such() -> None:
    assert species_of_ids([T_CELL_ID, INSULIN_ID, "GFP"]) == "human"
    assert species_of_ids(["ENSMUSG00000032094.3"]) == "mouse"
    assert species_of_ids([T_CELL_ID, "INS"]) is None
    assert species_of_ids([]) is None


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
    assert len(found.from_ids) > 0.9 * len(names)
    assert len(set(found.symbols)) == len(names)
