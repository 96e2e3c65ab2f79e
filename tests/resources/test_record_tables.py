"""Tests of records as parquet: what is read is what was written, and the schema follows from the type."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cassia_dagster.records import (
    AnnotatedCluster,
    Annotation,
    BoostedCluster,
    BoostOutcome,
    BoostRound,
    Candidate,
    ClusterEvidence,
    ClusterQuality,
    Comparison,
    EvidenceCheck,
    Exchange,
    Expression,
    Finding,
    GeneLookup,
    Grouping,
    Hypothesis,
    Marker,
    NearbyCluster,
    Record,
    Rubric,
    ScoredCluster,
    Status,
    Strategy,
    Unresolved,
    Verdict,
)
from resources.record_tables import read_records, to_arrow

TEXT = 'CD8-positive, alpha-beta T cell; "naïve" 🧬\n=1+1 '
NAME = TEXT.replace("\n", "").strip()

ANNOTATION = Annotation(
    general_celltype="T cell",
    subtypes=(NAME, "memory T cell"),
    mixed_celltypes=("B cell",),
    cell_state="cycling",
    supporting_genes=("CD8A", "CD3D"),
    contradicting_genes=("HBB",),
    rationale=TEXT,
)
UNNAMED = Annotation(general_celltype=None, unresolved=Unresolved.NO_MARKERS)
CHECK = EvidenceCheck(
    cl_id="CL:0000625",
    cl_label=TEXT,
    support=0.9,
    cited_genes_up=("CD8A",),
    cited_genes_absent=(),
    candidates=(Candidate(cl_id="CL:0000625", label=TEXT, support=1.0, genes=("CD8A",)),),
    findings=(Finding.GENE_ABSENT, Finding.MARKERS_FAVOUR_OTHER),
)
UNMAPPED = EvidenceCheck(
    cl_id=None, cl_label=None, support=0, cited_genes_up=(), cited_genes_absent=(), candidates=(), findings=()
)
EVIDENCE = ClusterEvidence(
    cluster="0",
    n_cells=40,
    share=0.4,
    markers=(
        Marker(gene="CD8A", avg_log2FC=5.12, pct_1=0.9, pct_2=1 / 3, p_val_adj=1e-300, score=20.1),
        Marker(gene="CD3D", avg_log2FC=5, pct_1=1, pct_2=0, p_val_adj=0, score=0.1 + 0.2),
    ),
    nearest=(NearbyCluster(cluster="10", similarity=-0.25),),
    quality=ClusterQuality(median_counts=1234.5, median_genes=700, pct_mito=5.25, pct_ribo=0),
    species="mouse",
    tissue="blood",
    context=TEXT,
)
BARE_EVIDENCE = ClusterEvidence(cluster="T?", n_cells=None, share=None, markers=(), species="human", tissue="blood")
RUBRIC = Rubric(identity=9, specificity=0, balance=10, alternatives=6)
SAID = Exchange(role="score", provider="p", model="m", template="score@0123", question=TEXT, reply="{}")

FOUND = GeneLookup(
    gene="GZMK",
    mean=1.23,
    pct=0.5,
    rest=Comparison(against="", expression=Expression.UP, log2FC=2.5, mean=0.1, pct=0.05),
    nearest=(Comparison(against="10", expression=Expression.NOT_DETECTED, log2FC=None, mean=0, pct=0),),
)
TESTED = BoostRound(hypotheses=(Hypothesis(celltype="T cell", genes=("GZMK", "CD3D")),), lookups=(FOUND,))

FULL: dict[type[Record], Record] = {
    AnnotatedCluster: AnnotatedCluster(
        cluster="0",
        evidence=EVIDENCE,
        status=Status.OK,
        annotation=ANNOTATION,
        check=CHECK,
        rounds=(Verdict(accepted=False, reasons=TEXT, mixed=True), Verdict(accepted=True, reasons="")),
        strategy=Strategy.FUSED,
        lookups=(FOUND,),
        history=(SAID, SAID),
    ),
    ScoredCluster: ScoredCluster(
        cluster="0", status=Status.OK, score=72.5, rubric=RUBRIC, reasoning=TEXT, history=(SAID,)
    ),
    BoostedCluster: BoostedCluster(
        cluster="0",
        status=Status.OK,
        outcome=BoostOutcome.CHANGED,
        explanation=TEXT,
        rounds=(TESTED, BoostRound(hypotheses=(), lookups=())),
        supporting_genes=("GZMK",),
        refuting_genes=("HBB",),
        additional_task=TEXT,
        additional_answer=TEXT,
        annotation=ANNOTATION,
        check=CHECK,
        score=85,
        rubric=RUBRIC,
        reasoning=TEXT,
        history=(SAID,),
    ),
    Grouping: Grouping(cluster="0", broad="leukocyte", intermediate="T cell", detailed=NAME),
}
BARE: dict[type[Record], Record] = {
    AnnotatedCluster: AnnotatedCluster(
        cluster="T?", evidence=BARE_EVIDENCE, status=Status.BUDGET_EXHAUSTED, annotation=None, check=None
    ),
    ScoredCluster: ScoredCluster(cluster="T?", status=Status.FAILED, status_reason="no reply", score=None, rubric=None),
    BoostedCluster: BoostedCluster(
        cluster="T?",
        status=Status.UNRESOLVED,
        outcome=BoostOutcome.FAILED,
        annotation=UNNAMED,
        check=UNMAPPED,
        score=None,
        rubric=None,
    ),
    Grouping: Grouping(cluster="", broad="x", intermediate="x", detailed="x"),
}
STORED = pytest.mark.parametrize("kind", list(FULL), ids=lambda kind: kind.__name__)


def through_parquet(path: Path, *records: Record) -> list[Record]:
    pq.write_table(to_arrow(records), path)
    return list(read_records(path, type(records[0])))


@STORED
def test_records_come_back_exactly_as_they_were(tmp_path: Path, kind: type[Record]) -> None:
    rows = [FULL[kind], BARE[kind]]
    assert through_parquet(tmp_path / "rows.parquet", *rows) == rows


@STORED
def test_a_table_of_empty_fields_only_comes_back_too(tmp_path: Path, kind: type[Record]) -> None:
    assert through_parquet(tmp_path / "rows.parquet", BARE[kind]) == [BARE[kind]]


@STORED
def test_the_schema_is_the_same_whatever_the_rows_are(kind: type[Record]) -> None:
    assert to_arrow([FULL[kind]]).schema == to_arrow([BARE[kind]]).schema
    assert set(to_arrow([BARE[kind]]).column_names) == set(kind.model_fields)


def test_numbers_keep_their_type_in_the_file() -> None:
    schema = to_arrow([FULL[ScoredCluster]]).schema
    assert str(schema.field("score").type) == "double"
    assert str(schema.field("rubric").type.field("identity").type) == "int64"
    assert str(schema.field("cluster").type) == "string"


def test_whether_a_reply_was_cached_is_not_kept(tmp_path: Path) -> None:
    paid = FULL[ScoredCluster]
    assert isinstance(paid, ScoredCluster)
    cached = paid.model_copy(update={"history": (SAID.model_copy(update={"cached": True}),)})
    assert to_arrow([cached]).equals(to_arrow([paid]))
    assert through_parquet(tmp_path / "rows.parquet", cached) == [paid]


def test_a_table_of_no_record_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one record"):
        to_arrow([])
