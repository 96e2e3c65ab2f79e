"""In which order processes take the files of tests."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

DEAREST = (
    "test_story_on_one_machine.py",
    "test_story_on_several_machines.py",
    "test_small_model.py",
    "test_celery_launcher.py",
    "test_cli.py",
    "test_marker_datasets.py",
    "test_interface.py",
    "test_analyses_in_the_interface.py",
    "test_pictures.py",
    "test_docs.py",
)
"""Files that take a minute and more, some with one test; the longest first."""


def longest_first(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, then those with most tests, so that no process waits at the end.

    Processes take files in this order. By the number of tests alone, as they would by themselves, the two longest
    were last, one after the other in the same process.
    """
    tests = Counter(item.path for item in items)
    first = {name: place for place, name in enumerate(DEAREST)}
    items.sort(key=lambda item: (first.get(item.path.name, len(first)), -tests[item.path], item.path))
