"""Which model is best for us? Several answer the same cases; one that cannot be asked is on the board all the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from cassia_dagster.errors import CassiaError
from cassia_dagster.evaluation.benchmark import Answer, BenchmarkRun, Summary, run_benchmark
from cassia_dagster.evaluation.measures import compare_terms
from cassia_dagster.method import MAX_WORKERS, Doors
from cassia_dagster.records import Fraction, Record, Status, Strategy

if TYPE_CHECKING:
    from cassia_dagster.evaluation.cases import Case
    from cassia_dagster.llm.store import Store
    from cassia_dagster.records import ClusterResult

ANSWERED = frozenset({Status.OK, Status.UNRESOLVED})
"""What a model may come to; all else is no answer of it."""


@dataclass(frozen=True, slots=True)
class Entrant:
    """A model that takes part."""

    title: str
    open: Callable[[], Doors]
    """Opens the way to it; raises `CassiaError` if it cannot be asked."""


class Place(Record):
    """A row of ``model_comparison``: one model on the board."""

    model: str
    rank: Annotated[int, Field(ge=1)] | None
    """``None`` where it answered nothing."""
    reason: str = ""
    """Why it answered nothing, or why some cases have no answer."""
    summary: Summary | None
    agreement: Fraction | None
    """Mean hierarchical F1 of its labels with those of the other models, over the cases that either names; ``None``
    without others."""
    n_unanswered: Annotated[int, Field(ge=0)]
    """Cases without a usable reply; they count as unresolved in the figures."""
    usd: float
    """Paid in this run."""
    usd_when_bought: float
    """Price of all its answers, those that were bought before included."""
    unpriced_calls: Annotated[int, Field(ge=0)]
    """Of unknown price, those that were made before included."""
    calls: Annotated[int, Field(ge=0)]
    cached_calls: Annotated[int, Field(ge=0)]
    model_seconds: float
    """Time that its replies took when they were bought, summed over calls."""
    answers: tuple[Answer, ...] = ()
    cases_from: str = ""
    """`SHIPPED`, or the file of the cases; empty where they are clusters of the dataset."""
    clusters: str = ""
    """`digest_of` the clusters that the cases are; empty where they are from elsewhere."""

    def is_about(self, clusters: Mapping[str, ClusterResult]) -> bool:
        """Tell whether it still holds: whether the cases are clusters of now, or none of the dataset at all."""
        present = {cluster: row.annotated.cells for cluster, row in clusters.items()}
        return bool(self.cases_from) or self.clusters == digest_of(present)

    @property
    def usd_per_case(self) -> float | None:
        """Price of one case; ``None`` where there are no answers, or none with a known price."""
        unknown = not self.answers or (self.unpriced_calls and not self.usd_when_bought)
        return None if unknown else self.usd_when_bought / len(self.answers)


def digest_of(cells: Mapping[str, str]) -> str:
    """Tell clusters from others by the digest of the cells of each."""
    return hashlib.sha256(json.dumps(sorted(cells.items())).encode()).hexdigest()


def run_models(
    cases: Sequence[Case],
    entrants: Sequence[Entrant],
    store: Store,
    strategy: Strategy = Strategy.VALIDATED,
    *,
    subject: str = "benchmark",
    max_workers: int = MAX_WORKERS,
) -> tuple[Place, ...]:
    """Let models name the cases, one model after the other, and rank them.

    Parameters
    ----------
    cases
        At least one of them with a mapped gold label.
    entrants
        The models; their titles are different.
    store, strategy, subject, max_workers
        As for `run_benchmark`. What was asked before costs nothing.

    Returns
    -------
    tuple of Place
        The best first: by mean hierarchical F1, then fewest contradictions, then the price. One that cannot be asked,
        or whose every question failed, comes last, without a rank.
    """
    places = []
    for entrant in entrants:
        before = store.totals(store.run)
        try:
            run = run_benchmark(
                cases, entrant.open(), store, entrant.title, strategy, subject=subject, max_workers=max_workers
            )
        except CassiaError as error:
            after = store.totals(store.run)
            places.append(_absent(entrant.title, str(error), after.usd - before.usd, after.calls - before.calls))
        else:
            places.append(_place(run))
    return rank(places)


def rank(places: Sequence[Place]) -> tuple[Place, ...]:
    """Put models in order, and say how far each agrees with the others."""
    ranked = sorted((one for one in places if one.summary), key=_merit)
    labels = {one.model: {each.case: each.label_id for each in one.answers} for one in ranked}
    board = [
        one.model_copy(update={"rank": number, "agreement": _agreement(one.model, labels)})
        for number, one in enumerate(ranked, start=1)
    ]
    return (*board, *sorted((one for one in places if not one.summary), key=lambda one: one.model))


def _merit(place: Place) -> tuple[float, float, float, str]:
    figures = place.summary
    if figures is None:
        raise ValueError(f"{place.model} has no figures")
    return -figures.mean_hf1, figures.contradiction, place.usd_when_bought, place.model


def _agreement(model: str, labels: Mapping[str, Mapping[str, str | None]]) -> float | None:
    own = labels[model]
    alike = [
        compare_terms(own[case], term).f1 or 0.0 if term else 0.0
        for other, theirs in labels.items()
        if other != model
        for case, term in theirs.items()
        if term or own[case]
    ]
    return sum(alike) / len(alike) if alike else None


def _place(run: BenchmarkRun) -> Place:
    without = [one for one in run.answers if one.status not in ANSWERED]
    answered = len(without) < len(run.answers)
    return Place(
        model=run.title,
        rank=None,
        reason=without[0].status_reason or without[0].status.value.replace("_", " ") if without else "",
        summary=run.summary if answered else None,
        agreement=None,
        n_unanswered=len(without),
        usd=run.usd,
        usd_when_bought=run.usd + run.saved_usd,
        unpriced_calls=max(run.unpriced_calls, run.unpriced_when_bought),
        calls=run.calls,
        cached_calls=run.cached_calls,
        model_seconds=run.model_seconds,
        answers=run.answers,
    )


def _absent(model: str, reason: str, usd: float, calls: int) -> Place:
    return Place(
        model=model,
        rank=None,
        reason=reason,
        summary=None,
        agreement=None,
        n_unanswered=0,
        usd=usd,
        usd_when_bought=usd,
        unpriced_calls=0,
        calls=calls,
        cached_calls=0,
        model_seconds=0.0,
    )
