"""How the clusters of one dataset pass into each other from resolution to resolution, and whether their names agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from cassia_dagster.errors import InputError
from cassia_dagster.evaluation.recommend import Recommendation, recommend, settled
from cassia_dagster.knowledge.ontology import Relation, load_ontology
from cassia_dagster.records import Fraction, Percent, Record
from cassia_dagster.singlecell.names import are_same

if TYPE_CHECKING:
    import pandas as pd


class BorneOut(Record):
    """What most cells of a cluster are soundly called at another resolution."""

    resolution: str
    label: str
    """The cluster's own label, or else the type that this is a kind of."""
    cl_id: str | None = None


class NamedCluster(Record):
    """A cluster at one resolution, and the name that it ended with."""

    cluster: str
    n_cells: Annotated[int, Field(ge=1)]
    label: str | None
    """``None`` where it is unresolved."""
    cl_id: str | None = None
    """The label as a Cell Ontology term."""
    score: Percent | None = None
    is_sound: bool = False
    """Whether it has a label that scored well and that the check of the evidence found nothing against."""
    is_objected_to: bool = False
    """Whether the check of the evidence found something against the label."""
    borne_out: BorneOut | None = None
    """Where the label is not sound by itself, what of it another resolution bears out."""

    @property
    def sound_type(self) -> str | None:
        """The type that is sure: the label where it is sound, else what of it another resolution bears out."""
        if self.is_sound:
            return self.cl_id or self.label
        return (self.borne_out.cl_id or self.borne_out.label) if self.borne_out else None


class Level(Record):
    """All clusters of a dataset at one resolution."""

    resolution: str
    title: str
    """The resolution in words."""
    is_given: bool = False
    """Whether the clusters are the user's own, and no resolution of Leiden's."""
    clusters: Annotated[tuple[NamedCluster, ...], Field(min_length=1)]
    modularity: float | None = None
    stability: Fraction | None = None
    """How much of the clustering is found again from other seeds or with fewer cells; ``None`` where not measured."""
    agreement: Mapping[str, Fraction] = {}
    """Column of known labels → mean hierarchical F1 of our labels, each cell counting once."""

    @property
    def n_cells(self) -> int:
        """Cells of all clusters."""
        return sum(one.n_cells for one in self.clusters)

    @property
    def sound_share(self) -> float:
        """Share of the cells whose cluster has a sound label, or one that another resolution bears out."""
        return sum(one.n_cells for one in self.clusters if one.sound_type is not None) / self.n_cells

    @property
    def sound_types(self) -> int:
        """How many different types have a sound label, or one that another resolution bears out."""
        return len({one.sound_type for one in self.clusters} - {None})

    @property
    def repeats(self) -> int:
        """How many clusters bear a label that another one bears too: splits that no name tells apart."""
        names = Counter(one.cl_id or one.label for one in self.clusters if one.label is not None)
        return sum(count - 1 for count in names.values())

    @property
    def mean_score(self) -> float | None:
        """Mean score of the labels, each cell counting once; those without a score left out."""
        scored = [(one.score, one.n_cells) for one in self.clusters if one.score is not None]
        return sum(score * cells for score, cells in scored) / sum(cells for _, cells in scored) if scored else None


class Flow(Record):
    """Cells that a cluster of one resolution shares with a cluster of the next."""

    resolution: str
    cluster: str
    """The parent, at the coarser resolution."""
    next_resolution: str
    next_cluster: str
    """The child, at the next one."""
    n_cells: Annotated[int, Field(ge=1)]
    share_of_parent: Fraction
    share_of_child: Fraction
    relation: Relation
    """How the child's label stands to the parent's."""


class Review(Record):
    """One dataset over all its resolutions."""

    dataset: str
    levels: Annotated[tuple[Level, ...], Field(min_length=1)]
    """Rising, the user's own clusterings last."""
    flows: tuple[Flow, ...]
    recommendation: Recommendation

    @property
    def renamed(self) -> tuple[Flow, ...]:
        """Clusters that are not called what most of their cells were called before; another lineage comes first."""
        severity = [Relation.CONTRADICTION, *Relation]
        changed = (flow for flow in self.flows if flow.relation is not Relation.EXACT and flow.share_of_child > 0.5)
        return tuple(sorted(changed, key=lambda flow: (severity.index(flow.relation), -flow.n_cells)))

    def contradicted(self, resolution: str, next_resolution: str) -> float:
        """Share of all cells that are named after lineages that exclude each other at two neighbouring resolutions."""
        between = [
            flow for flow in self.flows if (flow.resolution, flow.next_resolution) == (resolution, next_resolution)
        ]
        wrong = sum(flow.n_cells for flow in between if flow.relation is Relation.CONTRADICTION)
        return wrong / max(1, sum(flow.n_cells for flow in between))


def review_resolutions(dataset: str, levels: Sequence[Level], clusters: Mapping[str, pd.Series]) -> Review:
    """Follow every cell from resolution to resolution, and compare the names that it gets.

    Parameters
    ----------
    dataset
        Its name.
    levels
        In the order in which they are compared, each with the next.
    clusters
        Resolution → series of cluster ids, indexed by cell id.

    Returns
    -------
    Review
        A flow for every pair of clusters of neighbouring resolutions that share a cell, as in a clustering tree
        (Zappia & Oshlack 2018).

    Raises
    ------
    InputError
        If the resolutions are not about the same cells, or a cluster has no name.
    """
    for level in levels:
        _insist_on_names(dataset, level, clusters[level.resolution])
    flows = [flow for above, below in pairwise(levels) for flow in _flows(dataset, above, below, clusters)]
    known = tuple(_bear_out(level, levels, clusters) for level in levels)
    return Review(dataset=dataset, levels=known, flows=tuple(flows), recommendation=recommend(known))


def relate(child: NamedCluster, parent: NamedCluster) -> Relation:
    """Say how a child's label stands to its parent's, on the ontology; of other words only whether they are the same.

    Examples
    --------
    >>> t_cell = NamedCluster(cluster="0", n_cells=9, label="T cell", cl_id="CL:0000084")
    >>> cd8 = NamedCluster(cluster="1", n_cells=4, label="CD8-positive T cell", cl_id="CL:0000625")
    >>> relate(cd8, t_cell), relate(t_cell, cd8)
    (<Relation.FINER: 'finer'>, <Relation.COARSER: 'coarser'>)
    """
    if child.label is None or parent.label is None:
        return Relation.UNRESOLVED
    if child.cl_id is None or parent.cl_id is None:
        return Relation.EXACT if child.label == parent.label else Relation.UNMAPPED
    return load_ontology().relation(child.cl_id, parent.cl_id)


def _bear_out(level: Level, levels: Sequence[Level], clusters: Mapping[str, pd.Series]) -> Level:
    """Note of labels that only scored low what of them another resolution bears out.

    The more cells of its own type a cluster is compared with, the fewer markers set it apart, and the lower its label
    scores: a resolution that splits types must not lose by that. Nor is "T cell" in doubt where the same cells are
    sound CD4-positive T cells elsewhere; and where they are sound T cells, a doubtful "naive T cell" is a T cell. What
    the evidence speaks against stays in doubt, and a clustering that is a matter of chance bears out nothing.
    """
    # A clustering of the user's own may be the known labels, which are to have no say.
    others = [other for other in settled(levels) if other.resolution != level.resolution and not other.is_given]
    shared = {
        other.resolution: _shared_cells(clusters[level.resolution], clusters[other.resolution]) for other in others
    }

    def known(one: NamedCluster) -> NamedCluster:
        if one.is_sound or one.is_objected_to or not _names_type(one):
            return one
        found = (
            BorneOut(resolution=other.resolution, label=str(name.label), cl_id=name.cl_id)
            for name in _names(one, others)
            for other in others
            if _most_bear(name, other, shared[other.resolution], one)
        )
        return one.model_copy(update={"borne_out": next(found, None)})

    return level.model_copy(update={"clusters": tuple(known(one) for one in level.clusters)})


def _names(one: NamedCluster, others: Sequence[Level]) -> list[NamedCluster]:
    """Return the cluster's own name, then those that others have for something that it is a kind of, closest first."""
    sound = (each for other in others for each in other.clusters if each.is_sound and _names_type(each))
    above = {each.cl_id: each for each in sound if relate(each, one) is Relation.COARSER}
    ontology = load_ontology()
    return [one, *sorted(above.values(), key=lambda each: (ontology.n_descendants(str(each.cl_id)), each.cl_id))]


def _most_bear(name: NamedCluster, level: Level, shared: Mapping[tuple[str, str], int], one: NamedCluster) -> bool:
    """Tell whether most cells of a cluster are in others that bear a name, or that of a kind of it, soundly."""
    bearing = (
        shared.get((one.cluster, each.cluster), 0)
        for each in level.clusters
        if each.is_sound and relate(each, name) in (Relation.EXACT, Relation.FINER)
    )
    return sum(bearing) > one.n_cells / 2


def _shared_cells(clusters: pd.Series, others: pd.Series) -> Counter[tuple[str, str]]:
    """Count the cells that two clusters of two clusterings share."""
    in_order = others.reindex(clusters.index)
    return Counter(zip(*(ids.astype(str).to_list() for ids in (clusters, in_order)), strict=True))


def _names_type(one: NamedCluster) -> bool:
    return one.label is not None and (one.cl_id is None or not load_ontology().is_root_level(one.cl_id))


def _insist_on_names(dataset: str, level: Level, clusters: pd.Series) -> None:
    counted = {str(cluster): int(cells) for cluster, cells in clusters.value_counts().items()}
    named = {one.cluster: one.n_cells for one in level.clusters}
    if strangers := sorted(counted.items() ^ named.items()):
        cluster = strangers[0][0]
        raise InputError(
            f"Cluster {cluster!r} of {dataset!r}, {level.title}, has {counted.get(cluster, 0):,} cells in the "
            f"clustering and {named.get(cluster, 0):,} in the annotations. Materialize the annotations anew."
        )


def _flows(dataset: str, above: Level, below: Level, clusters: Mapping[str, pd.Series]) -> list[Flow]:
    upper, lower = clusters[above.resolution], clusters[below.resolution]
    if not are_same(lower.index, upper.index):
        raise InputError(
            f"{above.title} and {below.title} of {dataset!r} do not hold the same cells. Materialize both anew."
        )
    parents, children = ({one.cluster: one for one in level.clusters} for level in (above, below))
    shared = _shared_cells(upper, lower)
    places = {one: position for position, one in enumerate([*parents, *children])}
    return [
        Flow(
            resolution=above.resolution,
            cluster=parent,
            next_resolution=below.resolution,
            next_cluster=child,
            n_cells=cells,
            share_of_parent=cells / parents[parent].n_cells,
            share_of_child=cells / children[child].n_cells,
            relation=relate(children[child], parents[parent]),
        )
        for (parent, child), cells in sorted(shared.items(), key=lambda one: (places[one[0][0]], -one[1], one[0][1]))
    ]
