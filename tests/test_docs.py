"""The pages under docs/ and the README say what is so: columns, findings, and commands that parse."""

from __future__ import annotations

import csv
import re
import shlex
from pathlib import Path

import pytest
import typer.main

from cassia_dagster.cli import app
from cassia_dagster.records import Finding, Status, Unresolved
from resources.catalog import Catalog, DatasetEntry

PROJECT = Path(__file__).parents[1]
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
COMMANDS = [
    (page.name, line.strip().rstrip("&").strip())
    for page in PAGES
    for language, block in re.findall(r"^ *```(\w*)\n(.*?)^ *```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    if language in {"", "bash", "sh"}
    for line in block.replace("\\\n", " ").splitlines()
    if "cassia-dagster " in line.partition("#")[0]
]


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_a_command_that_is_shown_can_be_typed(page, line):
    words = shlex.split(line.partition("cassia-dagster ")[2], comments=True)
    command = typer.main.get_command(app)
    while words and hasattr(command, "get_command"):
        inner = command.get_command(None, words[0])
        assert inner is not None, f"{page}: there is no command {words[0]!r}"
        command, words = inner, words[1:]
    if not words:
        return
    command.make_context("shown", words)  # raises if an option does not exist, or a needed one is missing


def test_every_column_and_finding_is_explained(demo):
    page = (PROJECT / "docs" / "read-the-results.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"`([^`]+)`", page))
    folder = demo.output / "demo" / "leiden_res_0.4"
    columns = {name for file in folder.glob("*.csv") for name in csv.DictReader(file.open(encoding="utf-8")).fieldnames}
    # Written as a range: "`score_identity` … `score_alternatives`".
    assert columns - explained == {
        "CASSIA_merged_grouping_2",
        "score_specificity",
        "score_balance",
    }
    assert {*map(str, Finding), *map(str, Status), *map(str, Unresolved)} <= explained


def test_no_link_between_pages_is_dead():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_field_of_the_catalog_is_explained():
    page = (PROJECT / "docs" / "my-own-data.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", page.partition("## The catalog")[2], re.MULTILINE) == list(
        DatasetEntry.model_fields
    )


def test_the_catalog_that_is_shown_is_a_catalog(tmp_path):
    page = (PROJECT / "docs" / "my-own-data.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "datasets.yaml").write_text(shown)
    (entry,) = Catalog.read(tmp_path / "datasets.yaml").datasets
    assert entry.clusterings == ("0.4", "0.8", "given")
