"""The three nested groupings as a tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from cassia_dagster.outputs.result import ResolutionResult, by_grouping
from cassia_dagster.records import ClusterResult

LEVELS = ("broad", "intermediate", "detailed")


@dataclass(frozen=True, slots=True)
class Group:
    """Clusters of one name at one level, and the groups of the next level that they fall into."""

    name: str
    clusters: tuple[str, ...]
    n_cells: int | None
    """``None`` where only a marker table is known."""
    groups: tuple[Group, ...]

    @property
    def size(self) -> int:
        """What a picture gives it room by: its cells, or its clusters where cells are not known."""
        return len(self.clusters) if self.n_cells is None else self.n_cells


def group_tree(result: ResolutionResult) -> tuple[Group, ...]:
    """Nest the groupings, the largest groups first."""
    return _nest(by_grouping(result), LEVELS)


def _nest(rows: Sequence[ClusterResult], levels: Sequence[str]) -> tuple[Group, ...]:
    if not levels:
        return ()
    groups = []
    for name, members in groupby(rows, key=lambda row: str(getattr(row.grouping, levels[0]))):
        inside = list(members)
        counts = [row.evidence.n_cells for row in inside]
        n_cells = sum(count for count in counts if count is not None) if None not in counts else None
        clusters = tuple(row.cluster for row in inside)
        groups.append(Group(name, clusters, n_cells, _nest(inside, levels[1:])))
    return tuple(sorted(groups, key=lambda group: -group.size))
