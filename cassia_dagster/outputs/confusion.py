"""Which given labels the cells of each cluster bear, as a table of shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cassia_dagster.outputs.result import ResolutionResult, by_grouping

if TYPE_CHECKING:
    import pandas as pd

MOST_LABELS = 40
"""Given labels that have a column of their own, the most frequent; the others share one."""

OTHERS = "all others"
NONE_GIVEN = "not given"


@dataclass(frozen=True, slots=True)
class Confusion:
    """Clusters as rows, given labels as columns, ordered so that agreement runs along the diagonal."""

    clusters: tuple[str, ...]
    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    """Cells of each cluster with each label."""

    def shares(self, row: int) -> tuple[float, ...]:
        """Give the parts of a cluster's cells that have each label."""
        total = max(1, sum(self.counts[row]))
        return tuple(count / total for count in self.counts[row])


def confusion(result: ResolutionResult, clusters: pd.Series, gold: pd.Series) -> Confusion:
    """Count the cells of each pair of cluster and given label.

    Parameters
    ----------
    result
        A dataset at one resolution.
    clusters, gold
        Of each cell, by its id: its cluster, and the label that others gave.

    Returns
    -------
    Confusion
        Clusters in the order of their groupings; labels in the order of the cluster that has most of their cells.
    """
    import pandas as pd

    given = gold.reindex(clusters.index).astype("string").fillna(NONE_GIVEN).astype(str)
    frequent = given.value_counts().index[:MOST_LABELS]
    # Two different things must not share a column by chance.
    others = OTHERS if OTHERS not in frequent else f"({OTHERS})"
    counts = pd.crosstab(clusters.astype(str), given.where(given.isin(frequent), others))
    rows = [row.cluster for row in by_grouping(result)]
    counts = counts.reindex(rows, fill_value=0)
    home = counts.div(counts.sum(axis=1).clip(lower=1), axis=0).to_numpy().argmax(axis=0)
    last = {others: 1, NONE_GIVEN: 2}
    place = {str(label): (last.get(str(label), 0), int(row)) for label, row in zip(counts.columns, home, strict=True)}
    columns = sorted(map(str, counts.columns), key=lambda label: (*place[label], label))
    table = counts[columns].to_numpy().tolist()
    return Confusion(tuple(rows), tuple(columns), tuple(tuple(map(int, row)) for row in table))
