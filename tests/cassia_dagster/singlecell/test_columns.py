"""Tests of taking clusters, tissues and batches from columns of a user's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cassia_dagster.errors import InputError
from cassia_dagster.singlecell.columns import cells_per_batch, given_clusters, main_tissues, tissue_of_cells

FILE = Path("cells.h5ad")


def table(values: Any) -> pd.DataFrame:
    return pd.DataFrame({"mine": values}, index=[f"cell{number}" for number in range(len(values))])


@pytest.mark.parametrize(
    ("values", "ids"),
    [
        (["T cell", " B", "T cell", " B"], ["T cell", " B", "T cell", " B"]),
        ([10, 2, 10, 2], ["10", "2", "10", "2"]),
        ([1.0, 2.0, 1.0, 2.0], ["1.0", "2.0", "1.0", "2.0"]),
        ([True, False, True, False], ["True", "False", "True", "False"]),
        (pd.Categorical(["b", "a", "b", "a"], categories=["a", "b", "unused"]), ["b", "a", "b", "a"]),
        (pd.Categorical([0, 1, 0, 1]), ["0", "1", "0", "1"]),
        (np.array([1, 2, 1, 2], dtype="uint8"), ["1", "2", "1", "2"]),
    ],
)
def test_cluster_ids_are_the_values_of_the_column_as_text(values: Any, ids: list[str]) -> None:
    labels = given_clusters(table(values), "mine", FILE)
    assert labels.tolist() == ids
    assert {type(one) for one in labels} == {str}
    assert (labels.name, labels.index.name) == ("cluster", "cell_id")
    assert set(labels.value_counts().index) == set(ids)


def test_one_value_for_all_cells_is_one_cluster() -> None:
    assert given_clusters(table(["all"] * 5), "mine", FILE).value_counts().to_dict() == {"all": 5}


@pytest.mark.parametrize(
    "values",
    [
        ["a", None, "b", "", "a", "b"],
        ["a", np.nan, "b", "  ", "a", "b"],
        pd.Categorical(["a", None, "b", None, "a", "b"]),
        [1.0, np.nan, 2.0, np.nan, 1.0, 2.0],
    ],
)
def test_cells_without_a_value_are_counted_and_neither_dropped_nor_guessed(values: Any) -> None:
    with pytest.raises(InputError, match="'mine' says nothing of 2 of 6 cells") as refused:
        given_clusters(table(values), "mine", FILE)
    assert "such as 'unassigned', or take them out of the file" in str(refused.value)


@pytest.mark.parametrize(("different", "cells", "most"), [(201, 1000, 200), (6, 10, 5), (10, 10, 5)])
def test_a_column_with_a_value_for_nearly_every_cell_holds_no_clusters(different: int, cells: int, most: int) -> None:
    values = [f"value{number % different}" for number in range(cells)]
    with pytest.raises(InputError, match=rf"not hold clusters \(at most {most} are expected\)") as refused:
        given_clusters(table(values), "mine", FILE)
    assert f"{different} different values" in str(refused.value)


def test_a_column_that_is_not_there_is_named_with_those_that_are() -> None:
    for take in (given_clusters, tissue_of_cells, cells_per_batch):
        with pytest.raises(InputError, match=r"cells\.h5ad has no obs column 'mien'; it has: mine"):
            take(table(["a", "a"]), "mien", FILE)


def test_the_cells_of_every_batch_are_counted() -> None:
    assert cells_per_batch(table(pd.Categorical([2, 1, 1, 1])), "mine", FILE) == {"1": 3, "2": 1}
    with pytest.raises(InputError, match="their batch is not known"):
        cells_per_batch(table(["a", "a", None]), "mine", FILE)


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"blood": 10}, "blood"),
        ({"lung": 60, "lymph node": 35, "blood": 5}, "lung, lymph node"),
        ({"liver": 25, "gut": 25, "skin": 50}, "skin, gut, liver"),
        (dict.fromkeys("fedcba", 1), "a"),
    ],
)
def test_the_main_tissues_are_the_most_frequent_one_and_those_of_a_quarter_of_the_cells(
    cells: dict[str, int], words: str
) -> None:
    assert main_tissues(cells) == words
