"""Promises of the project as a whole: what is installed is ours, and nothing names a place that it should not."""

import collections
import re
import subprocess
import tomllib
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.order import DEAREST, MAPS

PROJECT = Path(__file__).parent.parent


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=False, timeout=60)
    if listed.returncode:
        pytest.skip("this copy is no git checkout")
    return [PROJECT / line for line in listed.stdout.splitlines() if (PROJECT / line).is_file()]


@pytest.mark.parametrize("package", ["cassia_dagster", "assets", "resources"])
def test_the_imported_package_is_ours(package):
    assert Path(find_spec(package).origin).parent == PROJECT / package


def test_no_trojan_of_litellm_is_installed():
    site = Path(find_spec("litellm").origin).parent.parent
    for name in ("cook.pth", "litellm_init.pth", "sitecustomize.py"):
        assert not (site / name).exists()


def test_no_file_names_a_host_of_packages():
    hosts = re.compile(rb"files\.pythonhosted\.org|pypi\.org/simple|registry\.npmjs\.org|deb\.debian\.org")
    naming = [path for path in tracked_files() if path != Path(__file__) and hosts.search(path.read_bytes())]
    assert naming == []


def locked_versions() -> dict[str, set[str]]:
    """Name to versions; a package may have one for each Python."""
    versions = collections.defaultdict(set)
    for name, version in re.findall(
        r"^([A-Za-z0-9._-]+)==([^ ;\\\n]+)", (PROJECT / "requirements.lock").read_text(), re.MULTILINE
    ):
        versions[canonicalize_name(name)].add(version)
    return versions


def asked_for() -> list[Requirement]:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    return [Requirement(line) for line in (*project["project"]["dependencies"], *project["dependency-groups"]["dev"])]


def extras() -> list[Requirement]:
    """What only some need, and a developer may not have installed."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    return [Requirement(line) for lines in project["optional-dependencies"].values() for line in lines]


@pytest.mark.parametrize("requirement", extras(), ids=lambda requirement: requirement.name)
def test_the_lock_holds_the_extras(requirement):
    locked = locked_versions()[canonicalize_name(requirement.name)]
    assert locked
    assert all(requirement.specifier.contains(version) for version in locked)


@pytest.mark.parametrize("requirement", asked_for(), ids=lambda requirement: requirement.name)
def test_the_lock_holds_what_is_asked_for(requirement):
    locked = locked_versions()[canonicalize_name(requirement.name)]
    assert locked, (
        f"{requirement.name} is missing from requirements.lock; docs/dependencies.md says how to make it anew"
    )
    assert all(requirement.specifier.contains(version) for version in locked)
    assert requirement.specifier.contains(metadata.version(requirement.name))


def test_every_package_of_the_lock_has_a_hash():
    entries = re.split(r"\n(?=[A-Za-z0-9])", (PROJECT / "requirements.lock").read_text())
    without = [
        entry.splitlines()[0] for entry in entries if re.match(r"[A-Za-z0-9._-]+==", entry) and "--hash" not in entry
    ]
    assert without == []


def test_every_dependency_has_a_line_that_says_what_it_is_for():
    page = (PROJECT / "docs" / "dependencies.md").read_text()
    assert [wanted.name for wanted in asked_for() + extras() if f"`{wanted.name}`" not in page] == []


def test_what_is_tested_first_is_there():
    there = {path.name for path in (PROJECT / "tests").rglob("test_*.py")}
    assert [name for name in (*DEAREST, *MAPS) if name not in there] == []
