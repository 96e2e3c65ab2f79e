"""What the doctor sees, and what it must never show."""

import socket
from contextlib import closing

import dagster as dg
import pytest
from typer.testing import CliRunner

from cassia_dagster.cli import app
from cassia_dagster.commands import doctor as doctor_command
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
    monkeypatch.delenv("DAGSTER_HOME", raising=False)  # which commands set that other tests call
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


@pytest.fixture
def instance(home, monkeypatch):
    """The folder of an instance, where the model is a lab's own."""
    home.dagster.mkdir(parents=True)
    (home.dagster / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    monkeypatch.setenv("CASSIA_MODEL", "lab/lab-1")
    monkeypatch.setenv("CASSIA_API_BASE", "http://127.0.0.1:9/v1")
    return home.dagster


def limit(instance, **limits):
    with dg.DagsterInstance.from_config(str(instance)) as opened:
        for pool, number in limits.items():
            opened.event_log_storage.set_concurrency_slots(pool.replace("_", "-"), number)


def test_a_limit_on_a_pool_that_no_step_uses_any_more_is_told(doctor, instance):
    limit(instance, matrix=1, llm=3, gpu=1)
    told = doctor().output
    assert "3 steps at once in the pool llm, which no step uses" in told
    assert "`dagster instance concurrency set llm-lab 3`" in told
    assert "gpu" not in told, "a pool of somebody else's"
    limit(instance, llm_lab=2)
    assert "in the pool" not in doctor().output


def test_the_limits_are_those_of_the_instance_that_the_environment_names(doctor, instance, monkeypatch, tmp_path):
    other = tmp_path / "other"
    monkeypatch.setenv("DAGSTER_HOME", str(other))
    limit(instance, llm=3)
    assert "in the pool llm, which no step uses" in doctor().output, "there is none where the environment says"
    other.mkdir()
    (other / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    assert "in the pool" not in doctor().output


def test_a_storage_that_cannot_be_read_is_told_and_ends_nothing(doctor, instance):
    limit(instance, llm=3)
    (damaged,) = instance.rglob("index.db")
    damaged.write_bytes(b"no database" * 1000)
    ill = doctor()
    assert isinstance(ill.exception, ConfigurationError)
    assert f"the pools of the instance in {instance} cannot be looked at" in ill.output
    assert "file is not a database" in ill.output


def test_where_there_is_no_instance_none_is_made(doctor, home):
    home.dagster.mkdir(parents=True)
    assert doctor().exit_code == 0
    assert not list(home.dagster.iterdir())


def test_an_instance_that_was_never_started_stays_as_it_is(doctor, instance):
    assert "in the pool" not in doctor().output
    assert [path.name for path in instance.rglob("*")] == ["dagster.yaml"]


@pytest.mark.parametrize("said", ["", "storage: {sqlite: {base_dir: {env: RUNS_OF_THE_LAB}}}\n"])
def test_what_an_instance_holds_is_read_and_not_changed(doctor, instance, said, monkeypatch):
    monkeypatch.setenv("RUNS_OF_THE_LAB", str(instance / "runs"))
    (instance / "dagster.yaml").write_text(f"telemetry: {{enabled: false}}\n{said}")
    limit(instance, llm=3)
    for made in ("runs.db", "schedules.db"):
        next(instance.rglob(made)).unlink()
    before = {path: path.is_file() and path.read_bytes() for path in instance.rglob("*")}
    assert "in the pool llm, which no step uses" in doctor().output
    assert {path: path.is_file() and path.read_bytes() for path in instance.rglob("*")} == before


def test_a_database_that_dagster_never_used_gets_no_tables(doctor, instance, postgres):
    import psycopg2

    (instance / "dagster.yaml").write_text(f"storage: {{postgres: {{postgres_url: '{postgres}'}}}}\n")
    said = doctor().output
    with closing(psycopg2.connect(postgres)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        assert cursor.fetchone() == (0,), said
    assert "limit" not in said
    limit(instance, llm=3)
    assert "3 steps at once in the pool llm, which no step uses" in doctor().output


@pytest.mark.long
def test_a_database_that_never_answers_is_not_waited_for_without_end(doctor, instance, monkeypatch):
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "")  # which the test's end gives back
    monkeypatch.delenv("PGCONNECT_TIMEOUT")
    monkeypatch.setattr(doctor_command, "PATIENCE", 2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"postgresql://cassia@127.0.0.1:{mute.getsockname()[1]}/dagster"
        (instance / "dagster.yaml").write_text(f"storage: {{postgres: {{postgres_url: '{address}'}}}}\n")
        said = doctor().output
    assert "cannot be looked at" in said
    assert "timeout expired" in said


def test_the_embedded_model_needs_no_asking(doctor):
    assert doctor("--ask").exit_code == 0
