"""What agreement with the offline shortlist is worth."""

import pytest

from cassia_dagster.evaluation.measures import compare_terms
from cassia_dagster.evaluation.without_gold import (
    Standing,
    calibrate,
    calibration,
    confidence_without_gold,
    standing_of,
)
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
    agreed, contradicted = (confidence_without_gold(label, evidence) for label in (CD4_T, MONOCYTE))
    assert agreed.standing is Standing.ON_PATH
    assert 0.5 < agreed.right < 1
    assert contradicted.standing is Standing.CONTRADICTED
    assert (contradicted.right is None) == (contradicted.n == 0)


def test_the_shipped_calibration_has_every_standing():
    assert set(calibration()) == set(Standing)
    assert all(row.right <= row.n for row in calibration().values())
