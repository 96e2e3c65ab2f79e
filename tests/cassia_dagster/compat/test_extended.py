"""CASSIA's extended analyses by their own names: repeated runs, candidates compared, subclusters."""

import json

import pandas as pd
import pytest

import cassia_dagster.compat as CASSIA  # noqa: N812 - as a notebook writes it
from cassia_dagster.errors import ConfigurationError, InputError
from cassia_dagster.llm.store import Store

PLASMA = "IGLL5, JCHAIN, IGKC, TNFRSF17, IGHG1, IGHA1, MZB1, IGHG3, IGHM, DERL3, FCRL5, TXNDC5, SDC1, XBP1"


def test_runs_are_written_one_by_one_and_rules_agree_with_themselves(here, markers):
    paths = CASSIA.runCASSIA_batch_n_times(2, markers, "blood_Uncertainty", tissue="blood", provider="embedded")
    assert [path.name for path in paths] == ["blood_Uncertainty_1_full.csv", "blood_Uncertainty_2_full.csv"]
    with pytest.warns(UserWarning, match="compared on the Cell Ontology, without weights"):
        table = CASSIA.runCASSIA_similarity_score_batch(
            markers, "blood_Uncertainty_*_full.csv", "blood_uncertainty", main_weight=0.5
        )
    assert table["cluster"].tolist() == ["0", "10", "mystery"]
    assert table["similarity_score"].tolist()[:2] == [100.0, 100.0]
    assert table["consensus"].tolist() == ["B cell", "T cell", "unresolved"]
    assert (here / "blood_uncertainty.csv").exists()


def test_planted_disagreement_is_found(here):
    for number, (label, cl_id) in enumerate(
        [("T cell", "CL:0000084"), ("T cell", "CL:0000084"), ("B cell", "CL:0000236")]
    ):
        pd.DataFrame({"cluster": ["0"], "celltype_1": [label], "cl_id": [cl_id]}).to_csv(f"run_{number}.csv")
    (row,) = CASSIA.runCASSIA_similarity_score_batch(None, "run_*.csv", "agreement").to_dict("records")
    assert (row["runs"], row["modal_label"], row["modal_share"]) == (3, "T cell", 0.667)
    assert 0 < row["similarity_score"] < 100
    assert row["consensus_cl_id"] == "CL:0000084"


def test_no_run_is_paid_for_twice(here, markers):
    for runs in (2, 3):
        CASSIA.runCASSIA_batch_n_times(runs, markers.head(1), "once", tissue="blood", provider="embedded")
    with Store.open(here / "home" / "models.sqlite") as store:
        calls = [(call.role, call.replicate, call.state) for call in store.calls()]
    done = [call[:2] for call in calls if call[2] == "done"]
    assert sorted(done) == [(role, number) for role in ("annotate", "validate") for number in range(3)]


@pytest.mark.parametrize("n", [0, 51])
def test_a_number_of_runs_that_makes_no_sense_is_refused(here, markers, n):
    with pytest.raises(ConfigurationError, match=f"n is {n}"):
        CASSIA.runCASSIA_batch_n_times(n, markers)


def test_runs_that_cannot_be_compared_are_refused(here):
    with pytest.raises(InputError, match="fits 0 files"):
        CASSIA.runCASSIA_similarity_score_batch(None, "none_*.csv", "agreement")
    for number, cluster in enumerate("01"):
        table = pd.DataFrame({"cluster": [cluster], "celltype_1": ["T cell"], "cl_id": ["CL:0000084"]})
        table.to_csv(f"run_{number}.csv")
    with pytest.raises(InputError, match="other clusters"):
        CASSIA.runCASSIA_similarity_score_batch(None, "run_*.csv", "agreement")


def test_candidates_are_compared_and_the_debate_is_written(here):
    results = CASSIA.symphonyCompare(
        tissue="large intestine",
        celltypes=["plasma cell", "T cell"],
        marker_set=PLASMA,
        species="human",
        output_basename="plasma_subtype",
        enable_discussion=True,
        provider="embedded",
    )
    assert results["consensus"] == "plasma cell"
    assert f"{results['confidence']:.0%}" == "100%"
    assert results["dataframe"]["celltype"].tolist()[0] == "plasma cell"
    assert pd.read_csv("plasma_subtype.csv")["votes"].sum() >= 1
    assert json.loads((here / "plasma_subtype.json").read_text())["verdict"] == "plasma cell"


def test_a_preset_of_cassia_s_models_is_said_to_have_no_effect(here):
    with pytest.warns(UserWarning, match="model_preset 'premium' names models of CASSIA's choice"):
        CASSIA.symphonyCompare("blood", ["plasma cell", "T cell"], PLASMA.split(", "), model_preset="premium")
    assert [path.name for path in here.iterdir()] == ["home"]


def test_candidates_must_differ(here):
    with pytest.raises(InputError):
        CASSIA.symphonyCompare("blood", ["plasma cell"], PLASMA)


def test_subclusters_are_held_against_their_parent(here):
    table = pd.DataFrame(
        {
            "cluster": ["a", "b"],
            "genes": ["CD8A, CD8B, CD3D, CD3E, TRAC, GZMK", "MS4A1, CD79A, CD79B, CD19, BANK1, PAX5"],
        }
    )
    named = CASSIA.runCASSIA_subclusters(
        marker=table, major_cluster_info="T cell", output_name="parts", tissue="blood", provider="embedded"
    )
    assert named["within_parent"].tolist() == [True, False]
    assert named["parent"].tolist() == ["T cell", "T cell"]
    assert (here / "parts.csv").exists()
