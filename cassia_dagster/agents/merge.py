"""The merger gives the clusters of a dataset three nested names in one vocabulary, keyed by cluster id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from cassia_dagster.agents.role import Role
from cassia_dagster.llm.errors import UnusableReply
from cassia_dagster.records import BoostedCluster, Grouping, Record, Species

if TYPE_CHECKING:
    from cassia_dagster.llm.door import Door

UNRESOLVED = "unresolved"

MAX_ATTEMPTS = 2
"""Answers that are asked for until one fits the clusters."""


class NamedCluster(Record):
    """A cluster, and what it was found to be."""

    cluster: str
    """Its id, or the number that stands for it: a user may have named it after the very type that it is."""
    label: str
    general_celltype: str
    cl_id: str | None


class MergeRequest(Record):
    """What the merger is asked: all named clusters at once."""

    species: Species
    tissue: str
    clusters: tuple[NamedCluster, ...]
    objection: str = ""
    """What was wrong with the last answer."""


class MergeReply(Record):
    """What the merger answers: a row for every cluster it was given, and no other."""

    groupings: Annotated[tuple[Grouping, ...], Field(max_length=1000)]


MERGER = Role("merge", version=2, request=MergeRequest, reply=MergeReply)


def merge_clusters(
    rows: Sequence[BoostedCluster], species: Species, tissue: str, merger: Door, subject: str
) -> tuple[list[Grouping], str]:
    """Group the clusters on three levels.

    Returns
    -------
    groupings
        One a cluster, in the order of the rows; ``"unresolved"`` on all levels for a cluster without a label.
        Equal names on one level have equal names on every broader one.
    trouble
        Why the model's answer could not be used, or an empty string. The general type and the label of each
        cluster stand in for it then, so that no cluster is lost.
    """
    shown = _numbered([row.cluster for row in rows])
    named = tuple(
        NamedCluster(
            cluster=shown[row.cluster],
            label=row.annotation.label,
            general_celltype=row.annotation.general_celltype or row.annotation.label,
            cl_id=row.check.cl_id if row.check else None,
        )
        for row in rows
        if row.annotation and row.annotation.label and not row.annotation.unresolved
    )
    groupings = {row.cluster: _unresolved(row.cluster) for row in rows}
    if not named:
        return list(groupings.values()), ""
    chosen: tuple[Grouping, ...] = ()
    trouble = ""
    try:
        for _ in range(MAX_ATTEMPTS):
            request = MergeRequest(species=species, tissue=tissue, clusters=named, objection=trouble)
            reply, _exchange = MERGER.ask(merger, request, subject)
            chosen, trouble = reply.groupings, find_trouble(reply.groupings, [one.cluster for one in named])
            if not trouble:
                break
    except UnusableReply as error:
        trouble = str(error)
    cluster_of = {number: cluster for cluster, number in shown.items()}
    for grouping in _as_labelled(named) if trouble else chosen:
        cluster = cluster_of[grouping.cluster]
        groupings[cluster] = grouping.model_copy(update={"cluster": cluster})
    return list(groupings.values()), trouble


def _numbered(clusters: Sequence[str]) -> dict[str, str]:
    """Return what stands for each id in a question: a number tells nothing and stays; names are numbered."""
    if all(cluster.isdecimal() for cluster in clusters):
        return {cluster: cluster for cluster in clusters}
    return {cluster: str(number) for number, cluster in enumerate(clusters, start=1)}


def _unresolved(cluster: str) -> Grouping:
    return Grouping(cluster=cluster, broad=UNRESOLVED, intermediate=UNRESOLVED, detailed=UNRESOLVED)


def _as_labelled(named: Sequence[NamedCluster]) -> list[Grouping]:
    """Group by the names that the clusters have; where one label has two general types, the first holds."""
    general: dict[str, str] = {}
    for one in named:
        general.setdefault(one.label, one.general_celltype)
    return [
        Grouping(cluster=one.cluster, broad=general[one.label], intermediate=general[one.label], detailed=one.label)
        for one in named
    ]


def find_trouble(groupings: Sequence[Grouping], clusters: Sequence[str]) -> str:
    """Say what is wrong with a set of groupings: missing, foreign or doubled clusters, or levels that do not nest."""
    given = [grouping.cluster for grouping in groupings]
    if sorted(given) != sorted(clusters):
        return f"The merger was given the clusters {sorted(clusters)} and answered for {sorted(given)}."
    for finer, broader in (("detailed", "intermediate"), ("intermediate", "broad")):
        above: dict[str, str] = {}
        for grouping in groupings:
            name, parent = getattr(grouping, finer), getattr(grouping, broader)
            if above.setdefault(name, parent) != parent:
                return f"The {finer} group {name!r} lies in two {broader} groups, {above[name]!r} and {parent!r}."
    return ""
