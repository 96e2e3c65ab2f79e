from __future__ import annotations

import numpy as np
import pytest

from cassia_dagster.errors import InputError
from cassia_dagster.evaluation.agreement import compare_with_gold
from cassia_dagster.knowledge.ontology import Relation

T_CELL, B_CELL, CD4_T, MONOCYTE, BETA = "CL:0000084", "CL:0000236", "CL:0000624", "CL:0000576", "CL:0000169"
GOLD_IDS = {"T": T_CELL, "B": B_CELL, "odd": None}


def test_a_cluster_is_compared_with_the_label_of_most_of_its_cells() -> None:
    agreement = compare_with_gold({"0": CD4_T}, ["0"] * 4, ["T", "T", "T", "B"], GOLD_IDS)
    (row,) = agreement.clusters
    assert (row.gold_label, row.purity, row.gold_id) == ("T", 0.75, T_CELL)
    assert (row.label, row.relation) == ("CD4-positive, alpha-beta T cell", Relation.FINER)
    assert agreement.exact_or_finer == 1
    assert agreement.mean_hierarchical_f1 == row.hierarchical_f1


def test_shares_count_cells_and_sum_to_one() -> None:
    clusters = ["0"] * 6 + ["1"] * 3 + ["10"]
    gold = ["T"] * 6 + ["B"] * 3 + ["odd"]
    agreement = compare_with_gold({"0": T_CELL, "1": MONOCYTE, "10": BETA}, clusters, gold, GOLD_IDS)
    assert agreement.cell_share[Relation.EXACT] == pytest.approx(0.6)
    assert agreement.cell_share[Relation.CONTRADICTION] == pytest.approx(0.3)
    assert agreement.cell_share[Relation.UNMAPPED] == pytest.approx(0.1)
    assert sum(agreement.cell_share.values()) == pytest.approx(1)
    assert agreement.coverage == pytest.approx(0.9)
    assert agreement.exact_or_finer == 0.5  # the unmapped cluster cannot be judged
    assert agreement.adjusted_rand_index == 1
    assert agreement.normalized_mutual_information == 1


def test_an_unresolved_cluster_scores_nothing_but_is_no_contradiction() -> None:
    agreement = compare_with_gold({"0": None}, ["0", "0"], ["T", "T"], GOLD_IDS)
    assert agreement.clusters[0].relation is Relation.UNRESOLVED
    assert agreement.clusters[0].label is None
    assert agreement.mean_hierarchical_f1 == 0


def test_cells_without_a_gold_label_are_no_majority() -> None:
    gold = [None, float("nan"), "", "B"]
    agreement = compare_with_gold({"0": B_CELL}, ["0"] * 4, gold, GOLD_IDS)  # type: ignore[arg-type]
    assert agreement.clusters[0].gold_label == "B"
    assert agreement.clusters[0].purity == 0.25


def test_without_any_gold_label_nothing_is_claimed() -> None:
    agreement = compare_with_gold({"0": B_CELL}, ["0"], [None], {})
    assert agreement.mean_hierarchical_f1 is None
    assert agreement.adjusted_rand_index is None
    assert agreement.exact_or_finer == 0


def test_clustering_by_chance_has_no_rand_index() -> None:
    rng = np.random.default_rng(0)
    clusters = [str(c) for c in rng.integers(0, 2, 400)]
    gold = ["TB"[i] for i in rng.integers(0, 2, 400)]
    agreement = compare_with_gold({"0": T_CELL, "1": B_CELL}, clusters, gold, GOLD_IDS)
    assert agreement.adjusted_rand_index == pytest.approx(0, abs=0.02)


def test_cluster_ids_match_exactly_or_not_at_all() -> None:
    with pytest.raises(InputError, match="'10'"):
        compare_with_gold({"0": T_CELL, "1": T_CELL}, ["0", "10"], ["T", "T"], GOLD_IDS)


def test_a_label_missing_for_a_cell_is_an_error() -> None:
    with pytest.raises(InputError, match="2 cells"):
        compare_with_gold({"0": T_CELL}, ["0", "0"], ["T"], GOLD_IDS)


def test_a_mixed_cluster_is_reported_and_not_held_against_the_label() -> None:
    clusters, gold = ["0"] * 4 + ["1"] * 4, ["T", "T", "B", "B", "B", "B", "B", "T"]
    agreement = compare_with_gold({"0": MONOCYTE, "1": B_CELL}, clusters, gold, GOLD_IDS)
    assert agreement.mixed == ("0",)
    assert agreement.contradicted == ()
    assert agreement.by_cluster is not None
    assert (agreement.by_cluster.n, agreement.by_cluster.exact) == (1, 1)
    strict = compare_with_gold({"0": MONOCYTE, "1": B_CELL}, clusters, gold, GOLD_IDS, purity_floor=0.2)
    assert (strict.mixed, strict.contradicted) == ((), ("0",))


def test_each_cell_counts_with_its_own_label_and_each_type_once() -> None:
    clusters, gold = ["0"] * 10 + ["1"] * 2, ["T"] * 8 + ["B"] * 2 + ["B"] * 2
    agreement = compare_with_gold({"0": T_CELL, "1": B_CELL}, clusters, gold, GOLD_IDS)
    assert agreement.by_cell is not None
    assert agreement.by_type is not None
    assert (agreement.by_cell.n, agreement.by_type.n) == (12, 2)
    assert agreement.by_cell.exact == pytest.approx(10 / 12)
    assert agreement.by_type.exact == pytest.approx((1 + 0.5) / 2)


def test_clusters_of_one_type_each_are_homogeneous_also_where_a_type_is_split() -> None:
    agreement = compare_with_gold({"0": T_CELL, "1": T_CELL, "2": B_CELL}, list("0122"), list("TTBB"), GOLD_IDS)
    assert agreement.homogeneity == pytest.approx(1)
    assert agreement.adjusted_rand_index is not None
    assert agreement.adjusted_rand_index < 1
