"""The prompts as a model reads them, word for word; and that they hold summaries only, never a cell.

After a deliberate change, ``CASSIA_WRITE_PROMPTS=1 pytest tests/cassia_dagster/agents/test_prompts.py`` writes the
files anew; read what changed before you commit it.
"""

import os
import re
from functools import partial
from pathlib import Path

import pytest

from cassia_dagster.agents.annotate import ANNOTATOR, AnnotateRequest, annotate_cluster
from cassia_dagster.agents.boost import BOOSTER, BoostPlan, BoostRequest, BoostStrategy, boost_cluster
from cassia_dagster.agents.compare import COMPARER, CheckedScore, CompareRequest, Opinion
from cassia_dagster.agents.debate import compare_candidates
from cassia_dagster.agents.embedded import EmbeddedBackend
from cassia_dagster.agents.hypothesize import HYPOTHESIZER, HypothesizeRequest, rank_hypotheses
from cassia_dagster.agents.merge import MERGER, MergeRequest, NamedCluster
from cassia_dagster.agents.panel import Member
from cassia_dagster.agents.role import Role
from cassia_dagster.agents.score import SCORER, ScoreRequest, score_cluster
from cassia_dagster.agents.validate import VALIDATOR, ValidateRequest
from cassia_dagster.llm.door import Door
from cassia_dagster.records import (
    BoostRound,
    Candidate,
    ClusterQuality,
    Comparison,
    EvidenceCheck,
    Expression,
    Finding,
    GeneLookup,
    Hypothesis,
    NearbyCluster,
    Strategy,
    Verdict,
)
from cassia_dagster.singlecell.contrasts import contrasts
from cassia_dagster.singlecell.lookup import sum_expression
from cassia_dagster.singlecell.profile import gather_evidence

FOLDER = Path(__file__).parent / "prompts"


def prompts(beta_cells, named):
    """One request of every role, and of every turn that a role's conversation can take."""
    evidence = beta_cells.model_copy(
        update={
            "nearest": (NearbyCluster(cluster="4", similarity=0.612),),
            "quality": ClusterQuality(median_counts=6030, median_genes=1780, pct_mito=1.5, pct_ribo=10.1),
            "context": "healthy donors",
        }
    )
    candidate = Candidate(cl_id="CL:0000171", label="pancreatic A cell", support=0.31, genes=("PCSK1", "MAFA"))
    annotation = named("pancreatic A cell", "epithelial cell", "PCSK1", "GCG")
    check = EvidenceCheck(
        cl_id="CL:0000171",
        cl_label="pancreatic A cell",
        support=0.4,
        cited_genes_up=("PCSK1",),
        cited_genes_absent=("GCG",),
        candidates=(candidate,),
        findings=(Finding.GENE_ABSENT, Finding.MARKERS_FAVOUR_OTHER),
    )
    near = Comparison(against="4", expression=Expression.NOT_DETECTED, log2FC=-4.0, mean=2.2, pct=0.8)
    lookups = (
        GeneLookup(
            gene="GCG",
            mean=0.002,
            pct=0.004,
            rest=Comparison(against="", expression=Expression.NOT_DETECTED, log2FC=-5.1, mean=1.9, pct=0.33),
            nearest=(near,),
        ),
        GeneLookup(
            gene="XYZ1",
            rest=Comparison(against="", expression=Expression.NOT_MEASURED, log2FC=None, mean=None, pct=None),
        ),
    )
    tested = BoostRound(hypotheses=(Hypothesis(celltype="pancreatic A cell", genes=("GCG", "XYZ1")),), lookups=lookups)
    verdict = Verdict(accepted=False, reasons="INS is unexplained.")
    first = BoostRequest(
        evidence=evidence,
        annotation=annotation,
        check=check,
        score=38.0,
        contrast=evidence.markers[:2],
        additional_task="Is this malignant?",
        rounds_left=3,
    )
    asking = AnnotateRequest(evidence=evidence, candidates=(candidate,), lookups=lookups, rounds_left=4)
    compared = CompareRequest(
        evidence=evidence,
        candidates=("pancreatic A cell", "type B pancreatic cell"),
        lookups=lookups,
        persona="You trust the few most specific markers.",
    )
    scores = (
        CheckedScore(
            candidate="pancreatic A cell",
            score=20,
            genes_up=(),
            genes_not_up=("GCG",),
            contradicting_genes=("INS",),
            reasoning="INS leads",
        ),
    )
    opinions = (Opinion(own=True, scores=scores), Opinion(own=False, scores=scores))
    hypothesized = HypothesizeRequest(
        evidence=evidence,
        annotation=annotation,
        cl_id="CL:0000171",
        findings=check.findings,
        candidates=(candidate,),
        tested=(tested,),
    )
    return {
        "hypothesize": (HYPOTHESIZER, hypothesized),
        "compare": (COMPARER, compared),
        "compare_second_round": (
            COMPARER,
            compared.model_copy(update={"persona": "", "earlier": opinions, "objection": "Score each once."}),
        ),
        "annotate": (ANNOTATOR, AnnotateRequest(evidence=evidence, candidates=(candidate,))),
        "annotate_after_asking": (ANNOTATOR, asking),
        "validate": (VALIDATOR, ValidateRequest(evidence=evidence, annotation=annotation, check=check)),
        "score": (SCORER, ScoreRequest(evidence=evidence, annotation=annotation, check=check, verdicts=(verdict,))),
        "boost_first_round": (BOOSTER, first),
        "boost_conclusion": (
            BOOSTER,
            first.model_copy(update={"rounds": (tested,), "rounds_left": 0, "strategy": BoostStrategy.DEPTH}),
        ),
        "merge": (
            MERGER,
            MergeRequest(
                species="human",
                tissue="pancreas",
                clusters=(
                    NamedCluster(
                        cluster="0", label="beta cell", general_celltype="epithelial cell", cl_id="CL:0000169"
                    ),
                ),
            ),
        ),
    }


NAMES = (
    "annotate",
    "annotate_after_asking",
    "validate",
    "score",
    "boost_first_round",
    "boost_conclusion",
    "merge",
    "compare",
    "compare_second_round",
    "hypothesize",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_prompt_is_word_for_word_as_it_was_read_last(beta_cells, named, name):
    role, request = prompts(beta_cells, named)[name]
    text = f"{role.render('system', request)}\n\n--- user ---\n\n{role.render('user', request)}\n"
    file = FOLDER / f"{name}.txt"
    if os.environ.get("CASSIA_WRITE_PROMPTS"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def test_every_file_is_compared(beta_cells, named):
    assert {file.stem for file in FOLDER.iterdir()} == set(NAMES) == set(prompts(beta_cells, named))


PLANTED = "7.89"
"""The expression of insulin in one cell, and nowhere else."""


@pytest.fixture(scope="module")
def cells(islets):
    """The islets, with a value in one cell that would be seen wherever it turned up."""
    cells = islets.copy()
    cells.X[0, cells.var_names.get_loc("INS")] = float(PLANTED)
    return cells


@pytest.fixture(scope="module")
def rendered(tmp_path_factory, cells, islets_labels, islets_markers):
    """Every prompt of all roles, with every strategy, about the planted cell's cluster and two others."""
    from cassia_dagster.llm.store import Store

    texts: list[str] = []
    ask = Role.ask

    def remember(self, door, request, subject):
        texts.append(self.render("system", request) + self.render("user", request))
        return ask(self, door, request, subject)

    sums = sum_expression(cells, islets_labels)
    evidence = gather_evidence(cells, islets_labels, islets_markers, species="human", tissue="pancreas")
    chosen = [one for one in evidence if one.cluster in {"0", "1", islets_labels.iloc[0]}]
    with pytest.MonkeyPatch.context() as patch, Store.open(tmp_path_factory.mktemp("door") / "m.sqlite") as store:
        patch.setattr(Role, "ask", remember)
        door = Door(EmbeddedBackend(), store)
        for one in chosen:
            look_up = partial(insulin_and, sums, one)
            annotate_cluster(one, door, door, "x", Strategy.FUSED, look_up)
            annotated = annotate_cluster(one, door, door, "x")
            scored = score_cluster(one, annotated, door, "x")
            members = [Member(name, door) for name in "ab"]
            compare_candidates(annotated, ["alpha cell", "beta cell"], members, "x", look_up=look_up)
            pair = {one.cluster: one.nearest[0].cluster}
            genes = contrasts(cells, islets_labels, sums.clusters, pair)[one.cluster]
            for strategy in BoostStrategy:
                plan = BoostPlan(strategy)
                final = boost_cluster(annotated, scored, door, door, "x", look_up=look_up, contrast=genes, plan=plan)
                rank_hypotheses(one, "", final, door, "x", look_up=look_up)
    return texts


def insulin_and(sums, evidence, genes):
    return sums.look_up(evidence, ["INS", *genes])


def test_no_barcode_is_ever_in_a_prompt(rendered, cells):
    assert any("findings of round 1" in text for text in rendered)
    words = set(re.findall(r"[\w.:-]+", "\n".join(rendered)))
    assert not words & set(cells.obs_names)


def test_no_value_of_a_single_cell_is_ever_in_a_prompt(rendered):
    numbers = set(re.findall(r"(?<![\w.])\d+(?:\.\d+)?", "\n".join(rendered)))
    assert any("\nINS\t" in text for text in rendered)
    assert PLANTED not in numbers
    # A sum of many cells, too, is told with three digits only.
    digits = {number: number.partition(".")[0].lstrip("0") + number.partition(".")[2].rstrip("0") for number in numbers}
    assert {number for number, said in digits.items() if "." in number and len(said.strip("0")) > 3} == set()
