"""What `--help` shows to people who do not program."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from cassia_dagster.cli import app
from cassia_dagster.commands.help_pages import HEADINGS

WHOLE: Any = typer.main.get_command(app)


def paths(group: Any, *before: str) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from paths(command, *before, name)
        else:
            yield *before, name


def help_of(*words: str) -> str:
    done = CliRunner().invoke(app, [*words, "--help"])
    assert done.exit_code == 0, done.output
    return done.output


def test_every_command_stands_under_a_heading_with_its_whole_sentence() -> None:
    said = help_of()
    assert [line.strip(" :") for line in said.splitlines() if line.strip(" :") in HEADINGS] == list(HEADINGS)
    assert {command.rich_help_panel for command in WHOLE.commands.values()} == set(HEADINGS)
    assert "..." not in said.partition(HEADINGS[0])[2]


@pytest.mark.parametrize("words", paths(WHOLE), ids=" ".join)
def test_what_an_option_takes_is_said_without_types_of_python(words: tuple[str, ...]) -> None:
    options = help_of(*words).partition("Options:")[2]
    assert " <" not in options


def test_an_option_says_what_it_takes() -> None:
    said = help_of("run")
    assert "--resolution TEXT" in said
    assert "--max-usd NUMBER" in said
    assert "--kind cells|markers" in said
    assert "--label-terms PATH" in said
