from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import pytest

from cassia_dagster.knowledge.evidence import check_annotation
from cassia_dagster.records import Annotation, ClusterEvidence, Finding, Unresolved


class Gold(Protocol):
    gold_id: str
    evidence: ClusterEvidence


def test_a_right_label_with_true_citations_passes(islets: dict[str, Gold]) -> None:
    annotation = Annotation(
        general_celltype="epithelial cell", subtypes=("pancreatic alpha cell",), supporting_genes=("GCG", "TTR")
    )
    check = check_annotation(annotation, islets["alpha"].evidence)
    assert check.passed
    assert (check.cl_id, check.cl_label) == ("CL:0000171", "pancreatic A cell")
    assert check.cited_genes_up == ("GCG", "TTR")
    assert check.support == 1
    assert check.candidates[0].cl_id == "CL:0000171"


def test_a_broad_but_true_label_passes(islets: dict[str, Gold]) -> None:
    assert check_annotation(Annotation(general_celltype="epithelial cell"), islets["beta"].evidence).passed


@pytest.mark.parametrize("label", ["T cells", "fibroblast", "endothelial cell", "microglia"])
def test_a_label_of_another_lineage_is_a_contradiction(label: str, islets: dict[str, Gold]) -> None:
    check = check_annotation(Annotation(general_celltype=label), islets["acinar"].evidence)
    assert Finding.LINEAGE_CONTRADICTION in check.findings
    assert check.support < 0.5


def test_unclear_markers_contradict_nothing(evidence_from: Callable[..., ClusterEvidence]) -> None:
    evidence = evidence_from("CD3D INS CD3E IAPP IL7R MAFA TRAC SLC30A8")
    for label in ("T cell", "pancreatic beta cell", "hepatocyte"):
        found = check_annotation(Annotation(general_celltype=label), evidence).findings
        assert Finding.LINEAGE_CONTRADICTION not in found


def test_markers_may_favour_a_sister_type(islets: dict[str, Gold]) -> None:
    check = check_annotation(Annotation(general_celltype="pancreatic ductal cell"), islets["alpha"].evidence)
    assert Finding.MARKERS_FAVOUR_OTHER in check.findings
    assert Finding.LINEAGE_CONTRADICTION not in check.findings


def test_a_label_that_no_marker_speaks_for_says_so(evidence_from: Callable[..., ClusterEvidence]) -> None:
    check = check_annotation(Annotation(general_celltype="podocyte"), evidence_from("INS IAPP GCG"))
    assert Finding.NO_MARKER_SUPPORT in check.findings


def test_a_cited_gene_that_is_no_marker_is_absent(islets: dict[str, Gold]) -> None:
    annotation = Annotation(general_celltype="pancreatic beta cell", supporting_genes=("INS", "NKX6-1000"))
    check = check_annotation(annotation, islets["beta"].evidence)
    assert check.cited_genes_absent == ("NKX6-1000",)
    assert check.findings == (Finding.GENE_ABSENT,)


def test_a_gene_cited_by_a_former_symbol_or_in_another_case_is_found(
    evidence_from: Callable[..., ClusterEvidence],
) -> None:
    annotation = Annotation(general_celltype="platelet", supporting_genes=("SDPR", "pf4"))
    assert check_annotation(annotation, evidence_from("PPBP PF4 CAVIN2")).cited_genes_absent == ()


def test_a_gene_that_is_down_is_not_up(islets: dict[str, Gold]) -> None:
    evidence = islets["beta"].evidence
    first = evidence.markers[0].model_copy(update={"avg_log2FC": -2.0})
    evidence = evidence.model_copy(update={"markers": (first, *evidence.markers[1:])})
    check = check_annotation(Annotation(general_celltype="B cell", supporting_genes=(first.gene,)), evidence)
    assert check.cited_genes_absent == (first.gene,)


def test_the_general_type_is_read_where_the_detailed_one_is_no_term(islets: dict[str, Gold]) -> None:
    annotation = Annotation(general_celltype="T cell", subtypes=("odd T cell of our lab",))
    assert check_annotation(annotation, islets["beta"].evidence).cl_id == "CL:0000084"


def test_a_label_that_is_no_term_is_unmapped(islets: dict[str, Gold]) -> None:
    check = check_annotation(Annotation(general_celltype="odd cell of our lab"), islets["beta"].evidence)
    assert check.cl_id is None
    assert check.findings == (Finding.LABEL_UNMAPPED,)


def test_an_unresolved_annotation_is_not_reproached(islets: dict[str, Gold]) -> None:
    annotation = Annotation(general_celltype=None, unresolved=Unresolved.WEAK_SUPPORT)
    check = check_annotation(annotation, islets["beta"].evidence)
    assert check.passed
    assert check.candidates


def test_a_cluster_without_markers_can_be_checked(evidence_from: Callable[..., ClusterEvidence]) -> None:
    check = check_annotation(Annotation(general_celltype="T cell"), evidence_from(""))
    assert check.passed
    assert check.candidates == ()
    assert check.support == 0
