"""The door to the benchmarks: what it offers is there, and has a place on the page."""

import importlib.util
import re

import pytest
import typer.main
from typer.testing import CliRunner

from benchmarks.__main__ import PERFORMANCE, SCRIPTS, app
from benchmarks.page import PROJECT, put

WRITES = ("speed", "equality", "quality", "leiden", "capped", "overhead")


def test_every_command_is_there_and_says_what_it_is_for():
    commands = typer.main.get_command(app).commands
    assert set(commands) == {"generate", *WRITES, *(module.replace("_", "-") for module in SCRIPTS)}
    assert all(command.help for command in commands.values())
    assert all(importlib.util.find_spec(f"benchmarks.{module}") for module in SCRIPTS)


@pytest.mark.parametrize("module", SCRIPTS)
def test_who_asks_a_script_for_help_starts_nothing(module, monkeypatch):
    started = []
    monkeypatch.setattr("runpy.run_module", lambda name, **_: started.append(name))
    shown = CliRunner().invoke(app, [module.replace("_", "-"), "--help"])
    assert shown.exit_code == 0
    parses = "argparse" in (PROJECT / "benchmarks" / f"{module}.py").read_text("utf-8")
    assert started == ([f"benchmarks.{module}"] if parses else [])
    assert parses or len(shown.output) > 20


def test_every_table_has_a_place_on_the_page_and_every_command_of_the_page_can_be_typed():
    page, command = PERFORMANCE.read_text("utf-8"), typer.main.get_command(app)
    for block in WRITES:
        assert "figures" in put(page, block, "figures")
    for line in re.findall(r"^uv run python -m benchmarks (\w.*?)\s*$", page, re.MULTILINE):
        name, *words = line.split()
        command.commands[name].make_context(name, words)  # raises if an option does not exist


@pytest.mark.parametrize("words", [[], ["soon"]])
def test_who_names_no_measurement_of_the_door_is_told_which_there_are(words):
    shown = CliRunner().invoke(app, ["model-door", *words])
    assert isinstance(shown.exception, SystemExit)
    assert all(f"model-door {name} " in str(shown.exception) for name in ("latency", "quota", "unknown", "kill"))
