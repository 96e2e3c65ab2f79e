from functools import partial

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from cassia_dagster.agents.boost import BoostStep, Conclusion, boost_cluster
from cassia_dagster.agents.embedded import EmbeddedBackend
from cassia_dagster.agents.embedded import score as rate
from cassia_dagster.agents.namesakes import ASKED, Lead, lead_of, namesakes_of
from cassia_dagster.agents.score import ScoreReply, ScoreRequest
from cassia_dagster.knowledge.deciding import deciding_genes
from cassia_dagster.knowledge.evidence import check_annotation
from cassia_dagster.llm.door import Door
from cassia_dagster.records import AnnotatedCluster, BoostOutcome, Hypothesis, Rubric, ScoredCluster, Status
from cassia_dagster.singlecell.lookup import sum_expression

HELPER, NAIVE, MEMORY = "CL:0000624", "CL:0000895", "CL:0000897"
LABEL = "CD4-positive, alpha-beta T cell"
OF_T_CELLS = "LDHB CD3D CD3E IL7R LTB TCF7 CD27 LEF1 CCR7 IL32 MAL NOSIP CD3G TRAT1 CD2 AQP3 SELL ITGB1 S100A4 PIK3IP1"
OF_NAIVE, OF_MEMORY = deciding_genes("human", NAIVE, (MEMORY,)), deciding_genes("human", MEMORY, (NAIVE,))


@pytest.fixture
def helper(evidence_of, named):
    """Make a cluster of CD4-positive T cells that is called so, with its score."""

    def make(cluster: str, score: float = 84.0, **said) -> tuple[AnnotatedCluster, ScoredCluster]:
        evidence = evidence_of(cluster, OF_T_CELLS, tissue="blood", **said)
        annotation = named(LABEL, "T cell", "CD3D")
        annotated = AnnotatedCluster(
            cluster=cluster,
            evidence=evidence,
            status=Status.OK,
            annotation=annotation,
            check=check_annotation(annotation, evidence),
        )
        return annotated, ScoredCluster(cluster=cluster, status=Status.OK, score=score, rubric=None)

    return make


@pytest.fixture
def sums():
    """Naive cells in cluster "0", memory cells in "1", cells of both in "2"; the genes of a kind are higher in it."""
    genes = [*OF_NAIVE, *OF_MEMORY]
    naive, memory = (
        np.repeat([1.5, 0.5], [len(OF_NAIVE), len(OF_MEMORY)]),
        np.repeat([0.5, 1.5], [len(OF_NAIVE), len(OF_MEMORY)]),
    )
    means = np.concatenate([np.tile(naive, (40, 1)), np.tile(memory, (40, 1)), np.full((40, len(genes)), 1.0)])
    values = np.clip(np.random.default_rng(0).normal(means, 0.2), 0.01, None).astype(np.float32)
    cells = ad.AnnData(csr_matrix(values), var=pd.DataFrame(index=genes))
    return sum_expression(cells, pd.Series(np.repeat(["0", "1", "2"], 40), index=cells.obs_names))


def test_names_that_several_clusters_bear_are_found_where_there_are_kinds_of_them(helper, evidence_of, named):
    rows = [helper(cluster)[0] for cluster in ("0", "1", "7")]
    platelets = named("platelet", "platelet", "PPBP")
    for cluster in ("2", "3"):
        evidence = evidence_of(cluster, "PPBP PF4 GNG11", tissue="blood")
        check = check_annotation(platelets, evidence)
        rows.append(rows[0].model_copy(update={"cluster": cluster, "annotation": platelets, "check": check}))
    broad = named("epithelial cell", "epithelial cell", "CD3D")
    check = check_annotation(broad, rows[0].evidence)
    rows += [rows[0].model_copy(update={"cluster": one, "annotation": broad, "check": check}) for one in ("8", "9")]
    nameless = rows[0].model_copy(update={"cluster": "4", "annotation": None, "check": None})
    of_a_table = helper("5", n_cells=None)[0]
    assert namesakes_of([*rows, nameless, of_a_table]) == {"0": ("1", "7"), "1": ("0", "7"), "7": ("0", "1")}


def test_the_kind_whose_genes_are_higher_than_in_the_others_leads(helper, sums):
    leads = {}
    for cluster, others in {"0": ("1", "2"), "1": ("0",), "2": ("0", "1")}.items():
        found = sums.look_up(helper(cluster)[0].evidence, [*OF_NAIVE, *OF_MEMORY], others)
        assert {one.nearest[0].against for one in found} == {" and ".join(others)}
        evidence = helper(cluster)[0].evidence
        leads[cluster] = [lead_of(evidence, found, others, *sides) for sides in ((NAIVE, [MEMORY]), (MEMORY, [NAIVE]))]
    assert leads["0"] == [Lead(1, 2), Lead(-1, -2)]
    assert leads["1"] == [Lead(-1, -2), Lead(1, 2)]
    assert not any(lead.is_clear for lead in leads["2"])


def test_that_the_rivals_genes_are_lower_names_nothing(helper, sums):
    found = sums.look_up(helper("0")[0].evidence, OF_MEMORY, ("1",))
    lead = lead_of(helper("0")[0].evidence, found, ("1",), NAIVE, [MEMORY])
    assert lead == Lead(0, 1)
    assert not lead.is_clear, "it may be a third kind"


def test_a_cluster_of_another_name_bears_no_kind_out(helper, sums, named):
    evidence = helper("0")[0].evidence
    found = sums.look_up(evidence, [*OF_NAIVE, *OF_MEMORY], ("1",))
    assert lead_of(evidence, found, ("1",), NAIVE, [MEMORY]).is_clear
    assert lead_of(evidence, found, ("2",), NAIVE, [MEMORY]) == Lead(0, 0), "they were held against others"

    naive = named("naive thymus-derived CD4-positive, alpha-beta T cell", "T cell", "CD3D")
    check = check_annotation(naive, evidence)
    assert check.cl_id == NAIVE

    def specificity(*namesakes):
        request = ScoreRequest(
            evidence=evidence, annotation=naive, check=check, verdicts=(), lookups=found, namesakes=namesakes
        )
        return rate(request).rubric.specificity

    assert specificity("1") > specificity() == specificity("2")


@pytest.mark.parametrize("score", [84.0, 68.0])
def test_the_embedded_model_tells_namesakes_apart(helper, sums, store, score):
    door = Door(EmbeddedBackend(), store)
    names = {}
    for cluster in ("0", "1", "2"):
        others = tuple(other for other in ("0", "1", "2") if other != cluster)
        annotated, scored = helper(cluster, score)
        look_up = partial(sums.look_up, annotated.evidence, namesakes=others)
        row = boost_cluster(annotated, scored, door, door, "blood", look_up=look_up, namesakes=others)
        names[cluster] = (row.check.cl_id, row.outcome)
        assert row.score >= min(score, 75)
    assert names == {
        "0": (NAIVE, BoostOutcome.CHANGED),
        "1": (MEMORY, BoostOutcome.CHANGED),
        "2": (HELPER, BoostOutcome.CONFIRMED),
    }


@pytest.mark.parametrize(
    ("cluster", "score", "rating", "outcome"),
    [
        ("0", 84.0, 8, BoostOutcome.CHANGED),  # a closer name may score a little less, if it scores well
        ("0", 84.0, 7, BoostOutcome.CONFIRMED),
        ("0", 40.0, 4, BoostOutcome.CONFIRMED),  # what hardly stands is made no closer
        ("1", 84.0, 8, BoostOutcome.CONFIRMED),  # the data speaks for the other kind
    ],
)
def test_a_model_may_name_a_kind_that_the_data_bears_out(
    helper, sums, scripted, named, cluster, score, rating, outcome
):
    tests = (
        Hypothesis(celltype="naive thymus-derived CD4-positive, alpha-beta T cell", genes=OF_NAIVE),
        Hypothesis(celltype="CD4-positive, alpha-beta memory T cell", genes=OF_MEMORY),
    )
    naive = named(tests[0].celltype, "T cell", "CD3D")
    concluded = Conclusion(annotation=naive, explanation="SELL is up")
    rubric = Rubric(identity=rating, specificity=rating, balance=rating, alternatives=rating)
    door, backend = scripted(
        boost=[BoostStep(hypotheses=tests), BoostStep(conclusion=concluded)],
        score=[ScoreReply(rubric=rubric, reasoning="rated")],
    )
    annotated, scored = helper(cluster, score)
    look_up = partial(sums.look_up, annotated.evidence, namesakes=("2",))
    row = boost_cluster(annotated, scored, door, door, "blood", look_up=look_up, namesakes=("2",))
    assert row.outcome is outcome
    assert all(ASKED in one.objection for one in backend.asked[:2]), "it is told in every round"


def test_without_namesakes_a_closer_name_is_held_to_the_usual_bar(helper, sums, scripted, named):
    tests = (
        Hypothesis(celltype="naive thymus-derived CD4-positive, alpha-beta T cell", genes=OF_NAIVE),
        Hypothesis(celltype="CD4-positive, alpha-beta memory T cell", genes=OF_MEMORY),
    )
    concluded = Conclusion(annotation=named(tests[0].celltype, "T cell", "CD3D"), explanation="SELL is up")
    rubric = Rubric(identity=8, specificity=8, balance=8, alternatives=8)
    door, _ = scripted(
        boost=[BoostStep(hypotheses=tests), BoostStep(conclusion=concluded)],
        score=[ScoreReply(rubric=rubric, reasoning="rated")],
    )
    annotated, scored = helper("0", 84.0)
    row = boost_cluster(
        annotated, scored, door, door, "blood", look_up=partial(sums.look_up, annotated.evidence, namesakes=("2",))
    )
    assert row.outcome is BoostOutcome.CONFIRMED
