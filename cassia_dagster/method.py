"""The whole method on clusters that are known by their evidence alone: annotate, validate, score, boost, merge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from cassia_dagster.agents.annotate import annotate_cluster, refuse_silence
from cassia_dagster.agents.boost import SCORE_THRESHOLD, boost_cluster, keep_as_is, needs_boost
from cassia_dagster.agents.crew import for_each
from cassia_dagster.agents.merge import merge_clusters
from cassia_dagster.agents.score import score_cluster
from cassia_dagster.records import (
    AnnotatedCluster,
    BoostedCluster,
    ClusterEvidence,
    ClusterResult,
    Marker,
    ScoredCluster,
    Strategy,
)

if TYPE_CHECKING:
    from cassia_dagster.llm.door import Door

MAX_WORKERS = 6

type Contrast = Callable[[ClusterEvidence], tuple[Marker, ...]]
"""Gives the genes that set a cluster apart from the one most like it."""


class Doors(NamedTuple):
    """The way to the model of each role."""

    annotate: Door
    validate: Door
    score: Door
    boost: Door
    merge: Door

    @classmethod
    def of(cls, door: Door | Doors) -> Doors:
        """Let one model play all roles, where there is no more than one."""
        return door if isinstance(door, Doors) else cls(door, door, door, door, door)


type Named = tuple[AnnotatedCluster, ScoredCluster, BoostedCluster]


def nothing_to_contrast(_: ClusterEvidence) -> tuple[Marker, ...]:
    """Where only a marker table is known, no cluster can be compared with another."""
    return ()


def annotate_clusters(
    evidence: Sequence[ClusterEvidence],
    door: Door | Doors,
    subject: str,
    contrast: Contrast = nothing_to_contrast,
    *,
    score_threshold: float = SCORE_THRESHOLD,
    max_workers: int = MAX_WORKERS,
) -> tuple[tuple[ClusterResult, ...], str]:
    """Name, score, look again at and group the clusters of one clustering.

    Parameters
    ----------
    evidence
        What is known of each cluster; at least one.
    door
        The way to the model that plays all roles, or one for each.
    subject
        What the ledger calls the clustering, such as ``"islets/given"``.
    contrast
        What the second look is shown beside the markers.
    score_threshold
        Labels that score less get a second look.
    max_workers
        Clusters that are worked on at once.

    Returns
    -------
    results
        One for every cluster, in the order of the evidence.
    trouble
        Why the merger's answer could not be used, or an empty string.

    Raises
    ------
    ModelError
        If the model can answer no question at all.
    """
    subjects = [f"{subject}/{one.cluster}" for one in evidence]
    rows = name_clusters(evidence, door, subjects, contrast, score_threshold=score_threshold, max_workers=max_workers)
    refuse_silence([annotated for annotated, _, _ in rows])
    first = evidence[0]
    groupings, trouble = merge_clusters(
        [row for _, _, row in rows], first.species, first.tissue, Doors.of(door).merge, subject
    )
    return (
        tuple(
            ClusterResult(annotated=annotated, scored=scored, boosted=boosted, grouping=grouping)
            for (annotated, scored, boosted), grouping in zip(rows, groupings, strict=True)
        ),
        trouble,
    )


def name_clusters(
    evidence: Sequence[ClusterEvidence],
    door: Door | Doors,
    subjects: Sequence[str],
    contrast: Contrast = nothing_to_contrast,
    strategy: Strategy = Strategy.VALIDATED,
    *,
    score_threshold: float = SCORE_THRESHOLD,
    max_workers: int = MAX_WORKERS,
) -> list[Named]:
    """Do all but the grouping, which only the clusters of one sample share.

    Parameters
    ----------
    evidence, door, contrast, score_threshold, max_workers
        As for `annotate_clusters`; the clusters may be of different samples.
    subjects
        What the ledger calls each cluster.
    strategy
        How labels are arrived at.
    """
    doors = Doors.of(door)

    def name(asked: tuple[ClusterEvidence, str]) -> Named:
        one, subject = asked
        annotated = annotate_cluster(one, doors.annotate, doors.validate, subject, strategy)
        scored = score_cluster(one, annotated, doors.score, subject)
        if not needs_boost(annotated, scored, score_threshold):
            return annotated, scored, keep_as_is(annotated, scored)
        return (
            annotated,
            scored,
            boost_cluster(annotated, scored, doors.boost, doors.score, subject, contrast=contrast(one)),
        )

    return for_each(list(zip(evidence, subjects, strict=True)), name, max_workers)
