"""Scores the answers to cases whose labels are known, those of a model and those that others gave, by the same code."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from cassia_dagster.agents.boost import SCORE_THRESHOLD
from cassia_dagster.errors import InputError
from cassia_dagster.evaluation.cases import Case
from cassia_dagster.evaluation.measures import Comparison, Measures, compare_terms, interval, measure
from cassia_dagster.evaluation.reading import read_label
from cassia_dagster.evaluation.without_gold import Calibration, Standing, calibrate, standing_of
from cassia_dagster.knowledge.candidates import shortlist
from cassia_dagster.knowledge.ontology import Relation, load_ontology
from cassia_dagster.knowledge.versions import knowledge_version, source_versions
from cassia_dagster.method import MAX_WORKERS, Doors, name_clusters
from cassia_dagster.records import BoostedCluster, Fraction, Percent, Record, Status, Strategy

if TYPE_CHECKING:
    from cassia_dagster.llm.door import Door
    from cassia_dagster.llm.store import Store

GRADED_RIGHT = 1.0


class Answer(Record):
    """What a case was said to be, beside what it is."""

    case: str
    species: str
    tissue: str
    gold_label: str
    gold_id: str | None
    label: str | None
    label_id: str | None
    """``None`` where there is no label, or it is no term."""
    status: Status
    status_reason: str = ""
    score: Percent | None
    """What the method's own scorer gave the label; ``None`` for answers of others."""
    compared: Comparison
    standing: Standing
    """How the label stands to the offline shortlist."""


class Summary(Record):
    """The figures of a benchmark; shares are of the ``n`` cases whose gold label is a term."""

    n_cases: int
    n: int
    mean_hf1: Fraction
    mean_hf1_interval: tuple[Fraction, Fraction]
    """95 %, by bootstrap over the cases."""
    mean_hf1_where_named: Fraction | None
    """Over the cases with a label that names a type."""
    mean_grade: Fraction
    mean_grade_interval: tuple[Fraction, Fraction]
    exact: Fraction
    exact_or_finer: Fraction
    contradiction: Fraction
    coverage: Fraction
    right_scored_high: Fraction | None
    """Share of the right labels (grade 1) that the scorer gave at least 75; ``None`` without scores."""
    high_scored_right: Fraction | None
    """Share of the labels with at least 75 that are right; ``None`` without such labels."""


class BenchmarkRun(Record):
    """One set of answers to one set of cases."""

    title: str
    """The model, or the column that the answers stand in."""
    summary: Summary
    without_gold: tuple[Calibration, ...]
    """How often labels of each standing to the offline shortlist were right."""
    usd: float
    unpriced_calls: Annotated[int, Field(ge=0)]
    calls: Annotated[int, Field(ge=0)]
    cached_calls: Annotated[int, Field(ge=0)]
    seconds: float
    saved_usd: float = 0.0
    """What the cached answers cost when they were bought."""
    unpriced_when_bought: Annotated[int, Field(ge=0)] = 0
    """Answers without a known price, whenever they were bought."""
    model_seconds: float = 0.0
    """Time that the replies took when they were bought, summed over calls."""
    versions: dict[str, str]
    answers: tuple[Answer, ...]


def run_benchmark(
    cases: Sequence[Case],
    door: Door | Doors,
    store: Store,
    title: str,
    strategy: Strategy = Strategy.VALIDATED,
    *,
    subject: str = "benchmark",
    max_workers: int = MAX_WORKERS,
) -> BenchmarkRun:
    """Ask a model to name the cases by the whole method (without grouping), and score its answers.

    Parameters
    ----------
    cases
        At least one of them with a mapped gold label.
    door, store
        The way to the model, and the replies and ledger behind it: what was asked before costs nothing.
    title
        What the run is called.
    strategy
        How labels are arrived at.
    subject
        What the ledger calls the cases.
    max_workers
        Cases that are worked on at once.
    """
    begun, before, last = time.monotonic(), store.totals(store.run), store.ledger.last()
    subjects = [f"{subject}/{case.case}" for case in cases]
    evidence = [case.evidence for case in cases]
    rows = name_clusters(evidence, door, subjects, strategy=strategy, max_workers=max_workers)
    seconds, after = time.monotonic() - begun, store.totals(store.run)
    model_seconds, unpriced = store.ledger.when_bought(store.run, last)
    answers = [_answer_of(case, boosted) for case, (_, _, boosted) in zip(cases, rows, strict=True)]
    return _run(title, answers).model_copy(
        update={
            "usd": after.usd - before.usd,
            "unpriced_calls": after.unpriced - before.unpriced,
            "calls": after.calls + after.cached - before.calls - before.cached,
            "cached_calls": after.cached - before.cached,
            "seconds": seconds,
            "saved_usd": after.saved_usd - before.saved_usd,
            "unpriced_when_bought": unpriced,
            "model_seconds": model_seconds,
        }
    )


def score_given(cases: Sequence[Case], column: str) -> BenchmarkRun:
    """Score the answers that stand in a column of the cases; free text is read by `reading.read_label`.

    Raises
    ------
    InputError
        If there is no such column.
    """
    if unknown := next((case for case in cases if column not in case.given), None):
        columns = ", ".join(unknown.given) or "none"
        raise InputError(f"The cases have no column {column!r} with answers; beside their own they have: {columns}.")
    return _run(column, [_given_answer(case, case.given[column].strip()) for case in cases])


def _answer_of(case: Case, row: BoostedCluster) -> Answer:
    annotation, check = row.annotation, row.check
    named = annotation is not None and annotation.unresolved is None and annotation.label is not None
    label = annotation.label if named and annotation else None
    answer = _answer(case, label, check.cl_id if named and check else None, row.status, row.score)
    return answer.model_copy(update={"status_reason": row.status_reason})


def _given_answer(case: Case, text: str) -> Answer:
    label_id = text if text in load_ontology() else read_label(text, case.tissue, case.species) if text else None
    return _answer(case, text or None, label_id, Status.OK if text else Status.UNRESOLVED, None)


def _answer(case: Case, label: str | None, label_id: str | None, status: Status, score: float | None) -> Answer:
    return Answer(
        case=case.case,
        species=case.species,
        tissue=case.tissue,
        gold_label=case.gold_label,
        gold_id=case.gold_id,
        label=label,
        label_id=label_id,
        status=status,
        score=score,
        compared=compare_terms(label_id, case.gold_id),
        standing=standing_of(label_id, shortlist(case.evidence)),
    )


def _run(title: str, answers: Sequence[Answer]) -> BenchmarkRun:
    return BenchmarkRun(
        title=title,
        summary=summarise(answers),
        without_gold=tuple(calibrate((one.standing, one.compared) for one in answers)),
        usd=0.0,
        unpriced_calls=0,
        calls=0,
        cached_calls=0,
        seconds=0.0,
        versions={"knowledge": knowledge_version(), **source_versions()},
        answers=tuple(answers),
    )


def summarise(answers: Sequence[Answer]) -> Summary:
    """Sum answers up.

    Raises
    ------
    InputError
        If none of the cases has a gold label that is a term: then nothing can be said.
    """
    measures = measure([one.compared for one in answers])
    if measures is None:
        raise InputError(
            "None of the cases has a gold label that is a term of the Cell Ontology; give ids in the column gold_cl_id."
        )
    mapped = [one for one in answers if one.gold_id is not None]
    named = [one.compared.f1 or 0.0 for one in mapped if one.compared.relation is not Relation.UNRESOLVED]
    return Summary(
        n_cases=len(answers),
        n=measures.n,
        mean_hf1_interval=interval([one.compared.f1 or 0.0 for one in mapped]),
        mean_hf1_where_named=sum(named) / len(named) if named else None,
        mean_grade_interval=interval([one.compared.grade or 0.0 for one in mapped]),
        **_shares(measures),
        **_trust(mapped),
    )


def _shares(measures: Measures) -> dict[str, float]:
    names = ("mean_hf1", "mean_grade", "exact", "exact_or_finer", "contradiction", "coverage")
    return {name: getattr(measures, name) for name in names}


def _trust(mapped: Sequence[Answer]) -> dict[str, float | None]:
    """Say how well the scorer tells right labels from others."""
    scored = [(one.compared.grade == GRADED_RIGHT, one.score) for one in mapped if one.score is not None]
    right = [score >= SCORE_THRESHOLD for is_right, score in scored if is_right]
    high = [is_right for is_right, score in scored if score >= SCORE_THRESHOLD]
    return {
        "right_scored_high": sum(right) / len(right) if right else None,
        "high_scored_right": sum(high) / len(high) if high else None,
    }
