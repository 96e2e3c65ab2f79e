"""The estimate is what the run then asks: no question more, none less, and none again once it was answered."""

from collections import Counter
from functools import partial

import pytest

from cassia_dagster.agents.annotate import annotate_cluster
from cassia_dagster.agents.boost import SCORE_THRESHOLD, ClusterData, boost_cluster, keep_as_is, needs_boost
from cassia_dagster.agents.embedded import EmbeddedBackend
from cassia_dagster.agents.estimate import ROLES, rehearse
from cassia_dagster.agents.merge import merge_clusters
from cassia_dagster.agents.namesakes import namesakes_of
from cassia_dagster.agents.score import score_cluster
from cassia_dagster.llm.door import Door
from tests.cassia_dagster.agents.test_namesakes import OF_T_CELLS, sums

__all__ = ["sums"]

CLUSTERS = ("0", "1", "2", "3")
"""Three of one name, and one that nothing is known of."""


class Paid(EmbeddedBackend):
    """Somebody else, who answers as the stand-in does."""

    provider = "paid"


@pytest.fixture
def evidence(evidence_of):
    genes = {"3": "GENE1 GENE2 GENE3"}
    return [evidence_of(one, genes.get(one, OF_T_CELLS), tissue="blood") for one in CLUSTERS]


@pytest.fixture
def data_of(sums):
    """What the matrix says, in which nobody has measured the last cluster."""

    def tell(rows, same):
        return {
            row.cluster: ClusterData(
                look_up=partial(sums.look_up, row.evidence, namesakes=others) if others else None, namesakes=others
            )
            for row in rows
            for others in [same.get(row.cluster, ())]
        }

    return tell


def run(evidence, store, data_of, *, namesakes):
    """Do what the assets do; gives the calls of each role."""
    door = Door(Paid(), store)
    rows = [annotate_cluster(one, door, door, one.cluster) for one in evidence]
    scores = [score_cluster(row.evidence, row, door, row.cluster) for row in rows]
    same = namesakes_of(rows) if namesakes else {}
    final = []
    for row, score in zip(rows, scores, strict=True):
        if row.cluster not in same and not needs_boost(row, score, SCORE_THRESHOLD):
            final.append(keep_as_is(row, score))
            continue
        told = data_of([row], same)[row.cluster]
        final.append(boost_cluster(row, score, door, door, row.cluster, look_up=told.look_up, namesakes=told.namesakes))
    merge_clusters(final, "human", "blood", door, "blood")
    return Counter(call.role for call in store.calls())


@pytest.mark.parametrize(("namesakes", "scored", "boosted"), [(True, 3 + 2, 3 * 2 + 3), (False, 3, 3)])
def test_second_looks_of_namesakes_are_expected_where_they_are_taken_with_their_new_scores(
    evidence, store, data_of, namesakes, scored, boosted
):
    def expected():
        backends = {role.name: Paid() for role in ROLES}
        rows = rehearse(
            evidence,
            backends,
            store,
            dataset="blood",
            resolution="0.4",
            score_threshold=SCORE_THRESHOLD,
            namesakes=namesakes,
            data_of=data_of,
        )
        return {row.role: row.calls for row in rows}

    before = expected()
    asked = run(evidence, store, data_of, namesakes=namesakes)
    assert before == {role.name: asked[role.name] for role in ROLES}
    assert (asked["score"], asked["boost"]) == (scored, boosted), "two of three are told apart, and scored anew"
    assert set(expected().values()) == {0}, "what was answered is free"
