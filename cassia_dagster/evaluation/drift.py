"""Did anything drift? Two versions of a dataset's labels, compared cluster by cluster, and what changed between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from cassia_dagster.evaluation.comparison import Change, change_of
from cassia_dagster.records import (
    AnnotatedCluster,
    BoostedCluster,
    ClusterResult,
    Exchange,
    Fraction,
    ManualOutcome,
    Percent,
    Record,
    natural_order,
)

if TYPE_CHECKING:
    import pandas as pd

UNRESOLVED = "unresolved"


class LabelBefore(Record):
    """What a cluster was, or is, said to be."""

    cluster: str
    label: str | None
    """``None`` where it is unresolved."""
    cl_id: str | None
    score: Percent | None


class ClusterDrift(Record):
    """A cluster of now beside the one of before that most of its cells were in."""

    cluster: str
    cells: str = ""
    """Digest of the ids of the cluster's cells."""
    n_cells: Annotated[int, Field(ge=0)]
    before: str | None
    """Id of the earlier cluster; ``None`` where none of the cells was there before."""
    overlap: Fraction
    """Share of the cells of both that are in both (Jaccard): 1 where the cluster did not change."""
    label: str | None
    label_before: str | None
    change: Change
    score: Percent | None
    score_before: Percent | None

    @property
    def score_change(self) -> float | None:
        """By how much the score rose; ``None`` where one of the two has none."""
        return None if self.score is None or self.score_before is None else self.score - self.score_before


class Drift(Record):
    """One version of a dataset's labels against an earlier one."""

    clusters: tuple[ClusterDrift, ...]
    """In natural order of the ids of now."""
    gone: tuple[str, ...]
    """Earlier clusters that no cluster of now has most of its cells from: they were joined to others."""
    changed_share: Fraction
    """Share of the cells that are called something else than before, whatever became of the clusters."""
    causes: tuple[str, ...]
    """What else is not as it was: cells, prompts, models, knowledge."""
    against: str = ""
    """When the earlier version was written."""

    @property
    def counts(self) -> dict[Change, int]:
        """How many clusters changed in which way."""
        counts = Counter(row.change for row in self.clusters)
        return {change: counts[change] for change in Change}

    def is_about(self, clusters: Mapping[str, ClusterResult]) -> bool:
        """Tell whether it still holds: whether the clusters of now are these, and are called what they are here."""
        return {row.cluster for row in self.clusters} == clusters.keys() and all(
            row.cells == clusters[row.cluster].annotated.cells
            and _label(clusters[row.cluster].boosted).label == row.label
            for row in self.clusters
        )


def labels_of(rows: Sequence[BoostedCluster]) -> dict[str, LabelBefore]:
    """Read the final labels of a version."""
    return {row.cluster: _label(row) for row in rows}


def _label(row: BoostedCluster) -> LabelBefore:
    annotation = row.annotation
    named = annotation is not None and annotation.unresolved is None and annotation.label is not None
    return LabelBefore(
        cluster=row.cluster,
        label=annotation.label if annotation is not None and named else None,
        cl_id=row.check.cl_id if row.check is not None and named else None,
        score=row.score,
    )


def compare_versions(
    before: Mapping[str, LabelBefore],
    now: Mapping[str, LabelBefore],
    cells_before: pd.Series,
    cells_now: pd.Series,
    causes: Sequence[str] = (),
    *,
    digests: Mapping[str, str] | None = None,
    against: str = "",
) -> Drift:
    """Compare two versions of the labels of the same dataset.

    Parameters
    ----------
    before, now
        Cluster id → label of each version.
    cells_before, cells_now
        Cell id → cluster id of each version, both strings. Each cluster must have a label.
    causes
        What is known to be different, as `find_causes` tells.
    digests
        Cluster id → digest of its cells now.
    against
        When the earlier version was written.

    Returns
    -------
    Drift
        A row for every cluster of now. How a label stands to the earlier one is told on the Cell Ontology, as in
        `comparison.compare_runs`.
    """
    shared = _shared_cells(cells_before, cells_now)
    sizes, sizes_before = Counter(cells_now), Counter(cells_before)
    rows = []
    for cluster in natural_order(now):
        earlier = shared.get(cluster, Counter())
        match = min(earlier, key=lambda one: (-earlier[one], one), default=None)
        union = 0 if match is None else sizes[cluster] + sizes_before[match] - earlier[match]
        first = None if match is None else before[match]
        rows.append(
            ClusterDrift(
                cluster=cluster,
                cells=(digests or {}).get(cluster, ""),
                n_cells=sizes[cluster],
                before=match,
                overlap=0.0 if match is None else earlier[match] / union,
                label=now[cluster].label,
                label_before=first.label if first else None,
                change=_change(first, now[cluster]),
                score=now[cluster].score,
                score_before=first.score if first else None,
            )
        )
    matched = {row.before for row in rows}
    renamed = sum(
        cells
        for one, earlier in shared.items()
        for other, cells in earlier.items()
        if _change(before[other], now[one]) is not Change.SAME
    )
    return Drift(
        clusters=tuple(rows),
        gone=tuple(natural_order(cluster for cluster in before if cluster not in matched)),
        changed_share=renamed / len(cells_now) if len(cells_now) else 0.0,
        causes=tuple(causes),
        against=against,
    )


def _shared_cells(cells_before: pd.Series, cells_now: pd.Series) -> dict[str, Counter[str]]:
    """Count for every cluster of now the cells that it has from each of before; a cell that is new has none."""
    shared: dict[str, Counter[str]] = {}
    cluster_before = cells_before.to_dict()
    for cell, cluster in cells_now.to_dict().items():
        if cell in cluster_before:
            shared.setdefault(str(cluster), Counter())[str(cluster_before[cell])] += 1
    return shared


def _change(first: LabelBefore | None, second: LabelBefore) -> Change:
    if first is None:
        return Change.GAINED if second.label is not None else Change.SAME
    return change_of((first.label, first.cl_id), (second.label, second.cl_id))


def find_causes(
    annotated_before: Sequence[AnnotatedCluster],
    annotated_now: Sequence[AnnotatedCluster],
    final_before: Sequence[BoostedCluster] = (),
    final_now: Sequence[BoostedCluster] = (),
) -> tuple[str, ...]:
    """Say what else changed: the cells (or markers) of clusters, each role's prompt and model, what persons said.

    The embedded model is named with the version of its knowledge, so that another knowledge is another model.
    """
    causes: list[str] = []
    if {row.cells for row in annotated_before} != {row.cells for row in annotated_now}:
        causes.append("clusters: their cells or markers are others")
    if said := sorted(_said_by_persons(final_before) ^ _said_by_persons(final_now)):
        causes.append(f"labels of persons: clusters {', '.join(natural_order({cluster for cluster, *_ in said}))}")
    first = _asked([*annotated_before, *final_before])
    second = _asked([*annotated_now, *final_now])
    for role in sorted(first.keys() & second.keys()):
        causes += [
            f"{what} of {role}: {', '.join(sorted(one))} → {', '.join(sorted(other))}"
            for what, one, other in zip(("prompt", "model"), first[role], second[role], strict=True)
            if one != other
        ]
    return tuple(causes)


def _said_by_persons(rows: Sequence[BoostedCluster]) -> set[tuple[str, str, str]]:
    return {
        (row.cluster, row.review.label, row.review.outcome.value)
        for row in rows
        if row.review and row.review.outcome is not ManualOutcome.STALE
    }


def _asked(rows: Sequence[AnnotatedCluster | BoostedCluster]) -> dict[str, tuple[set[str], set[str]]]:
    """Role to the templates and the models of its exchanges."""
    asked: dict[str, tuple[set[str], set[str]]] = {}
    for row in rows:
        for exchange in row.history:
            templates, models = asked.setdefault(exchange.role, (set(), set()))
            templates.add(exchange.template)
            models.add(_model(exchange))
    return asked


def _model(exchange: Exchange) -> str:
    return f"{exchange.provider}/{exchange.model}"
