"""The cases that ship with the project."""

from benchmarks.islets import CASES, N_MARKERS
from cassia_dagster.evaluation.cases import read_cases


def test_every_case_has_a_gold_term_and_markers():
    cases = read_cases(CASES)
    assert {case.gold_label for case in cases} >= {"alpha", "beta", "delta", "ductal", "acinar"}
    assert all(case.gold_id and 20 < len(case.evidence.markers) <= N_MARKERS for case in cases)


def test_the_cases_are_what_the_script_makes(islets):
    """Cheap here, where the islets are embedded for other tests anyway."""
    from benchmarks.islets import cases_of
    from cassia_dagster.singlecell.cluster import leiden
    from cassia_dagster.singlecell.markers import rank_markers

    labels = leiden(islets, 0.8).labels
    made = cases_of(islets, labels, rank_markers(islets, labels))
    assert made.to_csv(index=False, lineterminator="\n") == CASES.read_text("utf-8")
