"""Two sets of answers, case by case."""

import pytest

from cassia_dagster.errors import InputError
from cassia_dagster.evaluation.benchmark import score_given
from cassia_dagster.evaluation.comparison import Change, compare_runs


def test_changes_are_told_by_what_they_are_and_what_they_gain(cases):
    compared = compare_runs(score_given(cases, "bad"), score_given(cases, "good"))
    assert [one.change for one in compared.changes] == [Change.CONTRADICTION, Change.GAINED, Change.SAME, Change.SAME]
    assert (compared.better, compared.worse) == (2, 0)
    assert compared.changes[1].gain == 1
    assert compared.changes[3].gain is None
    assert compared.counts[Change.SAME] == 2
    low, high = compared.mean_gain_interval
    assert low <= compared.mean_gain <= high


def test_the_other_way_round_what_was_gained_is_lost(cases):
    compared = compare_runs(score_given(cases, "good"), score_given(cases, "bad"))
    assert compared.changes[1].change is Change.LOST
    assert (compared.better, compared.worse) == (0, 2)
    assert compared.mean_gain < 0


def test_a_run_differs_from_itself_in_nothing(cases):
    run = score_given(cases, "good")
    compared = compare_runs(run, run)
    assert compared.counts[Change.SAME] == len(cases)
    assert compared.mean_gain_interval == (0, 0)


def test_answers_to_other_cases_cannot_be_compared(cases):
    with pytest.raises(InputError, match="answers to different cases: '1'"):
        compare_runs(score_given(cases, "good"), score_given(cases[1:], "good"))
