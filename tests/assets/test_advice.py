"""Checks say what to do."""

import pytest

from assets.advice import _TO_DO, _WELL, advice
from cassia_dagster.definitions import build_defs


@pytest.mark.parametrize("check", sorted(_TO_DO))
def test_a_check_that_failed_says_more_than_one_that_passed(check):
    assert len(advice(check, passed=False)) > len(advice(check, passed=True)) > 20


def test_there_is_advice_for_checks_that_exist_only():
    nodes = build_defs().get_repository_def().assets_defs_by_key.values()
    assert set(_TO_DO) == set(_WELL) <= {check.name for node in nodes for check in node.check_specs}
