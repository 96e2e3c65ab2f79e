"""What is inside a cluster? Its parts are named by the same roles, and held against the name of their parent.

No role of its own: a part is annotated, validated and scored as any cluster is. Its markers are first those that tell
it from its siblings, then those that tell it from all other cells, and the models are told what the parent is.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, override

from cassia_dagster.agents.annotate import annotate_cluster
from cassia_dagster.agents.score import score_cluster
from cassia_dagster.knowledge.ontology import Relation, load_ontology
from cassia_dagster.knowledge.resolver import resolve_name
from cassia_dagster.records import (
    Annotation,
    BoostedCluster,
    ClusterEvidence,
    ClusterFinding,
    EvidenceCheck,
    Exchange,
    Fraction,
    ManualOutcome,
    Marker,
    Name,
    Percent,
    Status,
)
from cassia_dagster.singlecell.cluster import digest_of

if TYPE_CHECKING:
    import pandas as pd

    from cassia_dagster.llm.door import Door
    from cassia_dagster.records import ClusterResult

MIXED_BELOW = 75.0
"""A label with a lower score asks to be looked into."""

LEAST_SHARE = 0.1
"""Of a cluster's cells, under a name of their own at a finer resolution, from which on they are no stragglers."""

_WITHIN = frozenset({Relation.EXACT, Relation.FINER})
_OF_ONE_LINE = _WITHIN | {Relation.COARSER, Relation.UNRESOLVED, Relation.UNMAPPED}
_SIBLING_MARKERS = 40


class Subcluster(ClusterFinding):
    """A row of ``subclusters``: one part of a parent."""

    parent: str
    """Id of the cluster, or of several with a plus between them; it names the parent, and does not tell them apart."""
    parents: tuple[str, ...] = ()
    """Ids of these clusters, which may hold a plus themselves."""
    parent_label: Name | None
    n_cells: int
    members: tuple[str, ...] = ()
    """Ids of its cells."""
    share_of_parent: Fraction
    markers_against_siblings: tuple[str, ...]
    status: Status
    status_reason: str = ""
    annotation: Annotation | None
    check: EvidenceCheck | None
    score: Percent | None
    relation: Relation | None
    """How the label stands to the parent's; ``None`` where one of the two is no term."""
    history: tuple[Exchange, ...] = ()

    @property
    def within_parent(self) -> bool | None:
        """Whether the label is the parent's or a kind of it; ``None`` where that cannot be told."""
        return None if self.relation is None else self.relation in _WITHIN

    @override
    def is_about(self, clusters: Mapping[str, ClusterResult]) -> bool:
        """Tell whether its parent is there; `parts_of_now` and `lies_in_parent` tell about the cells."""
        return bool(self.parents) and set(self.parents) <= clusters.keys()

    def lies_in_parent(self, labels: pd.Series) -> bool:
        """Tell whether all its cells are in clusters of the parent's ids, by the cluster of each cell."""
        return set(labels.reindex(list(self.members))) <= set(self.parents)

    def under(self, final: Mapping[str, BoostedCluster]) -> Subcluster:
        """Hold it against what its parent is called in the end, which may be another name than when it was named."""
        label, cl_id = _name_of([final[cluster] for cluster in self.parents])
        own = self.check.cl_id if self.check else None
        return self.model_copy(update={"parent_label": label, "relation": _relation(own, cl_id)})


def why_looked_into(row: BoostedCluster) -> str:
    """Say why a cluster may hold more than one type: it is mixed, unresolved, or scored low; nothing if it is not."""
    annotation = row.annotation
    if annotation is None or annotation.unresolved is not None:
        return "unresolved"
    if annotation.mixed_celltypes:
        return "mixed"
    if row.score is None:
        return "" if row.review and row.review.outcome is ManualOutcome.LABELLED else "not scored"
    # Rounded down: one that is just below the bar is not told as one that reaches it.
    return f"scored {math.floor(row.score * 10) / 10:g}" if row.score < MIXED_BELOW else ""


def names_apart(labels: pd.Series, finer: pd.Series, final: Mapping[str, BoostedCluster]) -> dict[str, tuple[str, str]]:
    """Find the clusters that hold cells of two types, neither a kind of the other, where the cells are cut finer.

    Parameters
    ----------
    labels, finer
        Cell id → cluster id, as they are looked at, and cut finer.
    final
        What each of the finer clusters is called in the end.

    Returns
    -------
    dict
        Cluster → the two such names that most of its cells have, the more frequent first.
    """
    ontology = load_ontology()
    terms = {cluster: row.check.cl_id for cluster, row in final.items() if _is_named(row) and row.check}
    of_cell = finer.reindex(labels.index).map(terms)
    found = {}
    for cluster, cells in of_cell.groupby(labels, sort=False):
        counts = cells.value_counts()
        frequent = [str(term) for term, n in counts.items() if n >= LEAST_SHARE * len(cells)]
        apart = (pair for pair in combinations(frequent, 2) if ontology.relation(*pair) not in _OF_ONE_LINE)
        if pair := next(apart, None):
            found[str(cluster)] = (ontology.label(pair[0]), ontology.label(pair[1]))
    return found


def called(label: str, sample: ClusterEvidence, final: Mapping[str, BoostedCluster]) -> tuple[str, ...]:
    """Return the clusters that are called so, or a kind of it on the Cell Ontology; ``sample`` says of which tissue."""
    ontology = load_ontology()
    cl_id = label.upper() if label.casefold().startswith("cl:") else label
    term = cl_id if cl_id in ontology else resolve_name(label, sample.tissue, sample.species).cl_id
    return tuple(
        cluster
        for cluster, row in final.items()
        if _is_named(row)
        and (
            (row.annotation and (row.annotation.label or "").casefold() == label.casefold())
            or (term and row.check and row.check.cl_id and ontology.relation(row.check.cl_id, term) in _WITHIN)
        )
    )


def _is_named(row: BoostedCluster) -> bool:
    return row.annotation is not None and row.annotation.unresolved is None


def markers_of_part(against_siblings: Sequence[Marker], against_all: Sequence[Marker]) -> tuple[Marker, ...]:
    """Put what tells a part from its siblings before what tells it from all other cells; each gene once."""
    first = tuple(against_siblings[:_SIBLING_MARKERS])
    named = {marker.gene for marker in first}
    return (*first, *(marker for marker in against_all if marker.gene not in named))


def name_part(
    evidence: ClusterEvidence,
    members: Sequence[str],
    parent: Sequence[BoostedCluster],
    n_parent: int,
    doors: tuple[Door, Door, Door],
    subject: str,
) -> Subcluster:
    """Annotate, validate and score one part, and hold its name against the parent's.

    Parameters
    ----------
    evidence
        Of the part, with `markers_of_part`.
    members
        Ids of its cells.
    parent
        The final word on each cluster that the parent is made of.
    n_parent
        Cells of the parent.
    doors
        The ways to annotator, validator and scorer.
    subject
        What the ledger calls the part.
    """
    annotator, validator, scorer = doors
    label, cl_id = _name_of(parent)
    annotated = annotate_cluster(_told(evidence, label), annotator, validator, subject)
    scored = score_cluster(annotated.evidence, annotated, scorer, subject)
    own = annotated.check.cl_id if annotated.check else None
    return Subcluster(
        cluster=evidence.cluster,
        cells=digest_of(members),
        parent="+".join(row.cluster for row in parent),
        parents=tuple(row.cluster for row in parent),
        parent_label=label,
        n_cells=evidence.n_cells or 0,
        members=tuple(members),
        share_of_parent=(evidence.n_cells or 0) / n_parent,
        markers_against_siblings=tuple(marker.gene for marker in evidence.markers[:10]),
        status=annotated.status,
        status_reason=annotated.status_reason,
        annotation=annotated.annotation,
        check=annotated.check,
        score=scored.score,
        relation=_relation(own, cl_id),
        history=(*annotated.history, *scored.history),
    )


def parts_of_now(rows: Iterable[Subcluster], labels: pd.Series, looked_into: Collection[str] = ()) -> list[Subcluster]:
    """Return the parts whose parents have the very cells that they had; each cell is in one of them at most.

    Parameters
    ----------
    rows
        All parts of each parent; where two parents share cells, the first has them.
    labels
        Cell id → cluster id, as they are now.
    looked_into
        Clusters that are looked into anew, so that older parts of them are dropped.
    """
    by_parent: defaultdict[str, list[Subcluster]] = defaultdict(list)
    for row in rows:
        by_parent[row.parent].append(row)
    taken, held = set(looked_into), list[Subcluster]()
    for parts in by_parent.values():
        members = {cell for part in parts for cell in part.members}
        clusters = set(labels[labels.index.isin(members)])
        if members and members == set(labels.index[labels.isin(clusters)]) and not clusters & taken:
            taken |= clusters
            held += parts
    return held


def _name_of(parent: Sequence[BoostedCluster]) -> tuple[str | None, str | None]:
    """Name a parent of one cluster by its label, and one of several by their lowest common ancestor."""
    terms = [row.check.cl_id for row in parent if row.check and row.check.cl_id]
    if len(parent) == 1:
        said = parent[0].annotation
        return (said.label if said and not said.unresolved else None), (terms[0] if terms else None)
    if len(terms) < len(parent):
        return None, None
    ontology = load_ontology()
    common = frozenset.intersection(*(ontology.ancestors(term) for term in terms))
    named = [term for term in common if not ontology.is_root_level(term)]
    if not named:
        return None, None
    lowest = max(named, key=lambda term: (len(ontology.ancestors(term)), term))
    return ontology.label(lowest), lowest


def _relation(own: str | None, parent: str | None) -> Relation | None:
    return load_ontology().relation(own, parent) if own and parent else None


def _told(evidence: ClusterEvidence, parent: str | None) -> ClusterEvidence:
    """Tell the models what they look at."""
    said = f"a part of a cluster that was named {parent}" if parent else "a part of a cluster that has no sure name"
    about = f"This is {said}; its first markers tell it from the other parts, the later ones from all other cells."
    return evidence.model_copy(update={"context": f"{evidence.context} {about}".strip()})
