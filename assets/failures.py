"""Turns trouble that is the user's to mend into a failed step that says so, and is not tried again."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from cassia_dagster.errors import CassiaError


@contextmanager
def fatal_errors() -> Iterator[None]:
    """Fail the step with the error's message: a second try would meet the same file and the same key."""
    try:
        yield
    except CassiaError as error:
        raise dg.Failure(str(error), allow_retries=False) from error


@contextmanager
def failed_check(context: dg.AssetExecutionContext, name: str) -> Iterator[None]:
    """Have a check of the asset's partition say what is wrong, where the user can mend it; the error goes on.

    A step that fails makes no result that a check could come with, and lists show checks where they show no errors.
    """
    try:
        yield
    except CassiaError as error:
        context.instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=context.asset_key,
                check_name=name,
                passed=False,
                partition=context.partition_key,
                metadata={"trouble": dg.MetadataValue.text(str(error))},
            )
        )
        raise
