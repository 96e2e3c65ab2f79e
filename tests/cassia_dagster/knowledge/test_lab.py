from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cassia_dagster.errors import InputError
from cassia_dagster.knowledge.candidates import propose
from cassia_dagster.knowledge.evidence import check_annotation
from cassia_dagster.knowledge.lab import LabMarker, lab_markers, read_lab_markers, use_lab_markers
from cassia_dagster.knowledge.ontology import load_ontology
from cassia_dagster.records import Annotation, ClusterEvidence, Finding

ontology = load_ontology()
# Genes that the shipped knowledge gives to no one type.
UNSPECIFIC = "SQSTM1 NQO1 TXNRD1 GCLM AKR1B1 G6PD"
MERKEL = "".join(f"Merkel cell,{gene},+,skin,our sorted cells 2025\n" for gene in UNSPECIFIC.split())

type MakeEvidence = Callable[..., ClusterEvidence]


def _table(folder: Path, rows: str, header: str = "cell type,gene,sign,tissue,source", name: str = "lab.csv") -> Path:
    path = folder / name
    path.write_text(f"# our markers\n{header}\n{rows}", encoding="utf-8")
    return path


def test_a_table_is_read_with_its_types_as_terms(tmp_path: Path) -> None:
    table = read_lab_markers(_table(tmp_path, "beta cells,INS,,islets,Lab 3\nCL:0000236,CD3D,negative,,\n"), "human")
    assert table.rows == (
        LabMarker("CL:0000169", "INS", "+", "islets", "Lab 3"),
        LabMarker("CL:0000236", "CD3D", "-", "", ""),
    )


def test_two_columns_and_tabs_are_enough(tmp_path: Path) -> None:
    path = _table(tmp_path, "B cell\tMS4A1\n", header="cell_type\tgene", name="lab.tsv")
    assert read_lab_markers(path, "human").rows == (LabMarker("CL:0000236", "MS4A1", "+", "", ""),)


def test_every_wrong_line_is_named_at_once(tmp_path: Path) -> None:
    rows = (
        "wibble,INS,+,,\nalpha cell,GCG,+,,\nB cell,,+,,\nB cell,CD19,maybe,,\ncell,ACTB,+,,\nB cell,MS4A1 CD79A,+,,\n"
    )
    with pytest.raises(InputError) as error:
        read_lab_markers(_table(tmp_path, rows), "human")
    message = str(error.value)
    assert "line 3: cell type 'wibble' is unresolved" in message
    assert "line 4: cell type 'alpha cell' is ambiguous; did you mean pancreatic A cell (CL:0000171) or" in message
    assert "line 5: gene '' is no single symbol" in message
    assert "line 6: sign 'maybe' is neither + nor -" in message
    assert "line 7: cell type 'cell' (cell) is too broad" in message
    assert "line 8: gene 'MS4A1 CD79A' is no single symbol" in message


def test_a_gene_cannot_speak_for_a_type_and_against_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 4: CD19 speaks against a type that it speaks for in line 3"):
        read_lab_markers(_table(tmp_path, "B cell,CD19,+,,\nB cells,CD19,-,,\n"), "human")


@pytest.mark.parametrize(
    ("header", "complaint"), [("gene,sign", "no column 'cell_type'"), ("cell type", "no column 'gene'")]
)
def test_a_missing_column_is_named(tmp_path: Path, header: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        read_lab_markers(_table(tmp_path, "B cell\n", header=header), "human")


def test_a_file_that_is_empty_or_no_text_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no rows"):
        read_lab_markers(_table(tmp_path, ""), "human")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        read_lab_markers(tmp_path / "binary.csv", "human")
    with pytest.raises(InputError, match=r"none\.csv"):
        read_lab_markers(tmp_path / "none.csv", "human")


def test_an_unknown_gene_is_kept_and_pointed_out(tmp_path: Path) -> None:
    table = read_lab_markers(_table(tmp_path, "B cell,tdTomato,+,,\n"), "human")
    assert table.warnings == ("line 3: 'tdTomato' is no known symbol of human",)


def test_the_version_follows_what_a_table_says_and_not_how(tmp_path: Path) -> None:
    one = read_lab_markers(_table(tmp_path, "B cell,CD19,+,,\nT cell,CD3D,+,,\n"), "human").version
    same = read_lab_markers(_table(tmp_path, "T cells,CD3D,,,\nB-cell,CD19,,,\n"), "human").version
    other = read_lab_markers(_table(tmp_path, "T cells,CD3E,,,\nB-cell,CD19,,,\n"), "human").version
    assert one == same != other


def test_what_only_the_lab_knows_names_a_cluster(tmp_path: Path, evidence_from: MakeEvidence) -> None:
    evidence = evidence_from(UNSPECIFIC, "skin")
    assert propose(evidence).cl_id is None
    version = use_lab_markers(_table(tmp_path, MERKEL), "human")
    proposal = propose(evidence.model_copy(update={"lab_markers": version}))
    assert proposal.label == "Merkel cell"
    assert set(proposal.supporting_genes) == set(UNSPECIFIC.split())


def test_rows_of_another_tissue_do_not_count(tmp_path: Path, evidence_from: MakeEvidence) -> None:
    version = use_lab_markers(_table(tmp_path, MERKEL), "human")
    evidence = evidence_from(UNSPECIFIC, "kidney").model_copy(update={"lab_markers": version})
    assert propose(evidence).cl_id is None


def test_the_evidence_check_counts_the_table_too(tmp_path: Path, evidence_from: MakeEvidence) -> None:
    version = use_lab_markers(_table(tmp_path, "B cell,CD19,+,,\nB cell,MYGENE,+,,\n"), "human")
    evidence = evidence_from("MYGENE", "blood")
    label = Annotation(general_celltype="B cell", supporting_genes=("MYGENE",))
    assert Finding.NO_MARKER_SUPPORT not in check_annotation(label, evidence).findings  # nothing is known of the gene
    known = check_annotation(label, evidence.model_copy(update={"lab_markers": version}))
    assert known.candidates[0].genes == ("MYGENE",)


def test_a_gene_that_the_lab_puts_against_a_type_contradicts_it(tmp_path: Path, evidence_from: MakeEvidence) -> None:
    evidence = evidence_from("MS4A1 CD79A CD79B CD19 BANK1 TCL1A FCER2 VPREB3", "blood")
    version = use_lab_markers(_table(tmp_path, "B cell,TCL1A,-,,\nnaive B cell,TCL1A,-,,\n"), "human")
    proposal = propose(evidence.model_copy(update={"lab_markers": version}))
    assert "TCL1A" in proposal.contradicting_genes


def test_a_table_of_another_species_is_refused(tmp_path: Path, evidence_from: MakeEvidence) -> None:
    version = use_lab_markers(_table(tmp_path, "B cell,Cd19,+,,\n"), "mouse")
    with pytest.raises(InputError, match="holds symbols of mouse"):
        propose(evidence_from("CD19", "blood").model_copy(update={"lab_markers": version}))


def test_a_version_that_was_never_read_is_named() -> None:
    with pytest.raises(InputError, match="nosuchtable"):
        lab_markers("nosuchtable")
