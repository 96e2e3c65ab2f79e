"""The one value that every output is made from: a dataset at one resolution, with all its clusters."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Annotated

from pydantic import Field, field_validator

from cassia_dagster import __version__
from cassia_dagster.agents.embedded import EmbeddedBackend
from cassia_dagster.agents.merge import UNRESOLVED
from cassia_dagster.agents.score import SCORER
from cassia_dagster.evaluation.without_gold import Confidence, confidence_in
from cassia_dagster.knowledge.states import state_of
from cassia_dagster.knowledge.versions import source_versions
from cassia_dagster.records import BoostOutcome, ClusterResult, ManualOutcome, Record, Species, natural_order
from cassia_dagster.singlecell.resolutions import title_of


class ResolutionResult(Record):
    """Everything known of one dataset at one resolution."""

    dataset: str
    resolution: str
    """Canonical spelling, ``"1.0"`` and not ``"1"``; a key of a given clustering for one that the user brought."""
    column: str | None = None
    """Of ``obs``, which the clusters were taken from; ``None`` for Leiden's."""
    species: Species
    tissue: str
    clusters: Annotated[tuple[ClusterResult, ...], Field(min_length=1)]
    """In natural order of their ids, whichever order they came in."""
    models: dict[str, str]
    """Role to ``provider/model``."""
    versions: dict[str, str]
    """Libraries, marker knowledge, ontology and so on, to their versions."""
    notes: tuple[str, ...] = ()
    """What is not as expected of the file, and what was done about it."""
    created: str
    """ISO date; shown in the report only, so that the tables of an unchanged result do not change."""
    usd: float | None = None
    """What the calls cost, or ``None`` where no price is known."""
    calls: Annotated[int, Field(ge=0)] = 0
    cached_calls: Annotated[int, Field(ge=0)] = 0
    """How many of ``calls`` were answered from the cache."""
    unpriced_calls: Annotated[int, Field(ge=0)] = 0
    """How many of ``calls`` may have cost something unknown, so that ``usd`` is the least."""

    @property
    def title(self) -> str:
        """Which clustering it is, in words."""
        return title_of(self.resolution, self.column)

    @field_validator("clusters")
    @classmethod
    def _one_row_a_cluster(cls, clusters: tuple[ClusterResult, ...]) -> tuple[ClusterResult, ...]:
        by_id = {result.cluster: result for result in clusters}
        if len(by_id) < len(clusters):
            raise ValueError(f"cluster ids must be unique, got {[result.cluster for result in clusters]}")
        for cluster, result in by_id.items():
            stages = (result.evidence, result.scored, result.boosted, result.grouping)
            if strangers := sorted({stage.cluster for stage in stages} - {cluster}):
                raise ValueError(f"cluster {cluster!r} holds rows of other clusters: {strangers}")
        return tuple(by_id[cluster] for cluster in natural_order(by_id))


class Spent(Record):
    """What the calls for a result took."""

    usd: float
    calls: Annotated[int, Field(ge=0)]
    cached_calls: Annotated[int, Field(ge=0)]
    unpriced_calls: Annotated[int, Field(ge=0)]
    """Calls that may have cost something unknown."""


def result_of(
    clusters: Iterable[ClusterResult],
    *,
    dataset: str,
    resolution: str,
    column: str | None,
    species: Species,
    tissue: str,
    libraries: Iterable[str],
    notes: Iterable[str] = (),
    spent: Spent | None = None,
) -> ResolutionResult:
    """Put the clusters of a dataset together with what they were made by.

    Parameters
    ----------
    clusters
        At least one.
    dataset, resolution, column, species, tissue, notes
        As in `ResolutionResult`.
    libraries
        Names of the packages whose versions bear on the result.
    spent
        What the calls took, where that is known.
    """
    rows = tuple(clusters)
    exchanges = [exchange for row in rows for exchange in row.history]
    lab_markers = rows[0].evidence.lab_markers if rows else ""
    return ResolutionResult(
        dataset=dataset,
        resolution=resolution,
        column=column,
        species=species,
        tissue=tissue,
        clusters=rows,
        models={exchange.role: f"{exchange.provider}/{exchange.model}" for exchange in exchanges},
        versions={
            "cassia-dagster": __version__,
            **{library: version(library) for library in libraries},
            **source_versions(lab_markers),
        },
        notes=tuple(notes),
        created=datetime.now(UTC).date().isoformat(),
        **(spent.model_dump() if spent else {}),
    )


def final_label(result: ClusterResult) -> str:
    """Return the most detailed name of a cluster, or ``"unresolved"`` where it has none."""
    annotation = result.boosted.annotation
    if annotation is None or annotation.unresolved is not None:
        return UNRESOLVED
    return annotation.label or UNRESOLVED


def final_state(result: ClusterResult) -> str | None:
    """Return what the cells are doing, if a model or their markers tell; a cluster without a name may have a state."""
    return state_of(result.boosted.annotation, result.evidence.markers)


def reviewer_of(result: ClusterResult) -> str:
    """Return which person stands behind the label; empty where nobody does, or where their word is stale."""
    review = result.boosted.review
    return review.who if review is not None and review.outcome is not ManualOutcome.STALE else ""


def by_grouping(result: ResolutionResult) -> list[ClusterResult]:
    """Return the clusters with like ones next to each other: in the order of their groupings, broad to detailed."""
    return sorted(
        result.clusters, key=lambda row: (row.grouping.broad, row.grouping.intermediate, row.grouping.detailed)
    )


def model_of_label(result: ClusterResult) -> tuple[str, str]:
    """Return provider and model that gave the final label; empty where no model was asked."""
    # The first exchange of a stage is the question for a label; checks and repairs come after it.
    changed = result.boosted.outcome is BoostOutcome.CHANGED
    history = result.boosted.history if changed else result.annotated.history
    return (history[0].provider, history[0].model) if history else ("", "")


def confidence_of(result: ClusterResult) -> Confidence | None:
    """Say how often labels like the final one were right where the truth is known.

    ``None`` where there is no label, and where the embedded model's own label was scored by another model: no such
    labels were ever measured.
    """
    check, embedded = result.boosted.check, EmbeddedBackend.provider
    if check is None or final_label(result) == UNRESOLVED:
        return None
    if model_of_label(result)[0] != embedded:
        return confidence_in(check.cl_id, check.candidates)
    history = (*result.scored.history, *result.boosted.history)
    scorers = [exchange.provider for exchange in history if exchange.role == SCORER.name]
    score = result.boosted.score
    return confidence_in(check.cl_id, check.candidates, score) if scorers[-1:] == [embedded] and score else None
