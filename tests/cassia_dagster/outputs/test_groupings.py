from cassia_dagster.outputs.groupings import group_tree
from cassia_dagster.outputs.result import ResolutionResult


def test_the_tree_holds_every_cluster_once_at_each_level_and_counts_its_cells(blood: ResolutionResult) -> None:
    leukocytes, nameless = group_tree(blood)
    assert (leukocytes.name, leukocytes.n_cells) == ("leukocyte", 85)
    assert {group.name: group.n_cells for group in leukocytes.groups} == {
        "T cell": 40,
        "lymphocyte": 25,
        "monocyte": 20,
    }
    assert [leaf.clusters for group in leukocytes.groups for leaf in group.groups] == [("0",), ("2",), ("10",)]
    assert set(nameless.clusters) == {"3", "T?"}


def test_where_cells_are_not_known_clusters_are_counted(blood: ResolutionResult) -> None:
    bare = tuple(
        row.model_copy(
            update={
                "annotated": row.annotated.model_copy(
                    update={"evidence": row.evidence.model_copy(update={"n_cells": None, "share": None})}
                )
            }
        )
        for row in blood.clusters
    )
    tree = group_tree(blood.model_copy(update={"clusters": bare}))
    assert [(group.n_cells, group.size) for group in tree] == [(None, 3), (None, 2)]
