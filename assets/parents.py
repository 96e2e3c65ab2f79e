"""Which clusters are looked into: those that are named, those of a cell type, or those that ask for it; and why."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from cassia_dagster.agents.subclusters import called, names_apart, why_looked_into
from cassia_dagster.errors import InputError
from cassia_dagster.records import AnnotatedCluster, BoostedCluster
from cassia_dagster.singlecell.cluster import digest_clusters
from cassia_dagster.singlecell.resolutions import in_order, is_given
from cassia_dagster.singlecell.subset import FEWEST_CELLS
from resources.catalog import DatasetEntry
from resources.storage import TableFile

if TYPE_CHECKING:
    import pandas as pd

type Parents = Mapping[tuple[str, ...], str]
"""The clusters that are taken together, and why they are looked into."""

type Made = Callable[[str, str], TableFile | None]
"""Gives what an asset made of the dataset at a resolution, if it did."""


def named_parents(
    rows: Sequence[AnnotatedCluster],
    final: Mapping[str, BoostedCluster],
    clusters: Sequence[str],
    labels: Sequence[str],
    *,
    together: bool,
) -> Parents:
    """Find the parents that a user named, by cluster or by cell type.

    Parameters
    ----------
    rows, final
        The clusters as they are annotated, and what each is called in the end.
    clusters
        Ids; each is a parent.
    labels
        Cell types; all clusters that are called so, or a kind of it, are one parent.
    together
        Take all of them as one parent.

    Raises
    ------
    InputError
        If there is no such cluster, none of such a name, or if one would be in two parents.
    """
    known = [row.cluster for row in rows]
    if strangers := sorted(set(clusters) - set(known)):
        raise InputError(f"There is no cluster {strangers[0]!r}; the clusters are {', '.join(known)}.")
    found: dict[tuple[str, ...], str] = {(cluster,): "named" for cluster in dict.fromkeys(clusters)}
    for label in labels:
        so_called = called(label, rows[0].evidence, final)
        if not so_called:
            raise InputError(f"No cluster is called {label!r}, or a kind of it. See the labels in the report.")
        found[so_called] = f"called {label}"
    every = [cluster for parent in found for cluster in parent]
    if together:
        if len(set(every)) < 2:
            raise InputError("Name at least two clusters to be taken together.")
        return {tuple(dict.fromkeys(every)): "; ".join(dict.fromkeys(found.values()))}
    if twice := next((cluster for cluster in every if every.count(cluster) > 1), None):
        raise InputError(f"Cluster {twice} is in two of what is to be looked into; take them together, or one of them.")
    return found


def flagged_parents(
    entry: DatasetEntry,
    resolution: str,
    rows: Sequence[AnnotatedCluster],
    final: Mapping[str, BoostedCluster],
    labels: "pd.Series",
    made: Made,
) -> Parents:
    """Find the clusters that ask to be looked into: mixed, unresolved, scored low, or told apart when cut finer.

    Raises
    ------
    InputError
        If there is none that has cells enough.
    """
    apart = _told_apart(entry, resolution, labels, made)
    why = {cluster: why_looked_into(row) or apart.get(cluster, "") for cluster, row in final.items()}
    large = {row.cluster for row in rows if (row.evidence.n_cells or 0) >= FEWEST_CELLS}
    flagged: dict[tuple[str, ...], str] = {
        (cluster,): reason for cluster, reason in why.items() if reason and cluster in large
    }
    if not flagged:
        raise InputError(
            "No cluster is mixed, unresolved, scored low or told apart at a finer resolution; name those that are to "
            "be looked into."
        )
    return flagged


def _told_apart(entry: DatasetEntry, resolution: str, labels: "pd.Series", made: Made) -> dict[str, str]:
    """Compare with the next finer resolution at which the cells have names."""
    if is_given(resolution):
        return {}
    finer = [key for key in in_order(entry.clusterings) if not is_given(key) and float(key) > float(resolution)]
    for key in finer:
        clusters, named, reviewed = (made(asset, key) for asset in ("leiden_clusters", "annotations", "reviewed"))
        if clusters is None or named is None or reviewed is None:
            continue
        table = clusters.read()
        cut = table.set_index("cell_id")["cluster"]
        final = {row.cluster: row for row in reviewed.records(BoostedCluster)}
        # Names of an earlier clustering say nothing of this one, which has clusters of the same ids.
        of_now = {row.cluster: row.cells for row in named.records(AnnotatedCluster)} == digest_clusters(table)
        if of_now and set(cut) == set(final):
            pairs = names_apart(labels, cut, final)
            return {cluster: f"{one} and {other} at {key}" for cluster, (one, other) in pairs.items()}
    return {}
