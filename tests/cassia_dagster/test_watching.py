"""Tests of looking at files in short looks: large files, many files, files that cannot be read."""

from __future__ import annotations

import threading
import time

import pytest

from assets.raw_adata import raw_adata
from cassia_dagster import watching
from cassia_dagster.singlecell.load import fingerprint
from tests.automated import Project, skip_message


def test_a_file_that_takes_longer_than_a_look_is_read_over_several(project: Project, monkeypatch) -> None:
    read, begun = threading.Event(), []

    def slowly(path):
        begun.append(path)
        assert read.wait(60)
        return fingerprint(path)

    monkeypatch.setattr(watching, "fingerprint", slowly)
    monkeypatch.setattr(watching, "SECONDS_PER_TICK", 0.1)
    project.write(project.entry("large"))
    project.watch()
    began = time.monotonic()
    for _ in range(2):
        result = project.watch()
        assert not result.asset_events
        assert "is large and still being read" in skip_message(result)
    assert time.monotonic() - began < 30
    read.set()
    events = []
    while not events and time.monotonic() - began < 30:
        events = project.watch().asset_events
    assert [event.partition for event in events] == ["large"]
    assert len(begun) == 1


def test_every_dataset_has_its_turn_though_a_look_has_time_for_one(project: Project, monkeypatch) -> None:
    monkeypatch.setattr(watching, "SECONDS_PER_TICK", -1.0)
    monkeypatch.setattr(watching.Fingerprints, "take", lambda _, path, *__: fingerprint(path))
    project.write(*(project.entry(name) for name in ("one", "two", "three")))
    ticks = [
        [event.partition for event in project.watch().asset_events if event.asset_key == raw_adata.key]
        for _ in range(7)
    ]
    assert ticks == [[], [], [], ["one"], ["two"], ["three"], []]


def test_a_file_that_changes_while_it_is_read_is_read_anew(tmp_path) -> None:
    path, hashed = tmp_path / "cells.h5ad", watching.Fingerprints()
    path.write_bytes(b"first")
    assert hashed.take(path, "state 1", time.monotonic() + 30) == fingerprint(path)
    path.write_bytes(b"second")
    assert hashed.take(path, "state 2", time.monotonic() + 30) == fingerprint(path)


def test_a_file_that_cannot_be_read_is_an_error_and_can_be_read_later(tmp_path) -> None:
    path, hashed = tmp_path / "cells.h5ad", watching.Fingerprints()
    with pytest.raises(FileNotFoundError):
        hashed.take(path, "state", time.monotonic() + 30)
    path.write_bytes(b"there")
    assert hashed.take(path, "state", time.monotonic() + 30) == fingerprint(path)


def test_a_file_that_was_put_in_the_place_of_another_is_read_though_size_and_time_are_the_same(
    project: Project,
) -> None:
    import os

    entry = project.entry("islets")
    project.write(entry)
    project.settle()
    state = entry.path.stat()
    other = entry.path.with_suffix(".part")
    other.write_bytes(b"ISLETS")
    os.utime(other, ns=(state.st_atime_ns, state.st_mtime_ns))
    other.replace(entry.path)
    project.watch()
    assert len(project.watch().asset_events) == 1
