"""What a second look at clusters needs to know of the data, and what it is expected to cost."""

from collections.abc import Mapping, Sequence
from functools import partial

from cassia_dagster.agents.boost import BOOSTER, BoostPlan, ClusterData, boost_cluster
from cassia_dagster.agents.estimate import Expected, rehearsal
from cassia_dagster.agents.score import SCORER
from cassia_dagster.errors import InputError
from cassia_dagster.llm.choice import EMBEDDED
from cassia_dagster.llm.store import Store
from cassia_dagster.records import AnnotatedCluster, ScoredCluster
from cassia_dagster.singlecell.cluster import digest_clusters
from cassia_dagster.singlecell.contrasts import contrasts
from cassia_dagster.singlecell.lookup import look_up_markers, sum_expression
from resources.llm import ModelResource
from resources.storage import AdataFile, TableFile
from resources.versions import version_of_records


def digest_of(row: AnnotatedCluster, score: ScoredCluster) -> str:
    """Tell an annotation and its score from others, whatever the conversation that led to them."""
    return version_of_records([row, score], without={"about"}).value


def expected_look(
    pairs: Sequence[tuple[AnnotatedCluster, ScoredCluster]],
    players: tuple[ModelResource, ModelResource],
    store: Store,
    plan: BoostPlan,
    data: Mapping[str, ClusterData] | None = None,
) -> list[Expected]:
    """Say what second looks would take; nobody is asked.

    Parameters
    ----------
    pairs
        The clusters, as they are annotated and scored.
    players
        Booster and scorer.
    store, plan
        The replies that are there, and what the booster is told.
    data
        What answers for the genes of each; where none is given, its markers do.
    """
    if {model.title for model in players} == {EMBEDDED}:
        return []  # free
    booster = rehearsal(players[0].backends()[0], store, BOOSTER)
    scorer = rehearsal(players[1].backends()[0], store, SCORER)
    for row, score in pairs:
        known = data[row.cluster] if data else ClusterData()
        boost_cluster(
            row,
            score,
            booster,
            scorer,
            "rehearsal",
            look_up=known.look_up,
            contrast=known.contrast,
            namesakes=known.namesakes,
            plan=plan,
        )
    return [*booster.expected.values(), *scorer.expected.values()]


def data_of_now(
    normalized_adata: AdataFile | None,
    leiden_clusters: TableFile,
    rows: Sequence[AnnotatedCluster],
    namesakes: Mapping[str, tuple[str, ...]],
) -> dict[str, ClusterData]:
    """Do as `data_of` does for rows that were rehearsed just now, which are about the clusters as they are."""
    if not rows:
        return {}
    digests = digest_clusters(leiden_clusters.read())
    about = [row.model_copy(update={"cells": digests[row.cluster]}) for row in rows]
    return data_of(about, normalized_adata, leiden_clusters, namesakes)


def data_of(
    rows: list[AnnotatedCluster],
    normalized_adata: AdataFile | None,
    leiden_clusters: TableFile,
    namesakes: Mapping[str, tuple[str, ...]] | None = None,
) -> dict[str, ClusterData]:
    """Prepare what is asked of each cluster; the matrix is read only if there is a cluster to look at."""
    same = namesakes or {}
    if not rows:
        return {}
    clusters = leiden_clusters.read()
    labels = clusters.set_index("cell_id")["cluster"]
    digests = digest_clusters(clusters)
    if strangers := [row.cluster for row in rows if row.cells != digests.get(row.cluster)]:
        raise InputError(
            f"The annotation of cluster {strangers[0]} is about other cells than those that leiden_clusters holds now. "
            "Materialize annotations and scores again."
        )
    if normalized_adata is None:  # nothing can be looked up beyond the marker table
        return {row.cluster: ClusterData((), partial(look_up_markers, row.evidence)) for row in rows}
    with normalized_adata.expression() as cells:
        sums = sum_expression(cells, labels)
        most_like = {row.cluster: row.evidence.nearest[0].cluster for row in rows if row.evidence.nearest}
        against = contrasts(cells, labels, sums.clusters, most_like)
        return {
            row.cluster: ClusterData(
                contrast=against.get(row.cluster, ()),
                look_up=partial(sums.look_up, row.evidence, namesakes=same.get(row.cluster, ())),
                namesakes=same.get(row.cluster, ()),
            )
            for row in rows
        }
