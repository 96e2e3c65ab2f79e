"""What one label is worth, and what many are."""

import pytest

from cassia_dagster.evaluation.measures import GRADES, compare_terms, interval, measure
from cassia_dagster.knowledge.ontology import Relation

T_CELL, CD4_T, CD8_T, NK, MONOCYTE, LEUKOCYTE = (
    "CL:0000084", "CL:0000624", "CL:0000625", "CL:0000623", "CL:0000576", "CL:0000738",
)  # fmt: skip


@pytest.mark.parametrize(
    ("label", "gold", "relation", "grade"),
    [
        (T_CELL, T_CELL, Relation.EXACT, 1),
        (CD4_T, T_CELL, Relation.FINER, 1),
        (T_CELL, CD4_T, Relation.COARSER, 0.5),
        (CD8_T, CD4_T, Relation.SIBLING, 0.5),
        (NK, CD4_T, Relation.SAME_LINEAGE, 0.5),
        (MONOCYTE, CD4_T, Relation.CONTRADICTION, 0),
        (LEUKOCYTE, CD4_T, Relation.UNRESOLVED, 0),
        (None, CD4_T, Relation.UNRESOLVED, 0),
        (T_CELL, None, Relation.UNMAPPED, None),
    ],
)
def test_the_grade_follows_from_the_relation(label, gold, relation, grade):
    one = compare_terms(label, gold)
    assert (one.relation, one.grade) == (relation, grade)


def test_every_relation_that_can_be_graded_is():
    assert set(GRADES) == set(Relation) - {Relation.UNMAPPED}


def test_a_finer_label_loses_precision_and_a_coarser_one_recall():
    finer, coarser = compare_terms(CD4_T, T_CELL), compare_terms(T_CELL, CD4_T)
    assert finer.recall == coarser.precision == 1
    assert finer.precision == coarser.recall < 1
    assert finer.f1 == coarser.f1


def test_measures_are_weighted_means_over_what_is_mapped():
    comparisons = [compare_terms(T_CELL, T_CELL), compare_terms(None, T_CELL), compare_terms(T_CELL, None)]
    alike, weighed = measure(comparisons), measure(comparisons, [3, 1, 100])
    assert (alike.n, alike.mean_hf1, alike.exact, alike.coverage) == (2, 0.5, 0.5, 0.5)
    assert (weighed.mean_hf1, weighed.mean_grade, weighed.contradiction) == (0.75, 0.75, 0)


def test_without_a_mapped_gold_label_there_is_no_measure():
    assert measure([compare_terms(T_CELL, None)]) is None
    assert measure([]) is None


def test_the_interval_holds_the_mean_and_narrows_with_more_cases():
    few, many = interval([0.0, 1.0] * 5), interval([0.0, 1.0] * 500)
    assert few[0] < many[0] < 0.5 < many[1] < few[1]
    assert interval([0.0, 1.0] * 5) == few
