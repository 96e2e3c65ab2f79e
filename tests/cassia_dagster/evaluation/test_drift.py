"""Two versions of the labels of a dataset: what is planted is found, and nothing else."""

import pandas as pd
import pytest

from cassia_dagster.evaluation.comparison import Change, change_of
from cassia_dagster.evaluation.drift import LabelBefore, compare_versions, find_causes

B, T, CD8, MONOCYTE = "CL:0000236", "CL:0000084", "CL:0000625", "CL:0000576"


def label(cluster, name, cl_id, score=80.0):
    return LabelBefore(cluster=cluster, label=name, cl_id=cl_id, score=score)


CELLS = pd.Series({f"c{number}": "0" if number < 6 else "1" for number in range(10)})
BEFORE = {"0": label("0", "T cell", T), "1": label("1", "B cell", B)}


def test_what_did_not_change_is_the_same():
    found = compare_versions(BEFORE, BEFORE, CELLS, CELLS)
    assert [(row.change, row.overlap, row.score_change) for row in found.clusters] == [(Change.SAME, 1.0, 0.0)] * 2
    assert (found.changed_share, found.gone, found.causes) == (0.0, (), ())


def test_a_planted_change_is_found_with_its_share_of_the_cells():
    now = BEFORE | {"0": label("0", "CD8-positive, alpha-beta T cell", CD8, score=90.0)}
    found = compare_versions(BEFORE, now, CELLS, CELLS)
    assert [row.change for row in found.clusters] == [Change.FINER, Change.SAME]
    assert found.clusters[0].score_change == 10.0
    assert found.changed_share == pytest.approx(0.6)
    assert {change: n for change, n in found.counts.items() if n} == {Change.FINER: 1, Change.SAME: 1}


def test_clusters_are_matched_by_their_cells_and_not_by_their_ids():
    swapped = CELLS.map({"0": "1", "1": "0"})
    now = {"0": label("0", "B cell", B), "1": label("1", "T cell", T)}
    found = compare_versions(BEFORE, now, CELLS, swapped)
    assert [(row.cluster, row.before, row.change) for row in found.clusters] == [
        ("0", "1", Change.SAME),
        ("1", "0", Change.SAME),
    ]
    assert found.changed_share == 0.0


def test_a_cluster_that_was_joined_to_another_is_gone():
    found = compare_versions(BEFORE, {"0": label("0", "T cell", T)}, CELLS, pd.Series("0", index=CELLS.index))
    assert found.gone == ("1",)
    assert found.clusters[0].overlap == pytest.approx(0.6)
    assert found.changed_share == pytest.approx(0.4)


def test_a_split_cluster_has_two_rows_and_cells_that_are_new_count_for_no_change():
    now = {"0": label("0", "T cell", T), "1": label("1", "B cell", B), "2": label("2", "monocyte", MONOCYTE)}
    cells = pd.concat([CELLS, pd.Series({"new1": "2", "new2": "2"})])
    found = compare_versions(BEFORE, now, CELLS, cells)
    last = found.clusters[2]
    assert (last.before, last.overlap, last.label_before, last.change) == (None, 0.0, None, Change.GAINED)
    assert found.changed_share == 0.0


@pytest.mark.parametrize(
    ("first", "second", "change"),
    [
        (("T cell", T), (None, None), Change.LOST),
        ((None, None), ("T cell", T), Change.GAINED),
        ((None, None), (None, None), Change.SAME),
        (("T cell", T), ("T lymphocyte", T), Change.SAME),
        (("CD8 T cell", CD8), ("T cell", T), Change.COARSER),
        (("T cell", T), ("monocyte", MONOCYTE), Change.CONTRADICTION),
        (("T cell", T), ("no term", None), Change.RENAMED),
        (("no term", None), ("no term", None), Change.SAME),
        (("T cell", T), ("hematopoietic cell", "CL:0000988"), Change.COARSER),
    ],
)
def test_how_one_label_stands_to_another_is_told_on_the_ontology(first, second, change):
    assert change_of(first, second) is change


def test_causes_name_the_role_whose_prompt_or_model_is_another(annotated_row):
    before = [annotated_row(template="annotate.v2@aaaa", model="m1", cells="digest")]
    same = [annotated_row(template="annotate.v2@aaaa", model="m1", cells="digest")]
    other = [annotated_row(template="annotate.v2@bbbb", model="m2", cells="another")]
    assert find_causes(before, same) == ()
    assert find_causes(before, other) == (
        "clusters: their cells or markers are others",
        "prompt of annotate: annotate.v2@aaaa → annotate.v2@bbbb",
        "model of annotate: p/m1 → p/m2",
    )


@pytest.fixture
def annotated_row():
    from cassia_dagster.records import AnnotatedCluster, ClusterEvidence, Exchange, Status

    def make(template, model, cells):
        evidence = ClusterEvidence(
            cluster="0", n_cells=1, share=1.0, markers=(), species="human", tissue="blood", nearest=()
        )
        return AnnotatedCluster(
            cluster="0",
            cells=cells,
            evidence=evidence,
            status=Status.UNRESOLVED,
            annotation=None,
            check=None,
            history=(Exchange(role="annotate", provider="p", model=model, template=template, question="?", reply="!"),),
        )

    return make
