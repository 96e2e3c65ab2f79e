"""Clusters that bear the same name where there are kinds of it: what sets them apart tells which kind each is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from cassia_dagster.knowledge.belief import model_of
from cassia_dagster.knowledge.deciding import leaning
from cassia_dagster.knowledge.ontology import load_ontology
from cassia_dagster.knowledge.resolver import resolve_name

if TYPE_CHECKING:
    from cassia_dagster.records import AnnotatedCluster, ClusterEvidence, GeneLookup

ASKED = (
    "Other clusters of this data bear the same name. Which kind of it is this one? Test at least two kinds that no "
    "cell is both of, with the genes that tell one from the other; 'nearest 1' in the findings stands for the other "
    "clusters of the name together, and decides. Name a kind if its genes are higher here than there and those of its "
    "rivals are not, and keep the name otherwise."
)
"""What the booster is told of them."""

CLEARLY = 0.5
"""What must speak for a kind rather than for its rivals: as much as if half of its genes were higher than in the other
clusters of the name, and none of its rivals'."""


def namesakes_of(rows: Sequence[AnnotatedCluster]) -> dict[str, tuple[str, ...]]:
    """Find the clusters whose name others bear too, although marker knowledge has kinds of it.

    A name as broad as "epithelial cell" tells no type yet, so there is no question of which kind of it.

    Parameters
    ----------
    rows
        The clusters of one clustering. Those of which no cells are known cannot be compared, and have no namesakes.

    Returns
    -------
    dict
        Cluster → the others of its name.
    """
    bearing: dict[str, list[str]] = {}
    for row in rows:
        if (term := _name_with_kinds(row)) is not None:
            bearing.setdefault(term, []).append(row.cluster)
    return {
        cluster: tuple(other for other in clusters if other != cluster)
        for clusters in bearing.values()
        if len(clusters) > 1
        for cluster in clusters
    }


def _name_with_kinds(row: AnnotatedCluster) -> str | None:
    named = row.annotation is not None and row.annotation.label is not None and not row.annotation.unresolved
    if not named or row.check is None or row.check.cl_id is None or not row.evidence.n_cells:
        return None
    if load_ontology().is_root_level(row.check.cl_id):
        return None
    return row.check.cl_id if model_of(row.evidence).kinds(row.check.cl_id).any() else None


class Lead(NamedTuple):
    """How far genes speak for a kind, in a cluster against the others of its name."""

    own: float
    """What its own genes say, from -1 to 1."""
    over: float
    """The same, less what those of the best of its rivals say, from -2 to 2."""

    @property
    def is_clear(self) -> bool:
        """Whether the kind may be named: that its rivals' genes are lower is not enough, for it may be a third kind."""
        return self.own > 0 and self.over >= CLEARLY


def lead_of(
    evidence: ClusterEvidence,
    lookups: Sequence[GeneLookup],
    namesakes: Sequence[str],
    kind: str,
    rivals: Sequence[str],
) -> Lead:
    """Tell how far the genes speak for a kind rather than for its rivals.

    Only what the genes are against clusters of the name counts. Genes of a kind are higher than in most clusters of
    another name, whichever kind it is: against the cells beside it, a macrophage of the pancreas shows those of the
    colon's.

    Parameters
    ----------
    evidence
        The cluster.
    lookups
        What the data says of genes in it.
    namesakes
        The other clusters of its name, which were looked at as one.
    kind, rivals
        Cell Ontology terms.
    """
    model = model_of(evidence)
    others = " and ".join(namesakes)  # as what answers for genes calls them
    among = [one.model_copy(update={"rest": near}) for one in lookups for near in one.nearest if near.against == others]
    own = leaning(model, among, kind, rivals)
    return Lead(own, own - max((leaning(model, among, rival, (kind,)) for rival in rivals), default=0.0))


def is_told_apart(
    evidence: ClusterEvidence,
    lookups: Sequence[GeneLookup],
    namesakes: Sequence[str],
    present: str | None,
    kind: str | None,
    tested: Sequence[str],
) -> bool:
    """Tell whether a name is a kind of the present one, and the data bears it out against other kinds that were tested.

    Parameters
    ----------
    evidence, lookups, namesakes
        As for `lead_of`.
    present, kind
        Cell Ontology terms of the old name and the new.
    tested
        Names of the hypotheses.
    """
    model, above = model_of(evidence), load_ontology().ancestors
    if kind is None or present is None or kind == present or present not in above(kind):
        return False
    terms = {resolve_name(name, evidence.tissue, evidence.species).cl_id for name in tested}
    rivals = sorted(term for term in terms if term and present in above(term) and model.are_apart(term, kind))
    return bool(rivals) and lead_of(evidence, lookups, namesakes, kind, rivals).is_clear
