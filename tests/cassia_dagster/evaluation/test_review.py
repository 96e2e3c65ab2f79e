"""Following the cells of a small blood sample from resolution to resolution."""

import pandas as pd
import pytest

from cassia_dagster.errors import InputError
from cassia_dagster.evaluation.review import Level, NamedCluster, relate, review_resolutions
from cassia_dagster.knowledge.ontology import Relation

T_CELL, CD8, MONOCYTE, B_CELL = "CL:0000084", "CL:0000625", "CL:0000576", "CL:0000236"


def named(cluster, n_cells, label=None, cl_id=None, *, sound=True, score=90.0):
    return NamedCluster(
        cluster=cluster,
        n_cells=n_cells,
        label=label,
        cl_id=cl_id,
        score=score if label else None,
        is_sound=sound and bool(label),
    )


def level(resolution, *clusters, **said):
    return Level(resolution=resolution, title=f"resolution {resolution}", clusters=clusters, **said)


COARSE = level("0.4", named("0", 6, "T cell", T_CELL), named("1", 4, "monocyte", MONOCYTE))
FINE = level(
    "0.8",
    named("0", 4, "T cell", T_CELL),
    named("1", 3, "B cell", B_CELL),
    named("2", 2, "CD8-positive T cell", CD8),
    named("3", 1),
)
CELLS = [f"cell{number}" for number in range(10)]
CLUSTERS = {
    "0.4": pd.Series(list("0000001111"), index=CELLS),
    "0.8": pd.Series(list("0000221113"), index=CELLS),
}


@pytest.fixture
def review():
    return review_resolutions("blood", [COARSE, FINE], CLUSTERS)


def flow(review, cluster, next_cluster):
    (found,) = [one for one in review.flows if (one.cluster, one.next_cluster) == (cluster, next_cluster)]
    return found


def test_every_cell_flows_once(review):
    assert sum(one.n_cells for one in review.flows) == len(CELLS)
    assert flow(review, "0", "2").share_of_parent == pytest.approx(2 / 6)
    assert flow(review, "0", "2").share_of_child == 1


def test_a_child_is_called_as_its_parent_or_finer_or_after_another_lineage(review):
    assert flow(review, "0", "0").relation is Relation.EXACT
    assert flow(review, "0", "2").relation is Relation.FINER
    assert flow(review, "1", "1").relation is Relation.CONTRADICTION
    assert flow(review, "1", "3").relation is Relation.UNRESOLVED
    assert review.contradicted("0.4", "0.8") == pytest.approx(0.3)


def test_another_lineage_is_told_first(review):
    assert [one.next_cluster for one in review.renamed] == ["1", "2", "3"]


def test_the_order_of_cells_does_not_matter(review):
    shuffled = CLUSTERS | {"0.8": CLUSTERS["0.8"].iloc[::-1]}
    assert review_resolutions("blood", [COARSE, FINE], shuffled) == review


def test_words_that_are_no_terms_are_the_same_or_unmapped():
    odd = named("0", 1, "odd cell")
    assert relate(odd, odd) is Relation.EXACT
    assert relate(odd, named("1", 1, "T cell", T_CELL)) is Relation.UNMAPPED


def test_a_level_counts_what_its_names_tell_apart():
    twice = level("1.2", named("0", 4, "T cell", T_CELL), named("1", 4, "T cell", T_CELL), named("2", 2))
    assert (twice.sound_types, twice.repeats, twice.sound_share) == (1, 1, 0.8)
    assert twice.mean_score == 90
    assert level("1.2", named("0", 1)).mean_score is None


def test_cells_that_are_not_the_same_are_refused():
    others = CLUSTERS | {"0.8": CLUSTERS["0.8"].rename({"cell0": "stranger"})}
    with pytest.raises(InputError, match="do not hold the same cells"):
        review_resolutions("blood", [COARSE, FINE], others)


def test_a_cluster_without_a_name_is_refused():
    said = r"Cluster '3' of 'blood', resolution 0\.8, has 0 cells in the clustering and 1 in the annotations"
    with pytest.raises(InputError, match=said):
        review_resolutions("blood", [COARSE, FINE], CLUSTERS | {"0.8": CLUSTERS["0.8"].replace("3", "7")})


def reviewed(coarse, fine, *, stability=None):
    levels = [level("0.4", *coarse, stability=stability), level("0.8", *fine)]
    cells = {
        one.resolution: pd.Series(
            [cluster.cluster for cluster in one.clusters for _ in range(cluster.n_cells)], index=CELLS
        )
        for one in levels
    }
    return review_resolutions("blood", levels, cells)


SOUND_T_CELLS = (named("0", 6, "T cell", T_CELL), named("1", 4, "monocyte", MONOCYTE))
SPLIT = (named("1", 3, "T cell", T_CELL, sound=False, score=60.0), named("2", 4, "monocyte", MONOCYTE))


def test_a_split_cluster_that_scored_low_is_borne_out_by_the_cells_together():
    """The other half of its type is among the cells that it is compared with, and takes its markers away."""
    review = reviewed(SOUND_T_CELLS, (named("0", 3, "CD8-positive T cell", CD8), *SPLIT))
    borne_out = review.levels[1].clusters[1].borne_out
    assert (borne_out.resolution, borne_out.label) == ("0.4", "T cell")
    assert review.levels[1].sound_share == 1
    assert review.recommendation.resolution == "0.8"
    assert "1 of the labels scored low here" in review.recommendation.reason


def test_a_broad_label_is_borne_out_by_the_kinds_that_its_cells_are_elsewhere():
    doubtful = named("0", 6, "T cell", T_CELL, sound=False)
    review = reviewed((doubtful, SOUND_T_CELLS[1]), (named("0", 6, "CD8-positive T cell", CD8), SPLIT[1]))
    assert review.levels[0].clusters[0].borne_out.label == "T cell"


def test_a_doubtful_kind_counts_as_the_type_that_its_cells_are_elsewhere():
    doubtful = named("0", 6, "CD8-positive T cell", CD8, sound=False)
    review = reviewed(SOUND_T_CELLS, (doubtful, SPLIT[1]))
    assert review.levels[1].clusters[0].sound_type == T_CELL
    # It tells no more apart than the other, and has as many clusters: the first is as good.
    assert (review.levels[1].sound_types, review.recommendation.resolution) == (2, "0.4")


@pytest.mark.parametrize(
    "doubtful",
    [
        pytest.param(named("1", 3, "B cell", B_CELL, sound=False), id="another type"),
        pytest.param(named("1", 3), id="no label"),
        pytest.param(named("1", 3, "leukocyte", "CL:0000738", sound=False), id="no type"),
        pytest.param(SPLIT[0].model_copy(update={"is_objected_to": True}), id="the evidence speaks against it"),
    ],
)
def test_what_another_resolution_does_not_say_or_the_evidence_speaks_against_stays_in_doubt(doubtful):
    review = reviewed(SOUND_T_CELLS, (named("0", 3, "CD8-positive T cell", CD8), doubtful, SPLIT[1]))
    assert review.levels[1].clusters[1].sound_type is None
    assert review.levels[1].sound_share == pytest.approx(0.7)


def test_a_clustering_by_chance_bears_out_nothing():
    review = reviewed(SOUND_T_CELLS, (named("0", 3, "CD8-positive T cell", CD8), *SPLIT), stability=0.2)
    assert review.levels[1].clusters[1].borne_out is None


def test_less_than_most_of_the_cells_bear_out_nothing():
    coarse = (named("0", 3, "T cell", T_CELL), named("1", 7, "monocyte", MONOCYTE))
    fine = (named("0", 6, "T cell", T_CELL, sound=False), named("1", 4, "monocyte", MONOCYTE))
    assert reviewed(coarse, fine).levels[1].clusters[0].borne_out is None
