"""Which process takes which tests, and in which order."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePath
from typing import TYPE_CHECKING

from xdist.scheduler import LoadFileScheduling

if TYPE_CHECKING:
    import pytest

DEAREST = (
    "test_story_on_one_machine.py",
    "test_story_on_several_machines.py",
    "test_small_model.py",
    "test_celery_launcher.py",
    "test_cli.py",
    "test_interface.py",
    "test_analyses_in_the_interface.py",
    "test_marker_datasets.py",
    "test_on_change.py",
    "test_odd_files.py",
    "test_analyses.py",
    "test_subclusters.py",
    "test_pictures.py",
)
"""Files that take longest, some with one test. `test_cli` makes the demo; those that use it come when it is there."""

MAPS = {"test_cli.py", "test_embed.py", "test_neighbors.py", "test_tutorial.py"}
"""Files that lay cells out. No other import takes as long as that of UMAP, so one process takes them all."""


def longest_first(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, then those with most tests, so that no process waits at the end.

    Processes take files in this order. By the number of tests alone, as they would by themselves, the two longest
    were last, one after the other in the same process.
    """
    tests = Counter(item.path for item in items)
    first = {name: place for place, name in enumerate(DEAREST)}
    items.sort(key=lambda item: (first.get(item.path.name, len(first)), -tests[item.path], item.path))


class ByFile(LoadFileScheduling):
    """Gives each process a file at a time, and all those that lay cells out to the same one."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "maps" if PurePath(file).name in MAPS else file
