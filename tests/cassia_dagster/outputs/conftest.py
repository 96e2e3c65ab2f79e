"""A small dataset of blood at one resolution, with a cluster of every kind of fate."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from anndata import AnnData

from cassia_dagster.outputs.analyses import Found, analysis_sections
from cassia_dagster.outputs.report import render_report
from cassia_dagster.outputs.result import ResolutionResult
from cassia_dagster.records import (
    AnnotatedCluster,
    Annotation,
    BoostedCluster,
    BoostOutcome,
    BoostRound,
    Candidate,
    ClusterEvidence,
    ClusterResult,
    Comparison,
    EvidenceCheck,
    Exchange,
    Expression,
    Finding,
    GeneLookup,
    Grouping,
    Hypothesis,
    Marker,
    Rubric,
    ScoredCluster,
    Status,
    Unresolved,
    Verdict,
)

SIZES = {"0": 40, "2": 25, "10": 20, "3": 10, "T?": 5}
MARKERS = {
    "0": ("CD8A", "CD8B", "CD3D"),
    "2": ("MS4A1", "CD79A", "CD79B"),
    "10": ("LYZ", "S100A9", "CD14"),
    "3": ("PPBP", "PF4"),
    "T?": (),
}
CD8 = "CD8-positive, alpha-beta T cell"


PLASMA = Hypothesis(celltype="plasma cell", genes=("JCHAIN", "MZB1"))
NO_JCHAIN = GeneLookup(
    gene="JCHAIN",
    mean=0.001,
    pct=0.002,
    rest=Comparison(against="", expression=Expression.NOT_DETECTED, log2FC=-3.0, mean=0.5, pct=0.2),
    nearest=(Comparison(against="0", expression=Expression.NOT_DIFFERENT, log2FC=0.1, mean=0.0, pct=0.0),),
)
NO_SUCH_GENE = GeneLookup(
    gene="MZB1",
    rest=Comparison(against="", expression=Expression.NOT_MEASURED, log2FC=None, mean=None, pct=None),
)


def evidence(cluster: str) -> ClusterEvidence:
    markers = tuple(
        Marker(
            gene=gene,
            avg_log2FC=5 - rank,
            pct_1=0.9,
            pct_2=0.1,
            p_val_adj=10.0 ** (rank - 40),
            score=20 - rank,
        )
        for rank, gene in enumerate(MARKERS[cluster])
    )
    share = SIZES[cluster] / sum(SIZES.values())
    return ClusterEvidence(
        cluster=cluster, n_cells=SIZES[cluster], share=share, markers=markers, species="human", tissue="blood"
    )


def said(role: str, model: str = "gpt-4o") -> Exchange:
    return Exchange(
        role=role,
        provider="openai",
        model=model,
        template=f"{role}.v1@0123",
        question="What is it?",
        reply="{}",
    )


def named(cluster: str, label: str, cl_id: str | None, general: str, score: float, *findings: Finding) -> ClusterResult:
    genes = MARKERS[cluster]
    annotation = Annotation(
        general_celltype=general,
        subtypes=(label, f"memory {general}"),
        cell_state="cycling",
        supporting_genes=genes,
        contradicting_genes=("HBB",),
        rationale=f"{genes[0]} is found in this cell type only.",
    )
    check = EvidenceCheck(
        cl_id=cl_id,
        cl_label=label if cl_id else None,
        support=0.9,
        cited_genes_up=genes,
        cited_genes_absent=("CD19",) if findings else (),
        candidates=(Candidate(cl_id="CL:0000576", label="monocyte", support=0.5, genes=genes[:1]),),
        findings=findings,
    )
    rubric = Rubric(identity=9, specificity=8, balance=7, alternatives=6)
    annotated = AnnotatedCluster(
        cluster=cluster,
        evidence=evidence(cluster),
        status=Status.OK,
        annotation=annotation,
        check=check,
        rounds=(Verdict(accepted=False, reasons="Too broad."), Verdict(accepted=True, reasons="Fits now.")),
        history=(said("annotate"), said("validate")),
    )
    scored = ScoredCluster(
        cluster=cluster,
        status=Status.OK,
        score=score,
        rubric=rubric,
        reasoning="Specific.",
        history=(said("score"),),
    )
    boosted = BoostedCluster(
        cluster=cluster,
        status=Status.OK,
        outcome=BoostOutcome.NOT_NEEDED,
        annotation=annotation,
        check=check,
        score=score,
        rubric=rubric,
        reasoning="Specific.",
    )
    grouping = Grouping(cluster=cluster, broad="leukocyte", intermediate=general, detailed=label)
    return ClusterResult(annotated=annotated, scored=scored, boosted=boosted, grouping=grouping)


def changed(before: ClusterResult, label_before: str, score_before: float) -> ClusterResult:
    """The same final word, reached by a second look only."""
    annotation = before.annotated.annotation
    assert annotation is not None
    first = annotation.model_copy(update={"subtypes": (label_before,)})
    update = {
        "outcome": BoostOutcome.CHANGED,
        "explanation": "CD79A decides.",
        "rounds": (BoostRound(hypotheses=(PLASMA,), lookups=(NO_JCHAIN, NO_SUCH_GENE)),),
        "supporting_genes": ("CD79B",),
        "refuting_genes": ("JCHAIN",),
        "additional_task": "Is this malignant?",
        "additional_answer": "No sign of it.",
        "history": (said("boost", "o3"),),
    }
    return before.model_copy(
        update={
            "annotated": before.annotated.model_copy(update={"annotation": first}),
            "scored": before.scored.model_copy(update={"score": score_before}),
            "boosted": before.boosted.model_copy(update=update),
        }
    )


def nameless(cluster: str, status: Status, reason: str, annotation: Annotation | None) -> ClusterResult:
    return ClusterResult(
        annotated=AnnotatedCluster(
            cluster=cluster,
            evidence=evidence(cluster),
            status=status,
            status_reason=reason,
            annotation=annotation,
            check=None,
        ),
        scored=ScoredCluster(cluster=cluster, status=status, status_reason=reason, score=None, rubric=None),
        boosted=BoostedCluster(
            cluster=cluster,
            status=status,
            status_reason=reason,
            outcome=BoostOutcome.CONFIRMED if annotation else BoostOutcome.FAILED,
            annotation=annotation,
            check=None,
            score=None,
            rubric=None,
        ),
        grouping=Grouping(cluster=cluster, broad="unresolved", intermediate="unresolved", detailed="unresolved"),
    )


@pytest.fixture
def blood() -> ResolutionResult:
    return ResolutionResult(
        dataset="blood",
        resolution="0.4",
        species="human",
        tissue="blood",
        clusters=(
            named("10", "CD14-positive monocyte", "CL:0001054", "monocyte", 72.5, Finding.GENE_ABSENT),
            nameless(
                "T?",
                Status.UNRESOLVED,
                "",
                Annotation(general_celltype=None, unresolved=Unresolved.NO_MARKERS, rationale="Nothing to go by."),
            ),
            changed(named("2", "B cell", "CL:0000236", "lymphocyte", 90), "plasma cell", 55),
            nameless("3", Status.BUDGET_EXHAUSTED, "The budget of $1 is spent.", None),
            named("0", CD8, "CL:0000625", "T cell", 85),
        ),
        models={"annotate": "openai/gpt-4o", "score": "openai/gpt-4o", "boost": "openai/o3"},
        versions={"scanpy": "1.12.4", "Cell Ontology": "2026-01-08"},
        created="2026-11-22",
        usd=0.0123,
        calls=12,
        cached_calls=3,
    )


@pytest.fixture
def blood_cells() -> pd.DataFrame:
    clusters = [cluster for cluster, size in SIZES.items() for _ in range(size)]
    rng = np.random.default_rng(0)
    centres = {cluster: rng.uniform(-10, 10, 2) for cluster in SIZES}
    xy = np.array([centres[cluster] for cluster in clusters]) + rng.normal(size=(len(clusters), 2))
    table = pd.DataFrame({"x": xy[:, 0], "y": xy[:, 1], "cluster": clusters})
    return table.set_axis([f"cell{position}" for position in range(len(table))])


@pytest.fixture
def blood_expression(blood_cells: pd.DataFrame) -> AnnData:
    """Markers in the cells of their own cluster, each cell a little higher than the one before."""
    genes = [gene for markers in MARKERS.values() for gene in markers]
    home = {gene: cluster for cluster, markers in MARKERS.items() for gene in markers}
    steps = np.linspace(1, 2, len(blood_cells))
    values = [
        [step if home[gene] == cluster else 0.0 for gene in genes]
        for cluster, step in zip(blood_cells["cluster"], steps, strict=True)
    ]
    matrix = scipy.sparse.csc_matrix(np.array(values, dtype="float32"))
    return AnnData(X=matrix, obs=blood_cells[[]], var=pd.DataFrame(index=genes))


@pytest.fixture
def blood_gold(blood_cells: pd.DataFrame) -> pd.DataFrame:
    """What an author called the same cells; five of them he did not name."""
    names = {"0": "Tc", "2": "B", "10": "Mono", "3": "platelet"}
    return pd.DataFrame({"author": blood_cells["cluster"].map(names)})


@pytest.fixture
def page(blood: ResolutionResult) -> Callable[..., str]:
    """Render the report with what was found; gives the section's text as a reader sees it."""

    def render(name: str, *rows: Found) -> str:
        html = render_report(blood, None, more=analysis_sections({name: list(rows)}))
        anchor = name.replace("_", "-")
        (section,) = re.findall(rf'<section id="{anchor}".*?</section>', html, re.DOTALL)
        return " ".join(re.sub(r"<[^>]*>", " ", section).split())

    return render
