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
