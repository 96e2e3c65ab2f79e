"""Answers to cases whose labels are known."""

import pytest

from cassia_dagster.errors import InputError
from cassia_dagster.evaluation.benchmark import BenchmarkRun, run_benchmark, score_given
from cassia_dagster.evaluation.without_gold import Standing
from cassia_dagster.knowledge.ontology import Relation


def test_a_model_is_asked_once_and_answers_from_the_cache_for_nothing(cases, door, store):
    first, second = (run_benchmark(cases, door, store, "embedded") for _ in range(2))
    assert first.answers == second.answers
    assert first.cached_calls == 0 < first.calls
    assert second.cached_calls == second.calls == first.calls
    assert second.usd == 0


def test_the_embedded_model_names_clear_cases(cases, door, store):
    run = run_benchmark(cases, door, store, "embedded")
    assert [one.label for one in run.answers[:2]] == ["B cell", "pancreatic A cell"]
    assert (run.summary.n_cases, run.summary.n, run.summary.contradiction, run.summary.coverage) == (4, 3, 0, 1)
    assert run.summary.right_scored_high == 1
    assert run.answers[0].standing is Standing.ON_PATH


def test_answers_of_others_are_scored_by_the_same_code(cases):
    good, bad = score_given(cases, "good"), score_given(cases, "bad")
    assert [one.compared.relation for one in good.answers] == [
        Relation.FINER,
        Relation.EXACT,
        Relation.EXACT,
        Relation.UNMAPPED,
    ]
    assert [one.compared.relation for one in bad.answers] == [
        Relation.CONTRADICTION,
        Relation.UNRESOLVED,
        Relation.EXACT,
        Relation.UNMAPPED,
    ]
    assert (good.summary.exact_or_finer, good.summary.mean_grade) == (1, 1)
    assert (bad.summary.exact, bad.summary.contradiction, bad.summary.coverage) == pytest.approx((1 / 3, 1 / 3, 2 / 3))
    assert bad.summary.right_scored_high is None
    assert bad.summary.mean_hf1 < bad.summary.mean_hf1_where_named
    low, high = bad.summary.mean_hf1_interval
    assert low <= bad.summary.mean_hf1 <= high


def test_a_run_survives_its_file(cases):
    run = score_given(cases, "good")
    assert BenchmarkRun.model_validate_json(run.model_dump_json()) == run


def test_a_column_that_is_not_there_is_named(cases):
    with pytest.raises(InputError, match="no column 'gpt' with answers"):
        score_given(cases, "gpt")


def test_without_a_mapped_gold_label_nothing_is_scored(cases):
    with pytest.raises(InputError, match="None of the cases has a gold label that is a term"):
        score_given(cases[3:], "good")
