"""What agreement with the offline shortlist is worth."""

import pytest

from cassia_dagster.evaluation.measures import compare_terms
from cassia_dagster.evaluation.without_gold import (
    SCORE_BANDS,
    Standing,
    calibrate,
    calibrate_scores,
    calibration,
    calibration_of_scores,
    confidence_in,
    standing_of,
)
from cassia_dagster.knowledge.candidates import shortlist
from cassia_dagster.records import Candidate, ClusterEvidence, Marker

T_CELL, CD4_T, NK, MONOCYTE, LEUKOCYTE = "CL:0000084", "CL:0000624", "CL:0000623", "CL:0000576", "CL:0000738"
PROPOSED = (Candidate(cl_id=T_CELL, label="T cell", support=1, genes=("CD3D",)),)


@pytest.mark.parametrize(
    ("label", "standing"),
    [
        (T_CELL, Standing.ON_PATH),
        (CD4_T, Standing.ON_PATH),
        (NK, Standing.SAME_LINEAGE),
        (MONOCYTE, Standing.CONTRADICTED),
        (LEUKOCYTE, Standing.UNKNOWN),
        (None, Standing.UNKNOWN),
    ],
)
def test_a_label_stands_on_the_path_beside_it_or_against_it(label, standing):
    assert standing_of(label, PROPOSED) is standing


def test_without_candidates_nothing_is_known():
    assert standing_of(T_CELL, ()) is Standing.UNKNOWN


def test_the_calibration_counts_labels_with_a_mapped_gold_label():
    labels = [
        (Standing.ON_PATH, compare_terms(CD4_T, T_CELL)),
        (Standing.ON_PATH, compare_terms(MONOCYTE, T_CELL)),
        (Standing.ON_PATH, compare_terms(T_CELL, None)),
    ]
    (row,) = [row for row in calibrate(labels) if row.n]
    assert (row.standing, row.n, row.right) == (Standing.ON_PATH, 2, 1)


def test_agreement_with_the_shortlist_gives_more_confidence_than_none():
    markers = tuple(Marker(gene=gene) for gene in ["CD3D", "CD3E", "IL7R", "TRAC", "CD2", "LTB", "CD27"])
    evidence = ClusterEvidence(cluster="0", n_cells=None, share=None, markers=markers, species="human", tissue="blood")
    agreed, contradicted = (confidence_in(label, shortlist(evidence)) for label in (CD4_T, MONOCYTE))
    assert agreed.standing is Standing.ON_PATH
    assert 0.5 < agreed.right < 1
    assert contradicted.standing is Standing.CONTRADICTED
    assert (contradicted.right is None) == (contradicted.n == 0)


def test_the_shipped_calibration_has_every_standing():
    assert set(calibration()) == set(Standing)
    assert all(row.right <= row.n for row in calibration().values())


def test_scores_are_calibrated_by_what_became_of_the_labels():
    right, wrong = compare_terms(CD4_T, T_CELL), compare_terms(MONOCYTE, T_CELL)
    rows = calibrate_scores([(95.0, right), (90.0, wrong), (89.9, right), (10.0, compare_terms(T_CELL, None))])
    assert [(row.at_least, row.n, row.right) for row in rows] == [(0.0, 0, 0), (75.0, 1, 1), (90.0, 2, 1)]


def test_the_embedded_models_own_label_is_trusted_by_its_score_and_not_by_the_shortlist_that_it_comes_from():
    low, high = (confidence_in(T_CELL, PROPOSED, own_score) for own_score in (40.0, 95.0))
    assert low.standing is high.standing is Standing.ON_PATH
    assert low.right < high.right
    assert confidence_in(T_CELL, PROPOSED).n == calibration()[Standing.ON_PATH].n


def test_the_shipped_calibration_of_scores_has_every_band_and_rises():
    bands = calibration_of_scores()
    assert tuple(band.at_least for band in bands) == SCORE_BANDS
    shares = [(band.right + 1) / (band.n + 2) for band in bands]
    assert shares == sorted(shares)
