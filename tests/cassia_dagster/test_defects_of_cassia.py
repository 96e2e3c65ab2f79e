"""Defects that were found in CASSIA 1.4.0, one test each: this program must not have them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from cassia_dagster.agents.annotate import MAX_ROUNDS, annotate_cluster
from cassia_dagster.agents.boost import BoostStep, Conclusion, boost_cluster, keep_as_is, needs_boost
from cassia_dagster.agents.crew import for_each
from cassia_dagster.agents.embedded import EmbeddedBackend
from cassia_dagster.agents.merge import MergeReply, merge_clusters
from cassia_dagster.agents.score import ScoreReply, score_cluster
from cassia_dagster.llm.door import Door
from cassia_dagster.llm.errors import Refused
from cassia_dagster.llm.store import Store
from cassia_dagster.outputs.h5ad import annotate as annotate_cells
from cassia_dagster.outputs.report import render_report
from cassia_dagster.outputs.result import ResolutionResult
from cassia_dagster.outputs.tables import full_table, scored_table, summary_table, write_tables
from cassia_dagster.records import (
    AnnotatedCluster,
    Annotation,
    BoostedCluster,
    BoostOutcome,
    ClusterEvidence,
    ClusterResult,
    Expression,
    Grouping,
    Hypothesis,
    Rubric,
    ScoredCluster,
    Status,
    Verdict,
)
from cassia_dagster.singlecell.lookup import sum_expression
from cassia_dagster.singlecell.markers import as_markers, rank_markers
from tests.cassia_dagster.agents.conftest import Scripted, evidence_of, scripted, store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["evidence_of", "scripted", "store"]

CD8 = "CD8-positive, alpha-beta T cell"
GENES = {
    "0": "CD8A CD8B CD3D CD3E GZMK TRAC CD2 CD7",
    "1": "LYZ S100A8 S100A9 CD14 FCN1 VCAN",
    "2": "",
    "10": "MS4A1 CD79A CD79B CD19 BANK1 CD74",
    "11": "PPBP PF4 GP9 ITGA2B TUBB1",
}
"""Cluster to its markers; "2" has none, and of "11" the model will not speak."""

GOOD = Rubric(identity=9, specificity=9, balance=9, alternatives=9)
YES, NO = Verdict(accepted=True, reasons="fits"), Verdict(accepted=False, reasons="does not fit")


def label(name: str, general: str, *genes: str) -> Annotation:
    return Annotation(general_celltype=general, subtypes=(name,), supporting_genes=genes, rationale="it is")


def group(cluster: str, name: str) -> Grouping:
    return Grouping(cluster=cluster, broad="leukocyte", intermediate="leukocyte", detailed=name)


class Roles(EmbeddedBackend):
    """Plays all roles by rules, but does not speak of platelets."""

    def answer(self, question: Any) -> Any:
        if "PPBP" in question.user:
            raise Refused("the model declined")
        return super().answer(question)


@pytest.fixture
def door(tmp_path: Path) -> Any:
    with Store.open(tmp_path / "models.sqlite") as store:
        yield Door(Roles(), store)


@pytest.fixture
def blood(door: Door, evidence_of: Callable[..., ClusterEvidence]) -> ResolutionResult:
    """All roles, for every cluster."""
    annotated, scored, boosted = {}, {}, {}
    for cluster, genes in GENES.items():
        evidence = evidence_of(cluster, genes, tissue="blood", n_cells=10, share=0.2)
        annotated[cluster] = annotate_cluster(evidence, door, door, cluster)
        scored[cluster] = score_cluster(evidence, annotated[cluster], door, cluster)
        boosted[cluster] = keep_as_is(annotated[cluster], scored[cluster])
    groupings, _ = merge_clusters(list(boosted.values()), "human", "blood", door, "blood")
    return ResolutionResult(
        dataset="blood",
        resolution="0.4",
        species="human",
        tissue="blood",
        clusters=tuple(
            ClusterResult(
                annotated=annotated[one.cluster],
                scored=scored[one.cluster],
                boosted=boosted[one.cluster],
                grouping=one,
            )
            for one in groupings
        ),
        models={},
        versions={},
        created="2026-11-22",
        usd=1.25,
        calls=8,
    )


@pytest.fixture
def cells() -> ad.AnnData:
    """Ten cells of each cluster."""
    names = [f"cell{number}" for number in range(10 * len(GENES))]
    clusters = [cluster for cluster in GENES for _ in range(10)]
    xy = np.arange(2 * len(names)).reshape(-1, 2)
    return ad.AnnData(obs=pd.DataFrame({"cluster": clusters, "x": xy[:, 0], "y": xy[:, 1]}, index=names))


def with_boost(result: ResolutionResult, boosted: BoostedCluster) -> ResolutionResult:
    clusters = tuple(
        row.model_copy(update={"boosted": boosted}) if row.cluster == boosted.cluster else row
        for row in result.clusters
    )
    return result.model_copy(update={"clusters": clusters})


def test_1_the_boost_shows_the_numbers_of_this_cluster_and_of_no_other(scripted: Any, evidence_of: Any) -> None:
    rng = np.random.default_rng(0)
    labels = pd.Series(["mono"] * 30 + ["CD8"] * 30 + ["B"] * 30, index=[f"c{number}" for number in range(90)])
    cd3d = np.where(labels == "CD8", 3.0, 0.0) + np.where(labels == "CD8", rng.normal(0, 0.2, 90), 0)
    adata = ad.AnnData(np.stack([cd3d, np.ones(90)], axis=1), obs=pd.DataFrame(index=labels.index))
    adata.var_names = ["CD3D", "ACTB"]
    sums = sum_expression(adata, labels)
    step = BoostStep(hypotheses=(Hypothesis(celltype="monocyte", genes=("CD3D",)),))
    told = {}
    for cluster in ("mono", "CD8"):
        evidence = evidence_of(cluster, "ACTB")
        row = AnnotatedCluster(cluster=cluster, evidence=evidence, status=Status.REFUSED, annotation=None, check=None)
        scored = ScoredCluster(cluster=cluster, status=Status.REFUSED, score=None, rubric=None)
        door, backend = scripted(boost=[step, Refused("enough")])
        boost_cluster(row, scored, door, door, cluster, look_up=partial(sums.look_up, evidence))
        ((found,),) = (tested.lookups for tested in backend.asked[1].rounds)
        told[cluster] = (found.expression, found.pct)
    assert told == {"mono": (Expression.NOT_DETECTED, 0.0), "CD8": (Expression.UP, 1.0)}


def test_2_what_the_boost_changed_is_what_tables_report_and_cells_show(
    blood: ResolutionResult, cells: ad.AnnData, scripted: Any
) -> None:
    row = blood.clusters[0]
    door, _ = scripted(
        boost=[
            BoostStep(hypotheses=(Hypothesis(celltype=CD8, genes=("CD8A",)),)),
            BoostStep(conclusion=Conclusion(annotation=label(CD8, "T cell", "CD8A"), explanation="CD8A")),
        ],
        score=[ScoreReply(rubric=GOOD, reasoning="CD8A leads")],
    )
    wrong = row.annotated.model_copy(update={"annotation": label("monocyte", "leukocyte", "CD8A"), "check": None})
    boosted = boost_cluster(wrong, row.scored.model_copy(update={"score": 20.0}), door, door, "0")
    assert boosted.outcome is BoostOutcome.CHANGED
    changed = row.model_copy(update={"annotated": wrong, "boosted": boosted})
    result = blood.model_copy(update={"clusters": (changed, *blood.clusters[1:])})
    for table in (summary_table(result), full_table(result), scored_table(result)):
        assert table.set_index("cluster").loc["0", "celltype_1"] == CD8
    assert f'<td class="label"><strong>{CD8}</strong>' in render_report(result, cells.obs)
    annotated = annotate_cells(cells, [result], {"0.4": cells.obs["cluster"]}, None, "0.4").obs
    assert set(annotated.loc[annotated["cluster"] == "0", "CASSIA_annotation"]) == {CD8}


def test_3_cluster_0_is_scored_by_all_that_is_known_of_it(scripted: Any, evidence_of: Any) -> None:
    asked = {}
    for cluster in ("0", "1"):
        door, backend = scripted(
            annotate=[label(CD8, "T cell", "CD8A")],
            validate=[YES],
            score=[ScoreReply(rubric=GOOD, reasoning="CD8A leads")],
        )
        evidence = evidence_of(cluster, GENES["0"])
        annotated = annotate_cluster(evidence, door, door, cluster)
        assert score_cluster(evidence, annotated, door, cluster).score == 90
        asked[cluster] = backend.asked[-1].model_dump(exclude={"evidence": {"cluster"}})
    assert asked["0"] == asked["1"]
    assert asked["0"]["verdicts"]


def test_4_merged_groups_go_to_the_cluster_with_their_id(scripted: Any, blood: ResolutionResult) -> None:
    rows = [row.boosted for row in blood.clusters if row.cluster in {"0", "1", "10"}]
    door, _ = scripted(merge=[MergeReply(groupings=tuple(group(one, f"type of {one}") for one in ("10", "0", "1")))])
    groupings, trouble = merge_clusters(rows, "human", "blood", door, "blood")
    assert trouble == ""
    assert {one.cluster: one.detailed for one in groupings} == {one: f"type of {one}" for one in ("0", "1", "10")}


@pytest.mark.parametrize("prose", ["90% sure, but <score> 72 </score>", "<score>850</score>", "85.5 of 100", ""])
def test_5_no_score_is_read_from_prose_and_none_is_out_of_range(
    scripted: Any, blood: ResolutionResult, prose: str
) -> None:
    rubric = Rubric(identity=7, specificity=8, balance=6, alternatives=8)
    door, _ = scripted(score=[ScoreReply(rubric=rubric, reasoning=prose)])
    row = blood.clusters[0]
    assert score_cluster(row.evidence, row.annotated, door, "0").score == 72
    for rating in (850, 85.5, 11):
        with pytest.raises(ValidationError, match="identity"):
            ScoreReply.model_validate({"rubric": rubric.model_dump() | {"identity": rating}, "reasoning": prose})
    door, _ = scripted(score=[Refused("declined")])
    missing = score_cluster(row.evidence, row.annotated, door, "0")
    assert missing.score is None
    assert needs_boost(row.annotated, missing)


def test_6_a_label_that_the_validator_never_accepted_is_written_in_one_piece(
    scripted: Any, blood: ResolutionResult
) -> None:
    door, _ = scripted(annotate=[label(CD8, "T cell", "CD8A")] * MAX_ROUNDS, validate=[NO] * MAX_ROUNDS)
    row = blood.clusters[0]
    annotated = annotate_cluster(row.evidence, door, door, "0")
    assert not annotated.rounds[-1].accepted
    rejected = row.model_copy(update={"annotated": annotated, "boosted": keep_as_is(annotated, row.scored)})
    result = blood.model_copy(update={"clusters": (rejected, *blood.clusters[1:])})
    named = summary_table(result).set_index("cluster").loc["0", ["celltype_1", "celltype_2", "celltype_3"]]
    assert list(named) == [CD8, None, None]


def test_7_a_cell_gets_the_label_of_the_cluster_whose_id_is_its_own(blood: ResolutionResult, cells: ad.AnnData) -> None:
    annotated = annotate_cells(cells, [blood], {"0.4": cells.obs["cluster"]}, None, "0.4").obs
    labels = annotated.groupby("cluster")["CASSIA_annotation"].unique().map(list).to_dict()
    assert labels["10"] != labels["0"]
    assert labels["11"] == ["unresolved"] != labels["1"]
    by_id = summary_table(blood).set_index("cluster")["celltype_1"]
    assert labels == {cluster: [by_id[cluster]] for cluster in GENES}


def test_8_a_name_with_a_comma_stays_one_name(blood: ResolutionResult, tmp_path: Path) -> None:
    row = blood.clusters[0]
    both = Annotation(general_celltype="T cell", subtypes=(CD8, "CD4-positive, alpha-beta T cell"))
    named = with_boost(blood, row.boosted.model_copy(update={"annotation": both}))
    read = pd.read_csv(write_tables(named, tmp_path, "blood")["scored"], dtype={"cluster": str}).set_index("cluster")
    assert list(read.loc["0", ["celltype_1", "celltype_2"]]) == [CD8, "CD4-positive, alpha-beta T cell"]
    assert pd.isna(read.loc["0", "celltype_3"])


def test_9_no_cluster_vanishes_from_any_output(blood: ResolutionResult, cells: ad.AnnData) -> None:
    status = {row.cluster: row.boosted.status for row in blood.clusters}
    assert (status["2"], status["11"]) == (Status.UNRESOLVED, Status.REFUSED)
    for table in (summary_table(blood), full_table(blood), scored_table(blood)):
        assert set(table["cluster"]) == set(GENES)
    assert render_report(blood, cells.obs).count('<article class="cluster"') == len(GENES)
    annotated = annotate_cells(cells, [blood], {"0.4": cells.obs["cluster"]}, None, "0.4").obs
    assert set(annotated["leiden_res_0.4"]) == set(GENES)
    assert annotated["CASSIA_annotation"].notna().all()


def test_10_what_was_answered_before_a_failure_is_not_asked_again(tmp_path: Path, evidence_of: Any) -> None:
    evidence = [evidence_of(str(number), f"{GENES['0']} GENE{number}", tissue="blood") for number in range(6)]

    class Dies(Scripted):
        def answer(self, question: Any) -> Any:
            if dies and question.request.evidence.cluster == "4":
                raise MemoryError
            self.asked.append(question.request)
            return EmbeddedBackend().answer(question)

    backend = Dies()
    backend.identity = EmbeddedBackend().identity

    def run() -> None:
        with Store.open(tmp_path / "models.sqlite") as store:
            door = Door(backend, store)
            for_each(evidence, lambda one: annotate_cluster(one, door, door, one.cluster), max_workers=1)

    dies = True
    with pytest.raises(MemoryError):
        run()
    before = len(backend.asked)
    assert before >= 8
    dies = False
    run()
    asked = [(request.evidence.cluster, type(request)) for request in backend.asked]
    assert len(asked) == len(set(asked)) == 12
    assert {cluster for cluster, _ in asked[before:]} <= {"4", "5"}


def test_11_what_a_run_cost_is_counted_call_by_call_and_shown(
    store_of_calls: Store, blood: ResolutionResult, cells: ad.AnnData
) -> None:
    assert [call.usd for call in store_of_calls.calls()] == [0.5, 0.75]
    assert store_of_calls.totals().usd == 1.25
    assert "$1.25 (8 calls)" in render_report(blood, cells.obs)


@pytest.fixture
def store_of_calls(tmp_path: Path, evidence_of: Any) -> Any:
    prices = iter((0.5, 0.75))

    class Priced(Scripted):
        def answer(self, question: Any) -> Any:
            from dataclasses import replace

            return replace(super().answer(question), usd=next(prices))

    with Store.open(tmp_path / "ledger.sqlite") as store:
        door = Door(Priced(annotate=[label(CD8, "T cell", "CD8A")], validate=[YES]), store)
        annotate_cluster(evidence_of("0", GENES["0"]), door, door, "blood/0.4/0")
        yield store


def test_12_what_a_model_wrote_is_text_in_the_report_and_not_markup(blood: ResolutionResult, cells: ad.AnnData) -> None:
    evil = "<script>alert(1)</script>"
    said = {
        "annotation": label(f"T cell {evil}", evil, f"CD8A{evil}").model_copy(update={"rationale": evil}),
        "reasoning": evil,
        "explanation": evil,
        "outcome": BoostOutcome.CONFIRMED,
        "additional_task": evil,
        "additional_answer": evil,
    }
    html = render_report(with_boost(blood, blood.clusters[0].boosted.model_copy(update=said)), cells.obs)
    assert evil not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 6


def test_13_cluster_2_comes_before_cluster_10_everywhere(blood: ResolutionResult, cells: ad.AnnData) -> None:
    order = ["0", "1", "2", "10", "11"]
    shuffled = ResolutionResult(**(dict(blood) | {"clusters": blood.clusters[::-1]}))
    for table in (summary_table(shuffled), full_table(shuffled), scored_table(shuffled)):
        assert list(table["cluster"]) == order
    html = render_report(shuffled, cells.obs)
    places = [html.index(f'<span class="which">Cluster {cluster}</span>') for cluster in order]
    assert places == sorted(places)
    annotated = annotate_cells(cells, [shuffled], {"0.4": cells.obs["cluster"]}, None, "0.4").obs
    assert list(annotated["leiden_res_0.4"].cat.categories) == order


def test_14_a_rare_gene_with_a_large_fold_change_does_not_lead_the_markers() -> None:
    rng = np.random.default_rng(0)
    inside = np.repeat([True, False], [100, 300])
    marker = np.where(inside, rng.normal(3, 0.3, 400), rng.normal(0.5, 0.3, 400)).clip(0)
    pseudogene = np.where(inside & (rng.random(400) < 0.3), 2.0, 0.0)
    adata = ad.AnnData(np.stack([marker, pseudogene, np.ones(400)], axis=1))
    adata.var_names = ["CD8A", "RP11-1H", "ACTB"]
    labels = pd.Series(np.where(inside, "0", "1"), index=adata.obs_names)
    table = rank_markers(adata, labels).query("cluster == '0'")
    folds = table.set_index("gene")["avg_log2FC"]
    assert folds["RP11-1H"] > folds["CD8A"]
    assert next(iter(table["gene"])) == "CD8A"
    assert [gene.gene for gene in as_markers(table, 2)] == ["CD8A", "RP11-1H"]
