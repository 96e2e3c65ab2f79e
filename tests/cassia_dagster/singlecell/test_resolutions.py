"""Tests of naming clusterings: resolutions by their number, what the user brings by ``given``."""

from __future__ import annotations

import pytest

from cassia_dagster.errors import ConfigurationError
from cassia_dagster.singlecell.resolutions import (
    canonical_resolution,
    folder_of,
    given_keys,
    in_order,
    is_given,
    suffix_of,
)
from resources.catalog import check_name


@pytest.mark.parametrize(
    ("said", "meant"),
    [(1, "1.0"), ("1", "1.0"), ("0.40", "0.4"), (0.4, "0.4"), ("  .8 ", "0.8"), ("1e-1", "0.1"), (100, "100.0")],
)
def test_a_resolution_has_one_spelling(said: float | str, meant: str) -> None:
    assert canonical_resolution(said) == meant
    assert canonical_resolution(meant) == meant


@pytest.mark.parametrize("said", ["fine", "", 0, -0.4, "nan", "inf", 100.1, None, [0.4]])
def test_what_is_no_resolution_is_refused_by_name(said: float | str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        canonical_resolution(said)
    assert repr(said) in str(refused.value)
    assert "common are 0.4 to 2.0" in str(refused.value)


@pytest.mark.parametrize("key", ["given", "given-leiden", "given-RNA_snn_res.0.8", "given-a-6f5e1c"])
def test_what_the_user_brings_is_told_from_resolutions(key: str) -> None:
    assert is_given(key)


@pytest.mark.parametrize("key", ["0.4", "givens", "given-", "given-a/b", "given-..", "given-a|b", "given\n", "", None])
def test_what_is_no_key_of_a_given_clustering_is_not_taken_for_one(key: object) -> None:
    assert not is_given(key)


def test_the_first_column_is_given_and_each_further_one_bears_its_name() -> None:
    assert given_keys(["leiden", "Granular_cell_type", "RNA_snn_res.0.8"]) == {
        "given": "leiden",
        "given-Granular_cell_type": "Granular_cell_type",
        "given-RNA_snn_res.0.8": "RNA_snn_res.0.8",
    }


def test_a_column_keeps_its_key_when_others_come_and_go_behind_the_first() -> None:
    few, more = given_keys(["a", "b"]), given_keys(["a", "new", "b", "last"])
    assert few.items() <= more.items()


AWKWARD = [
    "Cell type",
    "Cell-type ",
    "a/b",
    "a|b",
    "../x",
    "a..b",
    "细胞",
    "🧬",
    "-",
    "x" * 300,
    "x" * 301,
    ".h",
    "a\n",
]


def test_a_column_of_any_name_has_a_key_of_its_own_that_is_fit_for_partitions_and_paths() -> None:
    keys = list(given_keys(["first", *AWKWARD]))
    assert len(set(keys)) == len(AWKWARD) + 1
    for key in keys:
        assert is_given(key)
        assert check_name(key) == key


def test_keys_stand_in_rising_order_with_the_given_ones_last() -> None:
    assert in_order({"given-b", "10.0", "given", "2.0", "0.4", "given-a"}) == [
        "0.4",
        "2.0",
        "10.0",
        "given",
        "given-a",
        "given-b",
    ]


def test_folders_and_columns_bear_the_key() -> None:
    assert (folder_of("0.4"), suffix_of("0.4")) == ("leiden_res_0.4", "res_0.4")
    assert (folder_of("given-a"), suffix_of("given-a")) == ("given-a", "given-a")
