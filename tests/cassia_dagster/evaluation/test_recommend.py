"""The recommended resolution, and its reason in words."""

from cassia_dagster.evaluation.recommend import recommend
from cassia_dagster.evaluation.review import Level, NamedCluster


def level(resolution, *labels, doubtful=(), is_given=False, stability=None):
    """A resolution whose clusters of ten cells bear these labels."""
    clusters = tuple(
        NamedCluster(cluster=str(position), n_cells=10, label=label, score=90, is_sound=label not in doubtful)
        for position, label in enumerate(labels)
    )
    title = f"resolution {resolution}"
    return Level(resolution=resolution, title=title, clusters=clusters, is_given=is_given, stability=stability)


COARSE = level("0.4", "T cell", "monocyte")
MIDDLE = level("0.8", "T cell", "monocyte", "B cell")
SPLIT = level("1.2", "T cell", "T cell", "monocyte", "B cell")


def test_the_one_that_tells_the_most_types_apart_with_the_fewest_clusters_is_recommended():
    said = recommend([COARSE, MIDDLE, SPLIT])
    assert said.resolution == "0.8"
    assert "100 % of the cells" in said.reason
    assert "these name 3 types" in said.reason
    assert "Resolution 0.4 tells only 2 apart." in said.reason
    assert "Resolution 1.2 needs 4 clusters for the same number, not 3." in said.reason


def test_types_that_the_data_does_not_bear_out_count_for_nothing():
    fancy = level("1.2", "T cell", "monocyte", "B cell", "mast cell", doubtful=("mast cell", "B cell"))
    said = recommend([COARSE, fancy])
    assert said.resolution == "0.4"
    assert "Resolution 1.2 has only 50 % of the cells under such labels." in said.reason


def test_a_clustering_by_chance_is_not_recommended():
    shaky = level("0.8", "T cell", "monocyte", "B cell", stability=0.3)
    said = recommend([COARSE, shaky])
    assert said.resolution == "0.4"
    assert "Resolution 0.8 is a matter of chance (stability 0.30)." in said.reason


def test_where_all_are_by_chance_that_is_said():
    both = [level("0.4", "T cell", stability=0.2), level("0.8", "T cell", "B cell", stability=0.1)]
    assert "Each of the clusterings is a matter of chance" in recommend(both).reason


def test_clusters_of_the_users_own_are_not_chosen_beside_others():
    given = level("given", "T cell", "monocyte", "B cell", "mast cell", is_given=True)
    assert recommend([COARSE, given]).resolution == "0.4"
    assert recommend([given]).resolution == "given"


def test_repeated_labels_are_told():
    said = recommend([level("0.4", "T cell"), level("0.8", "T cell", "B cell", "B cell")])
    assert said.resolution == "0.8"
    assert "1 of its clusters bears the label of another one." in said.reason


def test_nothing_sound_speaks_for_nothing():
    doubtful = [level("0.4", "T cell", doubtful=("T cell",)), level("0.8", "T cell", "T cell", doubtful=("T cell",))]
    said = recommend(doubtful)
    assert said.resolution == "0.4"
    assert said.reason.startswith("No resolution has a label that the markers bear out")


def test_what_comes_out_alike_is_told_so():
    same = level("0.9", "T cell", "monocyte", "B cell")
    said = recommend([MIDDLE, same])
    assert said.resolution == "0.8"
    assert "Resolution 0.9 tells as many apart by as many clusters." in said.reason


def test_where_nothing_is_sound_the_fewest_clusters_are_those_of_what_is_no_chance():
    chance = level("0.2", "T cell", doubtful=("T cell",), stability=0.3)
    settled = level("0.4", "T cell", "monocyte", doubtful=("T cell", "monocyte"), stability=0.95)
    assert (
        "resolution 0.4 has the fewest clusters of those that are no matter of chance."
        in recommend([chance, settled]).reason
    )
