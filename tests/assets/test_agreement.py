"""Tests of the checks on the agreement with known labels: when they warn, when they stop, and what they say."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from assets.agreement import AGREES, agreement_checks, describe_agreement
from cassia_dagster.errors import CassiaError
from cassia_dagster.evaluation.agreement import Agreement, compare_with_gold
from cassia_dagster.walk import _reason

B_CELL, T_CELL, NEURON = "CL:0000236", "CL:0000084", "CL:0000540"
TERMS = {"B": B_CELL, "T": T_CELL}


def agreement(wrong: int, right: int, unmapped: int = 0) -> Agreement:
    """So many T cells called neurons, so many B cells called B cells, and cells whose label is no term."""
    clusters = ["0"] * wrong + ["1"] * right + ["2"] * unmapped
    gold = ["T"] * wrong + ["B"] * right + ["Granular_3"] * unmapped
    return compare_with_gold({"0": NEURON, "1": B_CELL, "2": B_CELL}, clusters, gold, TERMS)


@pytest.mark.parametrize(
    ("wrong", "passed", "severity"),
    [
        (0, True, dg.AssetCheckSeverity.WARN),
        (2, False, dg.AssetCheckSeverity.WARN),
        (3, False, dg.AssetCheckSeverity.ERROR),
    ],
)
def test_contradictions_warn_and_stop_beyond_the_share_that_is_allowed(
    wrong: int,
    passed: bool,  # noqa: FBT001
    severity: dg.AssetCheckSeverity,
) -> None:
    agrees, _ = agreement_checks({"cell_type": agreement(wrong, 10 - wrong)}, 0.2)
    assert (agrees.passed, agrees.severity) == (passed, severity)
    assert agrees.metadata["purity floor"].value == 0.5


def test_labels_that_are_no_terms_are_left_out_of_the_share_and_warned_of_by_name() -> None:
    agrees, covered = agreement_checks({"cell_type": agreement(1, 4, unmapped=5)}, 0.3)
    assert agrees.metadata["share of cells in them"].value == {"cell_type": 0.2}
    assert not covered.passed
    assert covered.metadata["coverage"].value == {"cell_type": 0.5}
    assert covered.metadata["labels without a term"].value == {"cell_type": ["Granular_3"]}


def test_without_known_labels_nothing_is_judged() -> None:
    assert all(check.passed for check in agreement_checks({}, 0.0))


def test_each_column_of_labels_has_numbers_and_tables_of_its_own() -> None:
    metadata = describe_agreement({"broad": agreement(1, 9), "fine": agreement(0, 4, unmapped=6)})
    for column in ("broad", "fine"):
        assert {"adjusted Rand index", "homogeneity", "clusters", "measures", "known labels by ours"} <= {
            name.removeprefix(f"{column}: ") for name in metadata if name.startswith(column)
        }
    by: Any = metadata["broad: measures"].records
    assert [record.data["by"] for record in by] == ["cluster", "cell", "type"]
    assert by[1].data["contradiction"] == "0.100"


def test_a_run_that_the_check_stops_says_what_is_wrong_and_what_to_do() -> None:
    @dg.asset(name="report", check_specs=[AGREES])
    def contradicted() -> dg.MaterializeResult:
        return dg.MaterializeResult(check_results=agreement_checks({"cell_type": agreement(5, 5)}, 0.2)[:1])

    @dg.asset(deps=["report"])
    def annotated_adata() -> None:
        raise AssertionError

    job = dg.Definitions([contradicted, annotated_adata]).resolve_implicit_global_asset_job_def()
    done = job.execute_in_process(raise_on_error=False)
    assert not any(event.is_step_start and event.step_key == "annotated_adata" for event in done.all_events)
    reason = _reason(done)
    assert isinstance(reason, CassiaError)
    assert "50% of the cells compared with cell_type (clusters 0)" in str(reason)
    assert "--max-contradiction allows more" in str(reason)
