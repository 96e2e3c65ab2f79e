import pytest

from cassia_dagster.agents.merge import MAX_ATTEMPTS, UNRESOLVED, MergeReply, find_trouble, merge_clusters
from cassia_dagster.llm.errors import Refused
from cassia_dagster.records import BoostedCluster, BoostOutcome, Grouping, Status


def group(cluster, broad, intermediate, detailed):
    return Grouping(cluster=cluster, broad=broad, intermediate=intermediate, detailed=detailed)


@pytest.fixture
def rows(named):
    labels = {"0": ("alpha cell", "endocrine cell"), "1": ("beta cell", "endocrine cell"), "10": None}
    return [
        BoostedCluster(
            cluster=cluster,
            status=Status.OK if label else Status.REFUSED,
            outcome=BoostOutcome.NOT_NEEDED,
            annotation=named(*label) if label else None,
            check=None,
            score=80.0 if label else None,
            rubric=None,
        )
        for cluster, label in labels.items()
    ]


NESTED = (
    group("1", "epithelial cell", "endocrine cell", "beta cell"),
    group("0", "epithelial cell", "endocrine cell", "alpha cell"),
)


def test_groups_are_keyed_by_id_not_by_position(scripted, rows):
    door, _ = scripted(merge=[MergeReply(groupings=NESTED)])
    groupings, trouble = merge_clusters(rows, "human", "pancreas", door, "islets/0.4")
    assert trouble == ""
    assert [(one.cluster, one.detailed) for one in groupings] == [
        ("0", "alpha cell"),
        ("1", "beta cell"),
        ("10", UNRESOLVED),
    ]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (NESTED[:1], "answered for"),
        ((*NESTED, group("10", "a", "b", "c")), "answered for"),
        ((NESTED[0], group("0", "leukocyte", "endocrine cell", "alpha cell")), "two broad groups"),
        ((NESTED[0], group("0", "leukocyte", "T cell", "beta cell")), "two intermediate groups"),
    ],
)
def test_an_answer_that_does_not_fit_is_replaced_by_the_labels(scripted, rows, answer, said):
    door, backend = scripted(merge=[MergeReply(groupings=answer)] * MAX_ATTEMPTS)
    groupings, trouble = merge_clusters(rows, "human", "pancreas", door, "islets/0.4")
    assert said in trouble
    assert [(one.broad, one.detailed) for one in groupings[:2]] == [
        ("endocrine cell", "alpha cell"),
        ("endocrine cell", "beta cell"),
    ]
    assert find_trouble(groupings, ["0", "1", "10"]) == ""
    assert said in backend.asked[-1].objection


def test_an_answer_for_another_clusters_id_is_refused_and_asked_for_once_more(scripted, rows):
    foreign = (NESTED[0], group("01", "epithelial cell", "endocrine cell", "alpha cell"))
    door, backend = scripted(merge=[MergeReply(groupings=foreign), MergeReply(groupings=NESTED)])
    groupings, trouble = merge_clusters(rows, "human", "pancreas", door, "islets/0.4")
    assert trouble == ""
    assert [one.cluster for one in groupings] == ["0", "1", "10"]
    assert "'01'" in backend.asked[1].objection


def test_a_failed_merge_loses_no_cluster(scripted, rows):
    door, _ = scripted(merge=[Refused("the model declined")])
    groupings, trouble = merge_clusters(rows, "human", "pancreas", door, "islets/0.4")
    assert [one.cluster for one in groupings] == ["0", "1", "10"]
    assert "declined" in trouble


def test_nothing_is_asked_when_nothing_is_named(scripted, rows):
    door, backend = scripted()
    groupings, trouble = merge_clusters(rows[2:], "human", "pancreas", door, "islets/0.4")
    assert (groupings, trouble) == ([group("10", *[UNRESOLVED] * 3)], "")
    assert backend.asked == []


def test_one_label_with_two_general_types_still_nests_when_it_stands_in(scripted, rows, named):
    other = rows[0].model_copy(update={"cluster": "2", "annotation": named("alpha cell", "gland cell")})
    door, _ = scripted(merge=[Refused("the model declined")])
    groupings, _ = merge_clusters([rows[0], other], "human", "pancreas", door, "islets/0.4")
    assert find_trouble(groupings, ["0", "2"]) == ""


def test_what_the_user_calls_a_cluster_is_no_part_of_the_question(scripted, rows):
    mine = [row.model_copy(update={"cluster": f"gold {row.cluster}"}) for row in rows]
    numbered = tuple(one.model_copy(update={"cluster": str(int(one.cluster) + 1)}) for one in NESTED)
    door, backend = scripted(merge=[MergeReply(groupings=numbered[:1]), MergeReply(groupings=numbered)])
    groupings, trouble = merge_clusters(mine, "human", "pancreas", door, "islets/given")
    assert trouble == ""
    assert {one.cluster: one.detailed for one in groupings} == {
        "gold 0": "alpha cell",
        "gold 1": "beta cell",
        "gold 10": UNRESOLVED,
    }
    assert len(backend.asked) == 2
    assert not [asked for asked in backend.asked if "gold" in asked.model_dump_json()]
