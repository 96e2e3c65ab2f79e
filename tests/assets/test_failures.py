"""Tests of failing a step for a reason that is the user's to mend."""

from __future__ import annotations

import dagster as dg
import pytest

from assets.failures import fatal_errors
from cassia_dagster.errors import CassiaError, ConfigurationError, InputError, ModelError


@pytest.mark.parametrize("kind", [CassiaError, ConfigurationError, InputError, ModelError])
def test_what_the_user_can_mend_fails_with_its_message_and_is_not_tried_again(kind: type[CassiaError]) -> None:
    with pytest.raises(dg.Failure) as failed, fatal_errors():
        raise kind("cells.h5ad has no matrix X. Store the raw counts in X.")
    assert failed.value.description == "cells.h5ad has no matrix X. Store the raw counts in X."
    assert failed.value.allow_retries is False
    assert isinstance(failed.value.__cause__, kind)


def test_a_defect_stays_what_it_is() -> None:
    with pytest.raises(KeyError, match="cluster"), fatal_errors():
        raise KeyError("cluster")


def test_a_step_that_fails_for_the_user_runs_once_though_it_has_a_retry_policy() -> None:
    tries = []

    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=2))
    def normalized_adata() -> None:
        tries.append(1)
        with fatal_errors():
            raise InputError("There is no file cells.h5ad.")

    result = dg.materialize([normalized_adata], raise_on_error=False)
    assert not result.success
    assert len(tries) == 1
