"""How well our labels agree with labels that others gave to the same cells."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

from pydantic import Field

from cassia_dagster.errors import InputError
from cassia_dagster.knowledge.anatomy import organs_named
from cassia_dagster.knowledge.ontology import Relation, load_ontology
from cassia_dagster.records import Fraction, Record


class ClusterAgreement(Record):
    """One cluster: the gold label of most of its cells beside ours."""

    cluster: str
    n_cells: int
    gold_label: str | None
    """``None`` where none of the cells has a gold label; ties go to the first by name."""
    purity: Fraction
    """Share of the cluster's cells that have this gold label."""
    gold_id: str | None
    label_id: str | None
    label: str | None
    relation: Relation
    hierarchical_f1: Fraction | None
    """``None`` where the gold label is no term of the ontology; 0 where the cluster is unresolved."""


class Agreement(Record):
    """All clusters of one clustering against gold labels."""

    clusters: tuple[ClusterAgreement, ...]
    cell_share: dict[Relation, Fraction]
    """Share of all cells that are in clusters of each relation; sums to 1."""
    exact_or_finer: Fraction
    """Share of the clusters with a mapped gold label whose label is the gold label or a kind of it."""
    mean_hierarchical_f1: Fraction | None
    """Over the clusters with a mapped gold label, each counting once."""
    coverage: Fraction
    """Share of all cells whose own gold label maps to the ontology."""
    adjusted_rand_index: Annotated[float, Field(ge=-1, le=1)] | None
    """Of the clusters against the gold labels, whatever they are called; ``None`` without gold labels."""
    normalized_mutual_information: Fraction | None


def compare_with_gold(
    labels: Mapping[str, str | None],
    clusters: Sequence[str],
    gold_labels: Sequence[str | None],
    gold_ids: Mapping[str, str | None],
) -> Agreement:
    """Compare the labels of clusters with gold labels of their cells.

    Parameters
    ----------
    labels
        Cluster id → Cell Ontology id of our label, or ``None`` where it is unresolved.
    clusters, gold_labels
        Of each cell, in the same order: its cluster id and its gold label. ``None``, NaN and ``""`` mean no gold label.
    gold_ids
        Gold label → Cell Ontology id; a label that is missing here, or ``None``, is unmapped.

    Returns
    -------
    Agreement
        Clusters in order of their first cell.

    Raises
    ------
    InputError
        Where lengths or cluster ids do not match, or an id is no term of the ontology.
    """
    if len(clusters) != len(gold_labels):
        raise InputError(f"{len(clusters)} cells have a cluster but {len(gold_labels)} a gold label; give one a cell.")
    gold_of_cell = [gold if isinstance(gold, str) and gold else None for gold in gold_labels]
    members: defaultdict[str, list[str | None]] = defaultdict(list)
    for cluster, gold in zip(clusters, gold_of_cell, strict=True):
        members[cluster].append(gold)
    if unknown := sorted(members.keys() - labels.keys()):
        raise InputError(
            f"Cluster {unknown[0]!r} has no label; there are labels for {sorted(labels)}. Ids match exactly."
        )
    rows = tuple(_compare_cluster(c, labels[c], cells, gold_ids) for c, cells in members.items())
    n_cells = max(1, len(clusters))
    shares = Counter[Relation]()
    for row in rows:
        shares[row.relation] += row.n_cells
    f1s = [row.hierarchical_f1 for row in rows if row.hierarchical_f1 is not None]
    same_or_finer = sum(row.relation in (Relation.EXACT, Relation.FINER) for row in rows)
    ari, nmi = _partition_agreement(clusters, gold_of_cell)
    return Agreement(
        clusters=rows,
        cell_share={relation: shares[relation] / n_cells for relation in Relation},
        exact_or_finer=same_or_finer / max(1, len(f1s)),
        mean_hierarchical_f1=sum(f1s) / len(f1s) if f1s else None,
        coverage=sum(gold is not None and gold_ids.get(gold) is not None for gold in gold_of_cell) / n_cells,
        adjusted_rand_index=ari,
        normalized_mutual_information=nmi,
    )


def _compare_cluster(
    cluster: str, label_id: str | None, cells: list[str | None], gold_ids: Mapping[str, str | None]
) -> ClusterAgreement:
    ontology = load_ontology()
    counts = Counter(gold for gold in cells if gold is not None)
    gold_label = min(counts, key=lambda gold: (-counts[gold], gold), default=None)
    gold_id = gold_ids.get(gold_label) if gold_label is not None else None
    return ClusterAgreement(
        cluster=cluster,
        n_cells=len(cells),
        gold_label=gold_label,
        purity=counts[gold_label] / len(cells) if gold_label is not None else 0.0,
        gold_id=gold_id,
        label_id=label_id,
        label=ontology.label(label_id) if label_id is not None else None,
        relation=ontology.relation(label_id, gold_id),
        hierarchical_f1=ontology.hierarchical_score(label_id, gold_id).f1 if gold_id is not None else None,
    )


def _partition_agreement(clusters: Sequence[str], gold: list[str | None]) -> tuple[float | None, float | None]:
    labelled = [(cluster, label) for cluster, label in zip(clusters, gold, strict=True) if label is not None]
    if not labelled:
        return None, None
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    ours, theirs = zip(*labelled, strict=True)
    # Rounding can carry a perfect agreement past 1.
    ari, nmi = adjusted_rand_score(theirs, ours), normalized_mutual_info_score(theirs, ours)
    return min(1.0, float(ari)), min(1.0, max(0.0, float(nmi)))


def map_gold_labels(labels: Iterable[str], tissue: str = "") -> dict[str, str | None]:
    """Cell Ontology ids of free-text gold labels, for :func:`compare_with_gold`.

    A label is read as it stands, then with "cell" behind it, then with the organ that the tissue names before it
    ("alpha" in pancreatic islets: "pancreatic alpha cell"). A reading with an organ is preferred where there is one,
    since "ductal cell" of the pancreas means more than ductal cell.

    Parameters
    ----------
    labels
        Gold labels, in any order; repeated ones are mapped once.
    tissue
        Free text, as in the dataset's catalog entry; ``""`` where unknown.
    """
    return {label: _map_gold_label(label, tissue) for label in dict.fromkeys(labels)}


def _map_gold_label(label: str, tissue: str) -> str | None:
    ontology = load_ontology()
    text = " ".join(label.replace("_", " ").split())
    names = (text, f"{text} cell")
    organs = sorted(organs_named(tissue))
    adjectives = {"pancreas": "pancreatic", "kidney": "kidney", "liver": "hepatic", "lung": "lung"}
    readings = [f"{adjectives.get(organ, organ)} {name}" for organ in organs for name in names]
    return next((found for name in (*readings, *names) if (found := ontology.resolve(name)) is not None), None)
