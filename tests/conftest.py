"""What all tests share: a home of their own, the islets that come with the package, and one run of the demo."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from resources.home import Home
from tests.order import ByFile, longest_first
from tests.servers.aimock import aimock, aimock_server
from tests.servers.moto import bucket, s3_server
from tests.servers.postgres import postgres, postgres_server
from tests.servers.redis import redis_server

__all__ = ["aimock", "aimock_server", "bucket", "postgres", "postgres_server", "redis_server", "s3_server"]

pytest.register_assert_rewrite("tests.automated", "tests.installation", "tests.story")

# The assets read the catalog when they are imported, so no test may begin in the home of whoever runs it.
_HOME = tempfile.TemporaryDirectory(prefix="cassia-tests-")
atexit.register(_HOME.cleanup)
os.environ["CASSIA_HOME"] = _HOME.name
os.environ.pop("DAGSTER_HOME", None)

# Nor may a test ask the models that whoever runs it has chosen, and pay for them.
for _name in [name for name in os.environ if name.startswith("CASSIA_") and name.endswith(("_MODEL", "_PROVIDER"))]:
    del os.environ[_name]

# The processes that share the tests have a core each: more threads would only wait for each other.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from anndata import AnnData
    from xdist.remote import Producer

    from tests.automated import Finished, Project


@pytest.hookimpl(trylast=True)  # after those that are not wanted are taken out, or they would count
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the processes that share the tests take the files that last longest first."""
    longest_first(items)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile | None:
    """Say which process takes what, unless somebody has said it otherwise."""
    return ByFile(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session", autouse=True)
def migrations_are_read_once() -> Iterator[None]:
    """Let Alembic read Dagster's ninety migrations once, not for each of the hundreds of databases that tests make."""
    from alembic.script import ScriptDirectory

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptDirectory, "from_config", cache(ScriptDirectory.from_config))
        yield


@dataclass(frozen=True, slots=True)
class Demo:
    """What `cassia-dagster demo` left behind."""

    home: Home
    output: Path
    text: str
    """What it printed."""


@pytest.fixture(scope="session")
def islets_path() -> Iterator[Path]:
    """The counts of 1,065 cells of human pancreatic islets, with published cell types."""
    with as_file(files("cassia_dagster") / "data" / "islets.h5ad") as path:
        yield path


@pytest.fixture(scope="session")
def gene_ids() -> dict[str, str]:
    """Human gene symbol to its Ensembl id."""
    from cassia_dagster.knowledge.tables import read_rows

    rows = [(symbol, f"ENSG{int(number):011}") for number, symbol in read_rows("genes_human.tsv.gz")]
    return dict(reversed(rows))


@pytest.fixture(scope="session")
def islets(islets_path: Path) -> AnnData:
    """The islets, normalised and embedded; shared by all tests, so none may change it."""
    from cassia_dagster.singlecell.embed import embed
    from cassia_dagster.singlecell.load import load_counts
    from cassia_dagster.singlecell.normalize import normalize

    return embed(normalize(load_counts(islets_path)))


@pytest.fixture(scope="session")
def islets_labels(islets: AnnData) -> pd.Series:
    """The islets' clusters at resolution 0.4."""
    from cassia_dagster.singlecell.cluster import leiden

    return leiden(islets, 0.4).labels


@pytest.fixture(scope="session")
def islets_markers(islets: AnnData, islets_labels: pd.Series) -> pd.DataFrame:
    """The markers of these clusters."""
    from cassia_dagster.singlecell.markers import rank_markers

    return rank_markers(islets, islets_labels)


@pytest.fixture(scope="module")
def uncompiled_weights() -> Iterator[None]:
    """Let UMAP weigh the edges of Scanpy's graphs in plain Python: compiling that takes longer than all the rest."""
    from umap import umap_

    with pytest.MonkeyPatch.context() as patch:
        for name in ("smooth_knn_dist", "compute_membership_strengths"):
            patch.setattr(umap_, name, getattr(umap_, name).py_func)
        yield


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The demo, typed outside the project's folder: once for all processes that share the tests, a copy for each."""
    from tests.terminal import typed

    folder, own = tmp_path_factory.getbasetemp(), tmp_path_factory.mktemp("demo")
    made = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "demo"
    with FileLock(f"{made}.lock", timeout=900):
        if not (made / "said").exists():
            made.mkdir(exist_ok=True)
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(made)
                where = ("--home", made / "home", "--output", made / "output")
                done = typed("demo", *where, COLUMNS=1000)  # so that no path is broken in two
            assert done.code == 0, f"{done.printed}\n{done.errors}"
            (made / "said").write_text(done.printed)
    shutil.copytree(made, own, dirs_exist_ok=True)
    home = Home(own / "home")
    for file in (own / "said", home.catalog):  # which say where the results are
        file.write_text(file.read_text().replace(str(made), str(own)))
    return Demo(home, own / "output", (own / "said").read_text())


@pytest.fixture(scope="session")
def evaluation_data() -> Path:
    """The folder of published data sets that are not ours to ship."""
    folder = os.environ.get("CASSIA_EVALUATION_DATA")
    if not folder:
        pytest.skip("CASSIA_EVALUATION_DATA does not name the folder of evaluation data")
    return Path(folder)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project with automation switched on, and an empty catalog."""
    import dagster as dg

    from tests.automated import Project

    with dg.DagsterInstance.ephemeral() as instance:
        yield Project(tmp_path, instance)


@pytest.fixture(scope="session")
def finished_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    """A project in which all of one dataset was made, for all tests that begin with one."""
    import dagster as dg

    from tests.automated import Finished

    with dg.DagsterInstance.ephemeral() as instance:
        yield Finished.made_in(tmp_path_factory.mktemp("finished"), instance)


@pytest.fixture
def finished(finished_once: Finished) -> Iterator[Project]:
    """A project in which all of one dataset was made, and nothing is left to do."""
    with finished_once.again() as project:
        yield project
