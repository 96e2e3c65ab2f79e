"""The figures of the documentation."""

import pytest

from benchmarks.bars import table_of_bars
from benchmarks.page import PAGE
from benchmarks.published import (
    PUBLISHED,
    bars_of_runs,
    measure_marker_tables,
    table_of_calibration,
    table_of_runs,
    table_of_scores,
)
from cassia_dagster.evaluation import without_gold


@pytest.fixture(scope="module")
def measured(evaluation_data):
    return measure_marker_tables(evaluation_data)


def test_the_offline_answers_keep_their_bars(measured):
    """mean hF1 ≥ 0.85 on CASSIA's clusters, ≥ 0.80 on the tables, contradictions ≤ 5 %, coverage ≥ 90 %."""
    rows = measured.runs
    ours = [run.summary for _, run in rows if run.title == "embedded"]
    assert len(ours) == 4
    assert ours[0].mean_hf1 >= 0.85
    assert all(one.mean_hf1 >= 0.80 for one in ours[1:])
    assert all(one.contradiction <= 0.05 and one.coverage >= 0.90 for one in ours)
    assert all(one.right_scored_high >= 0.5 for one in ours)
    assert all(bar.met for bar in bars_of_runs(rows))


def test_published_answers_stand_beside_ours_on_the_same_clusters(measured):
    rows, calibration = measured.runs, measured.by_standing
    theirs = [run for _, run in rows if run.title in PUBLISHED]
    assert {run.summary.n for run in theirs} == {rows[0][1].summary.n}
    assert sum(row.n for row in calibration) == sum(run.summary.n for run in theirs)


def test_every_run_and_standing_has_a_line(measured):
    rows, calibration = measured.runs, measured.by_standing
    assert len(table_of_runs(rows).splitlines()) == len(rows) + 2
    assert len(table_of_calibration(calibration).splitlines()) == len(calibration) + 2


def test_the_page_and_the_calibration_show_what_is_measured(measured):
    """If not, what is measured has changed: ``python -m benchmarks.published --keep-cells`` writes both anew."""
    rows, calibration = measured.runs, measured.by_standing
    page = PAGE.read_text("utf-8")
    assert table_of_runs(rows) in page
    assert table_of_bars(bars_of_runs(rows)) in page
    assert table_of_calibration(calibration) in page
    assert table_of_scores(measured.by_score) in page
    assert [(row.at_least, row.n, row.right) for row in measured.by_score] == [
        (row.at_least, row.n, row.right) for row in without_gold.calibration_of_scores()
    ]
    assert {row.standing: (row.n, row.right) for row in calibration} == {
        row.standing: (row.n, row.right) for row in without_gold.calibration().values()
    }
