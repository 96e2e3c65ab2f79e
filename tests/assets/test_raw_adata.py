"""Tests of observing the user's file: where lineage begins."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import dagster as dg
import pytest

from assets.raw_adata import observe, same_file
from cassia_dagster.errors import InputError
from cassia_dagster.singlecell.load import fingerprint, settled_state
from resources.catalog import DatasetEntry


@pytest.fixture
def entry(tmp_path: Path) -> DatasetEntry:
    path = tmp_path / "cells.h5ad"
    path.write_bytes(b"counts")
    return DatasetEntry(name="islets", path=path, tissue="pancreas", context="donor 1")


def described(entry: DatasetEntry, **said: object) -> DatasetEntry:
    return DatasetEntry.model_validate(entry.model_dump() | said)


def version(entry: DatasetEntry) -> str:
    return observe(entry).tags["dagster/data_version"]


def test_an_observation_is_of_one_dataset_and_says_what_was_seen(entry: DatasetEntry) -> None:
    observation = observe(entry)
    assert observation.asset_key.to_user_string() == "raw_adata"
    assert observation.partition == "islets"
    shown = {name: value.value for name, value in observation.metadata.items() if name != "state"}
    assert shown == {
        "path": str(entry.path),
        "sha256": hashlib.sha256(b"counts").hexdigest(),
        "bytes": 6,
        "species": "human",
        "tissue": "pancreas",
        "clusterings": {key: f"resolution {key}" for key in ("0.4", "0.8", "1.2")},
    }


def test_notes_are_shown_as_text_and_change_no_version(entry: DatasetEntry) -> None:
    noted = entry.model_copy(update={"notes": "<b>asked</b> [the authors](x)"})
    assert observe(noted).metadata["notes"] == dg.MetadataValue.text("<b>asked</b> [the authors](x)")
    assert version(noted) == version(entry)


def test_another_content_is_another_version(entry: DatasetEntry) -> None:
    before = version(entry)
    entry.path.write_bytes(b"other counts")
    assert version(entry) != before


@pytest.mark.parametrize("said", [{"tissue": "islets"}, {"species": "mouse"}, {"context": "donor 2"}])
def test_another_sample_is_another_version(entry: DatasetEntry, said: dict[str, str]) -> None:
    assert version(entry.model_copy(update=said)) != version(entry)


def test_a_file_that_was_moved_keeps_its_version(entry: DatasetEntry, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "copy.h5ad"
    copy.parent.mkdir()
    copy.write_bytes(b"counts")
    assert version(entry.model_copy(update={"path": copy})) == version(entry)


@pytest.mark.parametrize(
    "said",
    [
        {"tissue": "liver"},
        {"labels": ("cell_type",)},
        {"clusters": ("leiden",)},
        {"batch_key": "donor"},
        {"max_usd": 5.0},
        {"score_threshold": 80.0},
        {"models": "openai/gpt-5"},
        {"models": {"score": "openai/gpt-5"}},
        {"models": {"all": {"provider": "embedded"}}},
        {"models": {"merge": {"temperature": 0.5}}},
    ],
)
def test_what_the_catalog_says_is_part_of_the_version(entry: DatasetEntry, said: dict[str, object]) -> None:
    assert version(described(entry, **said)) != version(entry)


def test_a_field_that_came_later_changes_no_version_until_it_is_said(entry: DatasetEntry) -> None:
    assert version(entry) == "b76b533fdced51f9a9be62084ca9bb8e", "as it was before there were namesakes"
    assert len({version(described(entry, namesakes=said)) for said in (None, True, False)}) == 3


def test_where_the_results_go_and_how_many_work_at_once_change_no_version(entry: DatasetEntry) -> None:
    assert version(described(entry, output="elsewhere", max_workers=2)) == version(entry)


@pytest.mark.parametrize(
    "said",
    [
        {"requests_per_minute": 60, "tokens_per_minute": 9000, "max_concurrency": 2},
        {"usd_per_million_input": 1.0, "usd_per_million_output": 2.0},
        {"timeout": 30.0},
        {"api_key_env": "LAB_KEY"},
    ],
)
def test_how_a_model_is_reached_and_paid_changes_no_version(entry: DatasetEntry, said: dict[str, object]) -> None:
    gpt = {"provider": "openai", "model": "gpt-5"}
    assert version(described(entry, models={"all": gpt | said})) == version(described(entry, models={"all": gpt}))


def test_other_terms_for_the_known_labels_are_another_version(entry: DatasetEntry, tmp_path: Path) -> None:
    terms = tmp_path / "terms.csv"
    terms.write_text("label,cl_id\n")
    with_terms = entry.model_copy(update={"label_terms": terms})
    before = version(with_terms)
    terms.write_text("label,cl_id\nbeta,CL:0000169\n")
    assert version(with_terms) != before


def test_a_file_that_is_touched_keeps_its_version(entry: DatasetEntry) -> None:
    before = version(entry)
    entry.path.touch()
    assert version(entry) == before


def test_a_folder_is_as_large_as_its_files(entry: DatasetEntry, tmp_path: Path) -> None:
    folder = tmp_path / "mtx" / "filtered"
    folder.mkdir(parents=True)
    (folder / "matrix.mtx").write_bytes(b"12345")
    (folder.parent / "genes.tsv").write_bytes(b"123")
    seen = observe(entry.model_copy(update={"path": folder.parent}))
    assert seen.metadata["bytes"].value == 8


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_file_that_nobody_touched_is_not_read_again_and_one_that_was_is(
    entry: DatasetEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    folder = tmp_path / "store.zarr"
    folder.mkdir()
    (folder / "0").write_bytes(b"counts")
    entry = entry.model_copy(update={"path": folder if kind == "folder" else entry.path})
    file = folder / "0" if kind == "folder" else entry.path
    monkeypatch.setattr("cassia_dagster.singlecell.load.SETTLED_AFTER", 0)
    read: list[Path] = []
    monkeypatch.setattr("assets.raw_adata.fingerprint", lambda path: read.append(path) or fingerprint(path))

    def use(instance: dg.DagsterInstance) -> list[Path]:
        read.clear()
        with same_file(instance, entry):
            pass
        return read

    with dg.DagsterInstance.ephemeral() as instance:
        assert use(instance) == []
        instance.report_runless_asset_event(observe(entry))
        assert use(instance) == []
        file.touch()
        assert use(instance) == [entry.path]
        seen = file.stat()
        file.write_bytes(b"others")
        os.utime(file, ns=(seen.st_atime_ns, seen.st_mtime_ns))
        with pytest.raises(InputError, match="was replaced after raw_adata looked at it"):
            use(instance)


def test_the_state_of_a_file_that_changed_just_now_is_not_relied_on(entry: DatasetEntry) -> None:
    entry.path.write_bytes(b"counts")
    assert settled_state(entry.path) is None
    later = time.time() + 5
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: later)
        assert settled_state(entry.path)
