"""The command line: the demo end to end, plain errors, and a run that was killed."""

import collections
import hashlib
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import anndata
import dagster as dg
import numpy as np
import pandas as pd
import pytest

from cassia_dagster.launcher import HOST_TAG, PROCESS_TAG
from cassia_dagster.walk import end_dead_runs
from resources.catalog import Catalog, DatasetEntry
from tests.cut_off import cut_off, may_be_cut_off, needs_to_be_cut_off
from tests.terminal import typed

PROJECT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "cassia_dagster.cli"]


def run(*arguments, home: Path, timeout: float = 200):
    environment = os.environ | {"CASSIA_HOME": str(home), "COLUMNS": "120"}
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, env=environment, check=False
    )


def instance_of(home: Path) -> dg.DagsterInstance:
    return dg.DagsterInstance.from_config(str(home / "dagster"))


# --- the demo ----------------------------------------------------------------


def scored(demo, resolution: str) -> pd.DataFrame:
    return pd.read_csv(demo.output / "demo" / f"leiden_res_{resolution}" / "demo_scored.csv")


@pytest.mark.parametrize("resolution", ["0.4", "0.8"])
def test_every_cluster_of_the_demo_has_a_row(demo, resolution):
    clusters = pd.read_parquet(demo.home.artifacts / "leiden_clusters" / "demo" / f"{resolution}.parquet")
    rows = scored(demo, resolution)
    assert rows["cluster"].astype(str).tolist() == sorted(set(clusters["cluster"]), key=int)


@pytest.mark.parametrize("resolution", ["0.4", "0.8"])
def test_the_demo_agrees_with_the_published_labels(demo, resolution):
    from assets.results import Tables, assemble, compare
    from cassia_dagster.knowledge.ontology import Relation
    from cassia_dagster.singlecell.cluster import digest_cells
    from resources.storage import stored_cells, stored_table

    entry = Catalog.read(demo.home.catalog).entry("demo")
    files = {
        name: stored_table(demo.home.artifacts, name, "demo", resolution)
        for name in ("annotations", "scores", "boosted", "merged", "leiden_clusters")
    }
    labels = files.pop("leiden_clusters").read().set_index("cell_id")["cluster"]
    result = assemble(entry, resolution, digest_cells(labels), Tables(**files))
    known = stored_cells(demo.home.artifacts, "demo").read().obs["cell_type"]
    agreement = compare(entry, result, labels, known)
    share = agreement.cell_share
    right = {Relation.EXACT, Relation.FINER, Relation.COARSER}
    score = {row.cluster: row.boosted.score or 0.0 for row in result.clusters}
    assert sum(share[relation] for relation in right | {Relation.SAME_LINEAGE}) >= 0.8
    assert agreement.exact_or_finer >= 0.5
    assert share[Relation.UNRESOLVED] <= 0.1
    assert agreement.adjusted_rand_index >= 0.85
    assert not [
        row for row in agreement.clusters if row.relation is Relation.CONTRADICTION and score[row.cluster] >= 75
    ]
    rightly = [row for row in agreement.clusters if row.relation in right]
    assert sum(score[row.cluster] >= 75 for row in rightly) >= len(rightly) / 2


def test_the_notebooks_of_cassia_users_keep_working(demo, monkeypatch):
    (snippet,) = re.findall(r"```python\n(.*?)```", (PROJECT / "README.md").read_text(), re.DOTALL)
    adata = anndata.read_h5ad(demo.output / "demo" / "demo_annotated.h5ad")
    ours = adata.obs["CASSIA_annotation_res_0.4"].astype(str)
    del adata.obs["CASSIA_annotation"]
    monkeypatch.chdir(demo.output.parent)
    exec(snippet, {"pd": pd, "adata": adata})  # noqa: S102
    assert adata.obs["CASSIA_annotation"].notna().all()
    assert (adata.obs["CASSIA_annotation"].astype(str) == ours).all()


def test_the_demo_shows_progress_a_table_and_the_agreement(demo):
    for asset in ("normalized_adata", "umap", "leiden_clusters", "marker_table", "annotations", "report"):
        assert asset in demo.text
    assert "Agreement with cell_type" in demo.text
    assert str(demo.output / "demo" / "leiden_res_0.8" / "demo_report.html") in demo.text.replace("\n", "")


def test_the_demo_says_which_report_to_begin_with(demo):
    recommended = json.loads((demo.output / "demo" / "demo_review.json").read_text())["recommendation"]["resolution"]
    (line,) = [line for line in demo.text.splitlines() if "begin here" in line]
    assert f"leiden_res_{recommended}" in line


def test_lineage_knows_the_bytes_that_a_label_came_from(demo, islets_path):
    with instance_of(demo.home.root) as instance:
        key = dg.MultiPartitionKey({"dataset": "demo", "resolution": "0.4"})
        (event,) = instance.fetch_materializations(
            dg.AssetRecordsFilter(dg.AssetKey("annotations"), asset_partitions=[key]), limit=1
        ).records
        (seen,) = instance.fetch_materializations(dg.AssetKey("raw_adata"), limit=1).records
    file = seen.asset_materialization
    assert file.metadata["sha256"].value == hashlib.sha256(islets_path.read_bytes()).hexdigest()
    # Dagster hashes the versions of all partitions that a partition is made from: here, of one.
    version = hashlib.sha256(file.tags["dagster/data_version"].encode()).hexdigest()
    assert event.asset_materialization.tags["dagster/input_data_version/raw_adata"] == version


# --- plain errors ------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "nowhere.h5ad", "--tissue", "blood", "--species", "human"], "nowhere.h5ad"),
        (["run", "DATA", "--tissue", "blood", "--species", "cat"], "cat"),
        (["run", "DATA", "--tissue", "", "--species", "human"], "tissue"),
        (["run", "DATA", "--species", "human"], "the tissue is missing"),
        (["run", "DATA", "--tissue", "gut", "--species", "human", "--clusters", "leiden"], "it has: cell_type"),
        (["run", "DATA", "--tissue", "blood", "--species", "human", "--counts", "umi"], "layers/NAME"),
        (["inspect", "nowhere.csv"], "nowhere.csv"),
        (["datasets", "remove", "nothing"], "no dataset 'nothing'"),
        (["run", "DATA", "--tissue", "blood", "--species", "human", "--name", "../x"], "../x"),
        (["run", "DATA", "--tissue", "blood", "--species", "human", "--resolution", "high"], "high"),
        (["run", "DATA", "--tissue", "blood", "--species", "human", "--model", "gpt-5"], "gpt-5"),
    ],
)
def test_an_error_is_a_line_that_names_the_bad_thing(tmp_path, islets_path, arguments, said):
    words = [islets_path if word == "DATA" else word for word in arguments]
    result = typed(*words, CASSIA_HOME=tmp_path, COLUMNS=120)
    assert result.code == 1
    assert said in result.errors
    assert "Traceback" not in result.errors
    assert len(result.errors.strip().splitlines()) <= 3


@pytest.mark.parametrize("in_shell", [None, "from-shell"])
def test_settings_are_read_from_a_file_and_the_shell_goes_before_it(tmp_path, in_shell):
    (tmp_path / ".env").write_text(f"CASSIA_HOME={tmp_path / 'from-file'}\n")
    environment = {name: value for name, value in os.environ.items() if name != "CASSIA_HOME"}
    if in_shell:
        environment["CASSIA_HOME"] = str(tmp_path / in_shell)
    command = [*COMMAND, "run", "nowhere.h5ad", "--tissue", "blood", "--species", "human"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert (tmp_path / (in_shell or "from-file") / "dagster").is_dir()
    assert not (tmp_path / ".cassia").exists()
    (message,) = done.stderr.strip().splitlines()
    assert (done.returncode, "nowhere.h5ad" in message) == (1, True)


ADDED_AT_ONCE = """
import sys
from multiprocessing import get_context
from cassia_dagster.cli import app

def add(path):
    barrier.wait(60)
    app(["datasets", "add", path, *options], standalone_mode=False)

paths, options = sys.argv[1:5], sys.argv[5:]
at_once = get_context("fork")
barrier = at_once.Barrier(len(paths))
began = [at_once.Process(target=add, args=(path,)) for path in paths]
for process in began:
    process.start()
for process in began:
    process.join()
print([process.exitcode for process in began])
"""


def test_datasets_that_are_registered_at_once_are_all_in_the_catalog(tmp_path):
    paths = [tmp_path / f"cells{number}.h5ad" for number in range(4)]
    for path in paths:
        path.write_bytes(b"no HDF5")
    options = ["--no-check", "--tissue", "blood", "--species", "human", "--output", str(tmp_path)]
    environment = os.environ | {"CASSIA_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-c", ADDED_AT_ONCE, *paths, *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.splitlines()[-1:] == ["[0, 0, 0, 0]"], done.stderr
    assert len(Catalog.read(tmp_path / "home" / "datasets.yaml").datasets) == 4


def test_a_run_that_the_user_interface_repeats_is_not_taken_for_a_dead_one():
    with dg.instance_for_test() as instance:
        tags = {HOST_TAG: socket.gethostname(), PROCESS_TAG: "999999999@0"}
        dead = instance.create_run_for_job(prepare_cells(), status=dg.DagsterRunStatus.STARTED, tags=tags)
        repeated = instance.create_run_for_job(
            prepare_cells(),
            status=dg.DagsterRunStatus.STARTED,
            tags=tags,
            parent_run_id=dead.run_id,
            root_run_id=dead.run_id,
        )
        assert end_dead_runs(instance) == [dead.run_id]
        assert instance.get_run_by_id(repeated.run_id).status is dg.DagsterRunStatus.STARTED


def prepare_cells():
    from cassia_dagster.definitions import build_defs

    return build_defs().resolve_job_def("prepare_cells")


@pytest.mark.long
def test_an_error_within_dagster_is_as_plain_and_who_says_the_name_replaces_its_entry(tmp_path, islets_path):
    adata = anndata.read_h5ad(islets_path)
    adata.X = adata.X.toarray() - np.float32(1)
    adata.write_h5ad(tmp_path / "centred.h5ad")
    Catalog().with_entry(DatasetEntry(name="mine", path=islets_path, tissue="gut")).write(tmp_path / "datasets.yaml")
    result = run(
        "run",
        tmp_path / "centred.h5ad",
        "--name",
        "mine",
        "--tissue",
        "pancreas",
        "--species",
        "human",
        "--output",
        tmp_path,
        home=tmp_path,
    )
    assert result.returncode == 1
    assert "scaled or centred" in result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert Catalog.read(tmp_path / "datasets.yaml").entry("mine").path == tmp_path / "centred.h5ad"


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path, islets_path):
    options = ("--tissue", "pancreas", "--species", "human", "--labels", "celltype", "--output", tmp_path)
    result = typed("run", islets_path, *options, CASSIA_HOME=tmp_path)
    assert result.code == 1
    assert "'celltype'" in result.errors
    assert "cell_type" in result.errors


# --- a clustering of the user's own ------------------------------------------


@dataclass(frozen=True)
class Given:
    """Islets with columns of their own, annotated without Leiden."""

    cells: anndata.AnnData
    home: Path
    folder: Path
    text: str


@pytest.fixture(scope="module")
def given(tmp_path_factory, islets_path) -> Given:
    home = tmp_path_factory.mktemp("given")
    adata = anndata.read_h5ad(islets_path)[::2].copy()
    adata.obs["donor"] = ["d2"] * 400 + ["d1"] * 133
    adata.obs["organ"] = ["pancreas"] * 500 + ["duodenum"] * 33
    adata.write_h5ad(home / "own.h5ad")
    done = run(
        "run", home / "own.h5ad", "--species", "human", "--tissue-column", "organ", "--batch-key", "donor",
        "--clusters", "cell_type", "--labels", "cell_type", "--output", home / "output", home=home,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return Given(adata, home, home / "output" / "own", done.stdout)


@pytest.mark.long
def test_clusters_of_the_users_own_are_named_one_by_one_and_nothing_is_clustered(given):
    rows = pd.read_csv(given.folder / "given" / "own_scored.csv")
    assert sorted(rows["cluster"]) == sorted(given.cells.obs["cell_type"].unique())
    named = dict(zip(rows["cluster"], rows["celltype_1"], strict=True))
    assert named["beta"] == "type B pancreatic cell"
    assert {path.name for path in given.folder.iterdir()} == {
        "given",
        "own_annotated.h5ad",
        "own_cell_annotations.json",
        *(f"own_review.{kind}" for kind in ("html", "csv", "json")),
    }
    assert (given.folder / "given" / "own_report.html").exists()


@pytest.mark.long
def test_the_users_own_column_stays_and_the_names_stand_beside_it(given):
    obs = anndata.read_h5ad(given.folder / "own_annotated.h5ad").obs
    assert obs["cell_type"].tolist() == given.cells.obs["cell_type"].tolist()
    rows = pd.read_csv(given.folder / "given" / "own_scored.csv")
    named = dict(zip(rows["cluster"], rows["celltype_1"], strict=True))
    assert obs["CASSIA_annotation_given"].tolist() == [named[cluster] for cluster in obs["cell_type"]]
    assert obs["CASSIA_annotation"].tolist() == obs["CASSIA_annotation_given"].tolist()
    assert not [column for column in obs if column.startswith("leiden")]


@pytest.mark.long
def test_the_terminal_says_where_the_clusters_come_from(given):
    text = " ".join(given.text.split())
    assert "own human tissue by organ" in text
    assert "own, clusters given by cell_type" in text
    assert "clusters, given by cell_type" in text
    assert "the clusters are these labels themselves" in text
    assert "resolution" not in text
    assert "Couldn't load" not in text, "of resolutions that nobody asked for"


@pytest.mark.long
def test_batches_are_aligned_and_their_mixing_is_told(given):
    with instance_of(given.home) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("normalized_adata")).asset_materialization
    assert (event.metadata["batch_key"].value, event.metadata["batches"].value) == ("donor", 2)
    assert [record.data for record in event.metadata["cells_per_batch"].records] == [
        {"batch": "d2", "cells": 400},
        {"batch": "d1", "cells": 133},
    ]
    assert event.metadata["integration"].value.startswith("Harmony on the components")
    assert event.metadata["batch_lisi_after"].value >= 1


@pytest.mark.long
def test_each_cluster_knows_the_tissues_of_its_cells(given):
    from cassia_dagster.records import AnnotatedCluster
    from resources.storage import TableFile

    rows = TableFile(given.home / "artifacts" / "annotations" / "own" / "given.parquet").records(AnnotatedCluster)
    cells = given.cells.obs.groupby(["cell_type", "organ"], observed=True).size()
    counted = {(row.cluster, part.tissue): part.n_cells for row in rows for part in row.evidence.tissues}
    assert counted == cells.to_dict()
    assert set(pd.read_csv(given.folder / "given" / "own_scored.csv")["tissue"]) == {"pancreas"}


# --- killed, started again, and all that without a network -------------------


@dataclass(frozen=True)
class Repeated:
    """The demo in another empty home, killed while models were asked, and started again."""

    home: Path
    finished: int
    """Calls that were finished when it was killed."""
    again: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def repeated(tmp_path_factory) -> Repeated:
    home = tmp_path_factory.mktemp("repeated")
    command = [*COMMAND, "demo", "--output", str(home / "output")]
    if may_be_cut_off():
        command = cut_off(command)
    environment = os.environ | {"CASSIA_HOME": str(home)}
    killed = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 150
    while finished_calls(home / "models.sqlite") < 3:
        assert killed.poll() is None, "the demo ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    finished = finished_calls(home / "models.sqlite")
    with instance_of(home) as instance:
        assert [run.status for run in instance.get_runs() if not run.is_finished] == [dg.DagsterRunStatus.STARTED]
        # One place in the pool, so that one that a dead run keeps would stop the next for ever.
        instance.event_log_storage.set_concurrency_slots("llm", 1)
    again = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)
    return Repeated(home, finished, again)


def finished_calls(store: Path) -> int:
    if not store.exists():
        return 0
    try:
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=1) as connection:
            return connection.execute("SELECT count(*) FROM calls WHERE state = 'done'").fetchone()[0]
    except sqlite3.OperationalError:  # the table is being made
        return 0


@pytest.mark.long
def test_a_killed_demo_ends_well_when_it_is_started_again(repeated):
    assert repeated.again.returncode == 0, repeated.again.stderr
    assert "was killed before" in repeated.again.stdout
    assert (repeated.home / "output" / "demo" / "demo_annotated.h5ad").exists()


@pytest.mark.long
def test_no_finished_call_is_made_again_after_a_kill(repeated):
    with sqlite3.connect(repeated.home / "models.sqlite") as connection:
        rows = connection.execute("SELECT key, state FROM calls").fetchall()
    done = collections.Counter(key for key, state in rows if state == "done")
    assert set(done.values()) == {1}
    assert repeated.finished < len(done)
    assert "sent" not in {state for _, state in rows}


@pytest.mark.long
def test_a_killed_run_does_not_stay_started_nor_keep_its_place(repeated):
    with instance_of(repeated.home) as instance:
        statuses = collections.Counter(run.status for run in instance.get_runs())
        assert instance.event_log_storage.get_concurrency_info("llm").active_slot_count == 0
    assert set(statuses) == {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE}
    assert statuses[dg.DagsterRunStatus.FAILURE] == 1


@needs_to_be_cut_off
@pytest.mark.long
def test_the_demo_needs_no_network(repeated):
    assert repeated.again.returncode == 0, repeated.again.stderr


@pytest.mark.long
def test_the_same_input_gives_the_same_data_versions(demo, repeated):
    with instance_of(demo.home.root) as instance:
        first = data_versions(instance)
    with instance_of(repeated.home) as instance:
        again = data_versions(instance)
    assert len(first) == 22
    assert again == first


def data_versions(instance: dg.DagsterInstance) -> dict[str, str]:
    versions = {}
    for key in instance.all_asset_keys():
        for record in instance.fetch_materializations(key, limit=10).records:
            event = record.asset_materialization
            versions.setdefault(f"{key.to_user_string()} {event.partition}", event.tags["dagster/data_version"])
    return versions
