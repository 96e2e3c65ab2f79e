"""How well our labels agree with labels that others gave to the same cells."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from cassia_dagster.errors import InputError
from cassia_dagster.evaluation.measures import Measures, compare_terms, measure
from cassia_dagster.knowledge.ontology import Relation, load_ontology
from cassia_dagster.records import Fraction, Record

PURITY_FLOOR = 0.5
"""Where no gold label has more than this share of a cluster's labelled cells, no one label can be right for it."""


UNRESOLVED = "unresolved"


class ClusterAgreement(Record):
    """One cluster: the gold label of most of its cells beside ours."""

    cluster: str
    n_cells: int
    gold_label: str | None
    """``None`` where none of the cells has a gold label; ties go to the first by name."""
    purity: Fraction
    """Share of the cluster's cells that have this gold label."""
    is_mixed: bool = False
    """Whether its labelled cells are of several types, none with more than the floor: an error of the clustering or
    of the gold labels, and none of ours."""
    gold_id: str | None
    label_id: str | None
    label: str | None
    relation: Relation
    hierarchical_f1: Fraction | None
    """``None`` where the gold label is no term of the ontology; 0 where the cluster is unresolved."""
    grade: Fraction | None = None
    """1, 0.5 or 0 by the rule of `measures.GRADES`; ``None`` as for the F1."""


class Crossing(Record):
    """Cells that have one gold label and one of our labels."""

    gold_label: str
    label: str
    """``unresolved`` where the cluster has none."""
    n_cells: Annotated[int, Field(ge=1)]


class Agreement(Record):
    """All clusters of one clustering against gold labels."""

    clusters: tuple[ClusterAgreement, ...]
    crossings: tuple[Crossing, ...]
    """Every gold label by every label that its cells got, the most cells first; cells without a gold label left out."""
    cell_share: dict[Relation, Fraction]
    """Share of all cells that are in clusters of each relation; sums to 1."""
    by_cluster: Measures | None
    """Each cluster with a mapped gold label counts once; mixed ones not at all. ``None`` where there are none."""
    by_cell: Measures | None
    """Each cell counts once, with its own gold label: what a user of the labels meets."""
    by_type: Measures | None
    """Each gold label counts once, whatever its number of cells, so that rare types are seen."""
    coverage: Fraction
    """Share of all cells whose own gold label maps to the ontology."""
    adjusted_rand_index: Annotated[float, Field(ge=-1, le=1)] | None
    """Of the clusters against the gold labels, whatever they are called; ``None`` without gold labels."""
    normalized_mutual_information: Fraction | None
    homogeneity: Fraction | None
    """1 where every cluster holds cells of one gold label only."""

    @property
    def mean_hierarchical_f1(self) -> float | None:
        """Over the clusters that are compared, each counting once."""
        return self.by_cluster.mean_hf1 if self.by_cluster else None

    @property
    def exact_or_finer(self) -> float:
        """Share of the clusters that are compared whose label is the gold label or a kind of it."""
        return self.by_cluster.exact_or_finer if self.by_cluster else 0.0

    @property
    def contradiction_share(self) -> float:
        """Share of the cells in compared clusters whose cluster is contradicted; mixed clusters are not compared."""
        compared = [row for row in self.clusters if row.gold_id is not None and not row.is_mixed]
        wrong = set(self.contradicted)
        n_wrong = sum(row.n_cells for row in compared if row.cluster in wrong)
        return n_wrong / max(1, sum(row.n_cells for row in compared))

    @property
    def unmapped(self) -> tuple[str, ...]:
        """Gold labels of most cells of a cluster that no term is known for, by name."""
        return tuple(sorted({row.gold_label for row in self.clusters if row.gold_label and not row.gold_id}))

    @property
    def measures(self) -> dict[str, Measures]:
        """What the labels are worth counted by cluster, by cell and by type, as far as that can be measured."""
        counted = {"cluster": self.by_cluster, "cell": self.by_cell, "type": self.by_type}
        return {by: one for by, one in counted.items() if one is not None}

    @property
    def mixed(self) -> tuple[str, ...]:
        """Clusters that no one label can be right for."""
        return tuple(row.cluster for row in self.clusters if row.is_mixed)

    @property
    def contradicted(self) -> tuple[str, ...]:
        """Clusters whose label is of another lineage than the gold label; mixed ones left out."""
        wrong = Relation.CONTRADICTION
        return tuple(row.cluster for row in self.clusters if row.relation is wrong and not row.is_mixed)


def compare_with_gold(
    labels: Mapping[str, str | None],
    clusters: Sequence[str],
    gold_labels: Sequence[str | None],
    gold_ids: Mapping[str, str | None],
    purity_floor: float = PURITY_FLOOR,
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
    purity_floor
        A cluster where no gold label has more than this share of the labelled cells is mixed, and not compared.

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
    rows = tuple(_compare_cluster(c, labels[c], cells, gold_ids, purity_floor) for c, cells in members.items())
    n_cells = max(1, len(clusters))
    shares = Counter[Relation]()
    for row in rows:
        shares[row.relation] += row.n_cells
    compared = [compare_terms(row.label_id, row.gold_id) for row in rows if not row.is_mixed]
    by_cell, by_type = _measure_cells(labels, members, gold_ids)
    ari, nmi, homogeneity = _partition_agreement(clusters, gold_of_cell)
    return Agreement(
        clusters=rows,
        crossings=_cross(rows, members),
        cell_share={relation: shares[relation] / n_cells for relation in Relation},
        by_cluster=measure(compared),
        by_cell=by_cell,
        by_type=by_type,
        coverage=sum(gold is not None and gold_ids.get(gold) is not None for gold in gold_of_cell) / n_cells,
        adjusted_rand_index=ari,
        normalized_mutual_information=nmi,
        homogeneity=homogeneity,
    )


def _compare_cluster(
    cluster: str,
    label_id: str | None,
    cells: list[str | None],
    gold_ids: Mapping[str, str | None],
    purity_floor: float,
) -> ClusterAgreement:
    counts = Counter(gold for gold in cells if gold is not None)
    gold_label = min(counts, key=lambda gold: (-counts[gold], gold), default=None)
    gold_id = gold_ids.get(gold_label) if gold_label is not None else None
    compared = compare_terms(label_id, gold_id)
    return ClusterAgreement(
        cluster=cluster,
        n_cells=len(cells),
        gold_label=gold_label,
        purity=counts[gold_label] / len(cells) if gold_label is not None else 0.0,
        gold_id=gold_id,
        label_id=label_id,
        is_mixed=gold_label is not None and counts[gold_label] <= purity_floor * counts.total(),
        label=load_ontology().label(label_id) if label_id is not None else None,
        relation=compared.relation,
        hierarchical_f1=compared.f1,
        grade=compared.grade,
    )


def _cross(rows: Sequence[ClusterAgreement], members: Mapping[str, list[str | None]]) -> tuple[Crossing, ...]:
    counts = Counter[tuple[str, str]]()
    for row in rows:
        counts.update((gold, row.label or UNRESOLVED) for gold in members[row.cluster] if gold is not None)
    return tuple(
        Crossing(gold_label=gold, label=label, n_cells=cells)
        for (gold, label), cells in sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    )


def _measure_cells(
    labels: Mapping[str, str | None], members: Mapping[str, list[str | None]], gold_ids: Mapping[str, str | None]
) -> tuple[Measures | None, Measures | None]:
    """Compare each cell's own gold label with the label of its cluster: each cell, and each gold label, counts once."""
    pairs = Counter((cluster, gold) for cluster, cells in members.items() for gold in cells if gold is not None)
    compared = [compare_terms(labels[cluster], gold_ids.get(gold)) for cluster, gold in pairs]
    of_type = Counter[str]()
    for (_, gold), cells in pairs.items():
        of_type[gold] += cells
    by_cell = measure(compared, list(pairs.values()))
    by_type = measure(compared, [cells / of_type[gold] for (_, gold), cells in pairs.items()])
    n_cells = sum(cells for (_, gold), cells in pairs.items() if gold_ids.get(gold) is not None)
    n_types = sum(gold_ids.get(gold) is not None for gold in of_type)
    return (
        by_cell and by_cell.model_copy(update={"n": n_cells}),
        by_type and by_type.model_copy(update={"n": n_types}),
    )


def _partition_agreement(
    clusters: Sequence[str], gold: Sequence[str | None]
) -> tuple[float | None, float | None, float | None]:
    import numpy as np
    import pandas as pd

    ours, theirs = (pd.factorize(np.asarray(side, dtype=object))[0] for side in (clusters, gold))
    labelled = theirs >= 0
    if not labelled.any():
        return None, None, None
    from sklearn.metrics import adjusted_rand_score, homogeneity_score, normalized_mutual_info_score

    pair = theirs[labelled], ours[labelled]
    # Rounding can carry a perfect agreement past 1.
    ari, nmi, homogeneity = adjusted_rand_score(*pair), normalized_mutual_info_score(*pair), homogeneity_score(*pair)
    return min(1.0, float(ari)), min(1.0, max(0.0, float(nmi))), min(1.0, max(0.0, float(homogeneity)))
