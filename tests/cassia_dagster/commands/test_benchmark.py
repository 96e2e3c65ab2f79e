"""The command `benchmark`."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from cassia_dagster.cli import app
from cassia_dagster.errors import InputError
from tests.cassia_dagster.evaluation.conftest import CASES


@pytest.fixture
def run(tmp_path):
    """Run the command on a few cases, in a home of their own."""
    path = tmp_path / "few.csv"
    path.write_text(CASES)

    def run(*options: str):
        folders = ["--output", str(tmp_path), "--home", str(tmp_path / "home")]
        return CliRunner().invoke(app, ["benchmark", str(path), *folders, *options])

    return run


def test_figures_are_printed_and_written(run, tmp_path):
    done = run()
    assert done.exit_code == 0
    assert "3 of 4" in done.output
    figures = json.loads((tmp_path / "few_embedded.json").read_text())
    assert set(figures["summary"]) >= {"mean_hf1", "exact", "contradiction", "coverage", "n"}
    assert set(figures) >= {"usd", "seconds", "answers"}
    table = pd.read_csv(tmp_path / "few_embedded.csv")
    assert table["relation"].tolist()[:2] == ["exact", "exact"]


def test_an_earlier_run_and_given_answers_are_compared_case_by_case(run, tmp_path):
    assert run().exit_code == 0
    done = run("--against", str(tmp_path / "few_embedded.json"), "--given", "bad", "--given", "good")
    assert done.exit_code == 0
    assert "bad against embedded" in done.output
    compared = json.loads((tmp_path / "few_embedded_against_bad.json").read_text())
    assert compared["counts"]["contradiction"] == 2
    assert (compared["better"], compared["worse"]) == (0, 2)
    assert (tmp_path / "few_embedded_against_good.json").exists()


def test_a_file_that_is_no_earlier_run_is_refused(run, tmp_path):
    (tmp_path / "other.json").write_text("{}")
    for name, message in (("other.json", "is no result of"), ("nowhere.json", "cannot be read")):
        error = run("--against", str(tmp_path / name)).exception
        assert isinstance(error, InputError)
        assert message in str(error)


def test_answers_that_a_spreadsheet_would_run_are_written_inert(run, tmp_path):
    path = tmp_path / "few.csv"
    path.write_text(CASES.replace("naive B cells", "=cmd()"))
    assert run("--given", "good").exit_code == 0
    assert pd.read_csv(tmp_path / "few_good.csv")["label"][0] == "'=cmd()"


def test_what_a_run_is_compared_with_stays_what_it_was(run, tmp_path):
    run()
    before = (tmp_path / "few_embedded.json").read_bytes()
    assert run("--against", str(tmp_path / "few_embedded.json")).exit_code == 0
    assert (tmp_path / "few_embedded.json").read_bytes() == before
    assert (tmp_path / "few_embedded_again.json").exists()


def test_strategies_are_compared_like_models(run, tmp_path):
    assert run("--strategy", "validated", "--strategy", "fused").exit_code == 0
    compared = json.loads((tmp_path / "few_embedded_against_embedded_fused.json").read_text())
    assert (compared["first"], compared["second"]) == ("embedded", "embedded fused")
