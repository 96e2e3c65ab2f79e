"""The whole annotation with the parts of clusters in the place of their parents, cell by cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cassia_dagster.agents.merge import UNRESOLVED

if TYPE_CHECKING:
    import pandas as pd

    from cassia_dagster.agents.subclusters import Subcluster
    from cassia_dagster.records import BoostedCluster

OF_PART, OF_CLUSTER = "subclusters", "clusters"
"""Where the label of a cell is from."""


def refine(labels: pd.Series, parts: Sequence[Subcluster], final: Mapping[str, BoostedCluster]) -> pd.DataFrame:
    """Give every cell the name of its part, where its cluster was looked into, else that of its cluster.

    Parameters
    ----------
    labels
        Cell id → cluster id, of all cells.
    parts
        Parts of clusters, no cell in two of them; see `parts_of_now`.
    final
        The final word on each cluster.

    Returns
    -------
    pandas.DataFrame
        A row for every cell, in the order of ``labels``: ``cluster``; ``subcluster``, the id of the part, or of the
        cluster; ``label`` and ``cl_id`` (empty where it is no term) of that; ``parent``, what the parent is called,
        empty outside of parents; and ``source``, ``subclusters`` or ``clusters``.
    """
    import pandas as pd

    names = {cluster: (*_name(row), "", OF_CLUSTER) for cluster, row in final.items()}
    held = [
        part.under(final) if part.lies_in_parent(labels) and final.keys() >= set(part.parents) else part
        for part in parts
    ]
    names |= {part.cluster: (*_name(part), part.parent_label or UNRESOLVED, OF_PART) for part in held}
    refined = labels.astype("object")
    for part in parts:
        refined.loc[list(part.members)] = part.cluster
    columns = pd.DataFrame.from_dict(names, orient="index", columns=["label", "cl_id", "parent", "source"])
    table = pd.DataFrame({"cluster": labels.to_numpy(), "subcluster": refined.to_numpy()}, index=labels.index)
    return table.join(columns, on="subcluster")


def _name(row: BoostedCluster | Subcluster) -> tuple[str, str]:
    annotation, term = row.annotation, row.check.cl_id if row.check else None
    if annotation is None or annotation.unresolved or not annotation.label:
        return UNRESOLVED, ""
    return annotation.label, term or ""
