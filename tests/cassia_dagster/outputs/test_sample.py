import numpy as np
import pandas as pd
import pytest

from cassia_dagster.outputs.sample import FEWEST_OF_A_CLUSTER, MOST_CELLS, sample_cells


@pytest.fixture
def clusters() -> pd.Series:
    sizes = {"0": 40_000, "1": 9_000, "2": 900, "rare": 60, "one": 1}
    return pd.Series(np.random.default_rng(1).permutation([name for name, size in sizes.items() for _ in range(size)]))


def test_no_more_cells_are_chosen_than_asked_for_and_the_same_ones_each_time(clusters: pd.Series) -> None:
    chosen = sample_cells(clusters)
    assert 0.99 * MOST_CELLS < len(chosen) <= MOST_CELLS
    assert len(set(chosen.tolist())) == len(chosen)
    assert np.array_equal(chosen, sample_cells(clusters))


def test_a_small_cluster_stays_whole_and_large_ones_keep_their_share(clusters: pd.Series) -> None:
    found = clusters.iloc[sample_cells(clusters)].value_counts()
    assert (found["rare"], found["one"]) == (60, 1)
    assert found["2"] >= FEWEST_OF_A_CLUSTER
    assert found["0"] / found["1"] == pytest.approx(40_000 / 9_000, rel=0.1)


def test_few_cells_are_all_taken() -> None:
    assert sample_cells(pd.Series(["a", "b", "a"])).tolist() == [0, 1, 2]


def test_more_clusters_than_cells_of_each_can_be_kept_leave_none_out() -> None:
    clusters = pd.Series([str(place % 300) for place in range(20_000)])
    chosen = clusters.iloc[sample_cells(clusters, most=1_000)]
    assert len(chosen) <= 1_000
    assert chosen.nunique() == 300
