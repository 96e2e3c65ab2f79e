"""What the doctor sees, and what it must never show."""

import socket

import pytest
from typer.testing import CliRunner

from cassia_dagster.cli import app
from cassia_dagster.errors import ConfigurationError
from resources.catalog import Catalog, DatasetEntry
from resources.home import Home

CREDENTIAL = "sk-very-private-0123456789"


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


@pytest.fixture
def doctor(home, monkeypatch):
    def refuse(*_):
        raise AssertionError("the doctor contacted somebody unasked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    return lambda *words: CliRunner(env={"COLUMNS": "200"}).invoke(app, ["doctor", "--home", str(home.root), *words])


def test_a_fresh_machine_is_well(doctor, home):
    done = doctor()
    assert done.exit_code == 0, done.output
    assert "embedded for all roles: no key, no network, no cost" in done.output
    assert "All is well" in done.output
    assert not home.root.exists()


def test_a_key_that_is_missing_is_named_and_one_that_is_there_is_not_shown(doctor, monkeypatch):
    monkeypatch.setenv("CASSIA_MODEL", "openai/gpt-4o")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    missing = doctor()
    assert isinstance(missing.exception, ConfigurationError)
    assert "OPENAI_API_KEY is not set" in missing.output
    monkeypatch.setenv("OPENAI_API_KEY", CREDENTIAL)
    there = doctor()
    assert there.exit_code == 0, there.output
    assert "openai/gpt-4o for all roles; what it needs is set" in there.output
    assert CREDENTIAL not in missing.output + there.output


def test_what_is_wrong_with_the_project_is_told_with_the_way_out(doctor, home):
    entry = DatasetEntry(name="lost", path=home.root / "gone.h5ad", tissue="blood")
    home.root.mkdir()
    Catalog().with_entry(entry).write(home.catalog)
    home.manual_labels.write_text("words")
    ill = doctor()
    assert isinstance(ill.exception, ConfigurationError)
    assert "gone.h5ad. Put it back, or change its path." in ill.output
    assert "must be a list of rows" in ill.output
    assert str(ill.exception).startswith("2 of these")


def test_the_embedded_model_needs_no_asking(doctor):
    assert doctor("--ask").exit_code == 0
