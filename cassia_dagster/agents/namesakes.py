"""Clusters that bear the same name where there are kinds of it: what sets them apart tells which kind each is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cassia_dagster.knowledge.belief import load_model
from cassia_dagster.knowledge.deciding import leaning
from cassia_dagster.knowledge.ontology import load_ontology

if TYPE_CHECKING:
    from cassia_dagster.records import AnnotatedCluster, GeneLookup, Species

ASKED = (
    "Other clusters of this data bear the same name. Which kind of it is this one? 'nearest 1' in the findings stands "
    "for these clusters together: name a kind if the genes that tell it from the others are higher here than there, "
    "and keep the name if they are not."
)
"""What the booster is told of them."""


def namesakes_of(rows: Sequence[AnnotatedCluster]) -> dict[str, tuple[str, ...]]:
    """Find the clusters whose name others bear too, although marker knowledge has kinds of it.

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
    return row.check.cl_id if load_model(row.evidence.species).kinds(row.check.cl_id).any() else None


def apart(species: Species, lookups: Sequence[GeneLookup], kind: str, rivals: Sequence[str]) -> float:
    """How far the genes speak for a kind rather than for its rivals, in this cluster against its namesakes.

    Parameters
    ----------
    species, lookups
        Whose genes, and what the data says of them; the first comparison with similar clusters counts.
    kind, rivals
        Cell Ontology terms, none of them a kind of the other.

    Returns
    -------
    float
        From -2 to 2: what speaks for the kind, less what speaks for the best of the rivals.
    """
    among = [one.model_copy(update={"rest": one.nearest[0]}) for one in lookups if one.nearest]
    theirs = max((leaning(species, among, rival, (kind,)) for rival in rivals), default=0.0)
    return leaning(species, among, kind, rivals) - theirs


def is_kind_told_apart(
    species: Species, lookups: Sequence[GeneLookup], present: str | None, kind: str | None, tested: Sequence[str]
) -> bool:
    """Tell whether a name is a kind of the present one, and the data bears it out against the others that were tested.

    Parameters
    ----------
    species, lookups
        As for `apart`.
    present, kind
        Cell Ontology terms of the old name and the new.
    tested
        Names of the hypotheses.
    """
    ontology = load_ontology()
    if kind is None or present is None or kind == present or present not in ontology.ancestors(kind):
        return False
    terms = {term for name in tested if (term := ontology.resolve(name))}
    rivals = tuple(sorted(term for term in terms if _are_apart(term, kind)))
    return bool(rivals) and apart(species, lookups, kind, rivals) > 0


def _are_apart(one: str, other: str) -> bool:
    ontology = load_ontology()
    return one not in ontology.ancestors(other) and other not in ontology.ancestors(one)
