"""Holds the cells that a process works on in memory, where it says so and there is room, so that they are read once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from cassia_dagster.singlecell.memory import memory_available

if TYPE_CHECKING:
    from cassia_dagster.singlecell.stored import StoredCells

_SHARE = 0.25
"""Of the memory that is free, what the cells may take."""


class _Content(NamedTuple):
    """Tells one file from the next: artifacts are never changed, another file takes their place."""

    device: int
    inode: int
    bytes: int
    written: int

    @classmethod
    def of(cls, state: os.stat_result) -> _Content:
        return cls(state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)


@dataclass(slots=True)
class _Held:
    """The cells that were asked for last."""

    content: _Content | None = None
    cells: StoredCells | None = None


_held: ContextVar[_Held | None] = ContextVar("held", default=None)


@contextmanager
def holding_cells() -> Iterator[None]:
    """Let the block hold the values of the file that it reads last.

    For a process that takes one dataset through all its stages: markers, second looks, reports and the annotated file
    of all resolutions ask for the same values. Who shares a machine with others, as a run that Dagster's daemon
    launches does, keeps no more in memory than a stage needs.
    """
    token = _held.set(_Held())
    try:
        yield
    finally:
        _held.reset(token)


def find_cells(state: os.stat_result) -> StoredCells | None:
    """Return the cells of the file with this state, if they are held."""
    held = _held.get()
    return held.cells if held and held.content == _Content.of(state) else None


def hold_cells(state: os.stat_result, n_bytes: int, read: Callable[[], StoredCells]) -> StoredCells | None:
    """Read the cells of the file with this state and hold them, if that is done here and there is room.

    Parameters
    ----------
    state
        Of the file that is read, however many take its place meanwhile.
    n_bytes
        That its values take.
    read
        Reads them.
    """
    held = _held.get()
    if held is None:
        return None
    held.content = held.cells = None  # those of another file make room first
    if n_bytes > _SHARE * memory_available():
        return None
    held.content, held.cells = _Content.of(state), read()
    return held.cells
