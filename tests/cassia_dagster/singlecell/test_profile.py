"""Tests of gathering what the data says of each cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest

from cassia_dagster.records import ClusterEvidence, natural_order
from cassia_dagster.singlecell.markers import rounded
from cassia_dagster.singlecell.profile import gather_evidence


@pytest.fixture(scope="module")
def profiles(
    islets: anndata.AnnData, islets_labels: pd.Series, islets_markers: pd.DataFrame
) -> dict[str, ClusterEvidence]:
    gathered = gather_evidence(
        islets, islets_labels, islets_markers, species="human", tissue="pancreas", context="donor 1"
    )
    return {evidence.cluster: evidence for evidence in gathered}


def numbers_in(value: Any) -> Iterator[float]:
    if isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from numbers_in(part)
    elif isinstance(value, float):
        yield value


def test_clusters_come_in_natural_order_with_what_the_user_said(profiles: dict[str, ClusterEvidence]) -> None:
    assert len(profiles) > 10
    assert list(profiles) == natural_order(profiles)
    assert {(one.species, one.tissue, one.context) for one in profiles.values()} == {("human", "pancreas", "donor 1")}


def test_sizes_sum_to_the_cells_and_shares_to_one(profiles: dict[str, ClusterEvidence]) -> None:
    assert sum(one.n_cells or 0 for one in profiles.values()) == 1065
    assert sum(one.share or 0 for one in profiles.values()) == pytest.approx(1, abs=0.005)


def test_a_cluster_without_markers_has_evidence_all_the_same(
    islets: anndata.AnnData, islets_labels: pd.Series, islets_markers: pd.DataFrame
) -> None:
    labels = islets_labels.copy()
    labels.iloc[0] = "T?"
    some = islets_markers[islets_markers["cluster"] != "0"]
    profiles = gather_evidence(islets, labels, some, species="human", tissue="pancreas")
    assert [one.cluster for one in profiles] == [*natural_order(set(islets_labels)), "T?"]
    assert [one.cluster for one in profiles if not one.markers] == ["0", "T?"]
    assert profiles[-1].n_cells == 1
    assert all(one.quality and one.nearest for one in profiles)


def test_markers_are_the_best_of_the_cluster(
    profiles: dict[str, ClusterEvidence], islets_markers: pd.DataFrame
) -> None:
    for cluster, profile in profiles.items():
        own = islets_markers[islets_markers["cluster"] == cluster].set_index("gene")["score"]
        best = [rounded(score) for score in own.head(100)]
        assert [marker.score for marker in profile.markers] == best
        assert all(marker.score == rounded(own[marker.gene]) for marker in profile.markers)


def test_numbers_have_three_digits_at_most(profiles: dict[str, ClusterEvidence]) -> None:
    found = [number for one in profiles.values() for number in numbers_in(one.model_dump())]
    assert len(found) > 1000
    assert [number for number in found if number != rounded(number)] == []


def test_no_cell_is_named(profiles: dict[str, ClusterEvidence], islets: anndata.AnnData) -> None:
    text = "\n".join(one.model_dump_json() for one in profiles.values())
    assert not [cell for cell in islets.obs_names if cell in text]


def test_look_alikes_are_other_clusters_the_most_alike_first(profiles: dict[str, ClusterEvidence]) -> None:
    for cluster, profile in profiles.items():
        assert len(profile.nearest) == 3
        assert cluster not in {nearby.cluster for nearby in profile.nearest}
        similarities = [nearby.similarity for nearby in profile.nearest]
        assert similarities == sorted(similarities, reverse=True)


def test_a_look_alike_is_the_cluster_of_the_closest_centroid(
    profiles: dict[str, ClusterEvidence], islets: anndata.AnnData, islets_labels: pd.Series
) -> None:
    means = pd.DataFrame(islets.obsm["X_pca"], index=islets.obs_names).groupby(islets_labels).mean()
    similar = means.T.corr()
    for cluster, profile in profiles.items():
        others = similar[cluster].drop(cluster)
        assert profile.nearest[0].cluster == others.idxmax()
        assert profile.nearest[0].similarity == pytest.approx(others.max(), abs=0.005)


def test_quality_is_the_median_over_the_clusters_cells(
    profiles: dict[str, ClusterEvidence], islets: anndata.AnnData, islets_labels: pd.Series
) -> None:
    for cluster, profile in profiles.items():
        inside = (islets_labels == cluster).to_numpy()
        counts = islets.layers["counts"][inside].toarray()
        ribosomal = counts[:, islets.var_names.str.startswith(("RPS", "RPL"))].sum(axis=1)
        quality = profile.quality
        assert quality is not None
        assert quality.median_counts == rounded(np.median(counts.sum(axis=1)))
        assert quality.median_genes == rounded(np.median((counts > 0).sum(axis=1)))
        assert quality.pct_ribo == pytest.approx(np.median(100 * ribosomal / counts.sum(axis=1)), rel=0.01)


def test_a_single_cluster_has_no_look_alike(islets: anndata.AnnData, islets_markers: pd.DataFrame) -> None:
    labels = pd.Series("0", index=islets.obs_names)
    (profile,) = gather_evidence(islets, labels, islets_markers.head(0), species="human", tissue="pancreas")
    assert profile.nearest == ()
    assert (profile.n_cells, profile.share) == (1065, 1.0)


def test_a_cluster_of_several_tissues_says_how_many_of_its_cells_are_from_each(
    islets: anndata.AnnData, islets_labels: pd.Series, islets_markers: pd.DataFrame
) -> None:
    first = islets_labels.index[islets_labels == "0"]
    tissue = pd.Series("pancreas", index=islets.obs_names)
    tissue[first[: len(first) // 2]] = "duodenum"
    tissue[first[0]] = "liver"
    shuffled = tissue.sample(frac=1, random_state=0)
    mixed, pure, *_ = gather_evidence(islets, islets_labels, islets_markers, species="human", tissue=shuffled)
    assert (pure.tissue, [part.tissue for part in pure.tissues]) == ("pancreas", ["pancreas"])
    assert [part.tissue for part in mixed.tissues] == ["pancreas", "duodenum", "liver"]
    assert [part.n_cells for part in mixed.tissues] == [tissue[first].eq(part.tissue).sum() for part in mixed.tissues]
    assert mixed.tissues[0].share == pytest.approx(0.5, abs=0.01)
    assert mixed.tissue == "pancreas, duodenum"


def test_one_tissue_for_all_cells_is_no_composition(profiles: dict[str, ClusterEvidence]) -> None:
    assert {one.tissues for one in profiles.values()} == {()}


def test_labels_in_another_order_are_matched_by_cell(
    profiles: dict[str, ClusterEvidence],
    islets: anndata.AnnData,
    islets_labels: pd.Series,
    islets_markers: pd.DataFrame,
) -> None:
    shuffled = islets_labels.sample(frac=1, random_state=0)
    again = gather_evidence(islets, shuffled, islets_markers, species="human", tissue="pancreas", context="donor 1")
    assert again == list(profiles.values())


def test_without_counts_their_median_is_not_known(
    islets: anndata.AnnData, islets_labels: pd.Series, islets_markers: pd.DataFrame
) -> None:
    cells = anndata.AnnData(obs=islets.obs.drop(columns="n_counts"), obsm={"X_pca": islets.obsm["X_pca"]})
    first = gather_evidence(cells, islets_labels, islets_markers, species="human", tissue="pancreas")[0]
    assert first.quality is not None
    assert first.quality.median_counts is None
    assert first.quality.median_genes > 0
