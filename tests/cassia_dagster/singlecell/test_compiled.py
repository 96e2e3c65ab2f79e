"""What a library compiles when it is imported is kept for the next process, and never taken for something else."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType

import numba
import pytest

from cassia_dagster.singlecell import compiled
from cassia_dagster.singlecell.compiled import keeping_compiled

LIBRARY = """
import numba

@numba.njit("f8(f8)", fastmath=True)
def signed(x):
    return x + 1

@numba.njit
def bare(x):
    return x + 2

def plain(x):
    return x + 3

one = numba.njit(plain)
other = numba.njit(plain, fastmath=True)

@numba.njit(cache=False)
def unkept(x):
    return x + 4
"""


def imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("library", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    with keeping_compiled(("numba",)):
        spec.loader.exec_module(module)
    return module


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "kept"))
    path = tmp_path / "library.py"
    path.write_text(LIBRARY, encoding="utf-8")
    return path


def test_what_was_compiled_once_is_found_the_next_time(library: Path) -> None:
    for hits in (0, 1):
        found = imported(library)
        assert (found.signed(1.0), found.bare(1.0), found.one(1.0)) == (2.0, 3.0, 4.0)
        for function in (found.signed, found.bare, found.one):
            assert sum(function.stats.cache_hits.values()) == hits


def test_what_an_older_version_compiled_is_not_found(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imported(library).bare(1.0)
    monkeypatch.setattr(compiled, "version", lambda _: "0.0.0")
    found = imported(library)
    assert found.bare(1.0) == 3.0
    assert not found.bare.stats.cache_hits


def test_of_two_ways_to_compile_one_function_the_second_is_not_kept(library: Path) -> None:
    found = imported(library)
    assert found.other(1.0) == 4.0
    assert found.one.stats.cache_path
    assert found.other.stats.cache_path is None


def test_a_library_that_wants_nothing_kept_has_nothing_kept(library: Path) -> None:
    assert imported(library).unkept.stats.cache_path is None


def test_afterwards_numba_is_as_it_was() -> None:
    njit, place = numba.njit, numba.config.CACHE_DIR
    with pytest.raises(ZeroDivisionError), keeping_compiled(("numba",)):
        1 / 0  # noqa: B018
    assert (numba.njit, numba.config.CACHE_DIR) == (njit, place)


def test_of_two_threads_one_waits_so_that_numba_is_as_it_was_after_both() -> None:
    njit = numba.njit
    within, may_end = {name: threading.Event() for name in "ab"}, {name: threading.Event() for name in "ab"}

    def stay(name: str) -> None:
        with keeping_compiled(("numba",)):
            within[name].set()
            may_end[name].wait(20)

    first, second = (threading.Thread(target=stay, args=(name,)) for name in "ab")
    first.start()
    assert within["a"].wait(20)
    second.start()
    assert not within["b"].wait(0.3)
    may_end["a"].set()
    first.join(20)
    may_end["b"].set()
    second.join(20)
    assert within["b"].is_set()
    assert numba.njit is njit


OF_THE_LAYOUT = """
import numpy as np
from anndata import AnnData
from cassia_dagster.singlecell.embed import connect, umap_coordinates

points = np.random.default_rng(0).normal(size=(60, 5))
umap_coordinates(connect(AnnData(obsm={"X_pca": points.astype(np.float32)})))

from umap import layouts
print(layouts._nb_optimize_layout_euclidean_single_epoch.stats.cache_path)
"""


def test_the_layout_takes_what_is_kept() -> None:
    run = subprocess.run([sys.executable, "-c", OF_THE_LAYOUT], capture_output=True, text=True, check=True)
    assert run.stdout.strip() not in {"", "None"}
