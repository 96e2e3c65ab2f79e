"""The command line in the process of the tests, for all that a process of its own would say nothing more about."""

from __future__ import annotations

import os
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from unittest.mock import patch

import pytest

from cassia_dagster.cli import main


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command left: its exit code, and what it printed."""

    code: int
    printed: str
    errors: str


def typed(*words: object, **environment: object) -> Outcome:
    """Type a command where we are, with more in the environment; what it changes of that is taken back."""
    printed, errors = StringIO(), StringIO()
    with (
        patch.dict(os.environ, {name: str(value) for name, value in environment.items()}),
        patch.object(sys, "argv", ["cassia-dagster", *map(str, words)]),
        warnings.catch_warnings(),
        redirect_stdout(printed),
        redirect_stderr(errors),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    return Outcome(int(ended.value.code or 0), printed.getvalue(), errors.getvalue())
