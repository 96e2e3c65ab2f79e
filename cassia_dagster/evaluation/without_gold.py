"""Says how far a label may be trusted where nobody knows better, by whether marker knowledge proposes the same."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Annotated, Any

from pydantic import Field

from cassia_dagster.evaluation.measures import Comparison
from cassia_dagster.knowledge.ontology import Relation, load_ontology
from cassia_dagster.records import Candidate, Fraction, Percent, Record

CALIBRATION = "calibration.csv"
SCORE_CALIBRATION = "calibration_of_scores.csv"
"""Beside this file; both made by ``python -m benchmarks.published``."""

SCORE_BANDS = (0.0, 75.0, 90.0)
"""Least score of each band; from the second on, labels need no second look."""


class Standing(StrEnum):
    """How a label stands to the first candidate of the offline shortlist."""

    ON_PATH = "on_path"
    """The same term, a kind of it, or something that it is a kind of."""
    SAME_LINEAGE = "same_lineage"
    CONTRADICTED = "contradicted"
    """The two belong to lineages that exclude each other."""
    UNKNOWN = "unknown"
    """No marker is known to speak for any type, or the label is no term."""


class Confidence(Record):
    """How far one label may be trusted."""

    standing: Standing
    right: Fraction | None
    """Share of the labels like it that were the gold label or a kind of it; one that was and one that was not are
    added beforehand, so that few labels prove little. ``None`` where no such label was ever measured."""
    n: Annotated[int, Field(ge=0)]
    """How many labels the share was measured on."""


class Calibration(Record):
    """How often labels of one standing turned out right."""

    standing: Standing
    n: Annotated[int, Field(ge=0)]
    right: Annotated[int, Field(ge=0)]
    """How many of them were the gold label or a kind of it."""
    mean_hf1: Fraction | None


class ScoreCalibration(Record):
    """How often labels of the embedded model turned out right that its own scorer gave so much."""

    at_least: Percent
    """The score that the band begins with; it ends where the next begins."""
    n: Annotated[int, Field(ge=0)]
    right: Annotated[int, Field(ge=0)]
    mean_hf1: Fraction | None


def standing_of(label_id: str | None, candidates: Sequence[Candidate]) -> Standing:
    """Say how a label stands to the best of the candidates; a model that was shown them is no witness."""
    ontology = load_ontology()
    best = candidates[0].cl_id if candidates else ""
    if label_id is None or label_id not in ontology or best not in ontology or ontology.is_root_level(label_id):
        return Standing.UNKNOWN
    if label_id in ontology.ancestors(best) or best in ontology.ancestors(label_id):
        return Standing.ON_PATH
    return Standing.CONTRADICTED if ontology.excludes(label_id, best) else Standing.SAME_LINEAGE


def confidence_in(label_id: str | None, candidates: Sequence[Candidate], own_score: float | None = None) -> Confidence:
    """Give the confidence in a label that nobody can check, from how often such labels were right elsewhere.

    Parameters
    ----------
    label_id
        Cell Ontology id of the label, or ``None``.
    candidates
        The offline shortlist of its cluster, as the evidence check keeps it.
    own_score
        What the embedded model gave its own label. The shortlist is then no witness, for the label comes from it; the
        score tells how such labels fared. ``None`` for the labels of all other models.
    """
    standing = standing_of(label_id, candidates)
    if own_score is None or label_id is None:
        measured: Calibration | ScoreCalibration = calibration()[standing]
    else:
        measured = next(band for band in reversed(calibration_of_scores()) if own_score >= band.at_least)
    return Confidence(
        standing=standing,
        right=(measured.right + 1) / (measured.n + 2) if measured.n else None,
        n=measured.n,
    )


def calibrate(labels: Iterable[tuple[Standing, Comparison]]) -> list[Calibration]:
    """Measure how often labels of each standing are right.

    Parameters
    ----------
    labels
        Standing of labels, and how they compare with the gold label; those beside an unmapped one are left out.
    """
    of_standing: dict[Standing, list[Comparison]] = {standing: [] for standing in Standing}
    for standing, compared in labels:
        if compared.relation is not Relation.UNMAPPED:
            of_standing[standing].append(compared)
    return [Calibration(standing=standing, **_count(some)) for standing, some in of_standing.items()]


def calibrate_scores(labels: Iterable[tuple[float, Comparison]]) -> list[ScoreCalibration]:
    """Measure how often labels are right that got a score of each band.

    Parameters
    ----------
    labels
        Score of labels, and how they compare with the gold label; those beside an unmapped one are left out.
    """
    of_band: dict[float, list[Comparison]] = {least: [] for least in SCORE_BANDS}
    for score, compared in labels:
        if compared.relation is not Relation.UNMAPPED:
            of_band[max(least for least in SCORE_BANDS if score >= least)].append(compared)
    return [ScoreCalibration(at_least=least, **_count(some)) for least, some in of_band.items()]


def _count(labels: Sequence[Comparison]) -> dict[str, Any]:
    return {
        "n": len(labels),
        "right": sum(one.relation in (Relation.EXACT, Relation.FINER) for one in labels),
        "mean_hf1": sum(one.f1 or 0.0 for one in labels) / len(labels) if labels else None,
    }


@cache
def calibration() -> dict[Standing, Calibration]:
    """Read what standings were worth, as it ships with the package."""
    return {row.standing: row for row in map(Calibration.model_validate, _read(CALIBRATION))}


@cache
def calibration_of_scores() -> tuple[ScoreCalibration, ...]:
    """Read what scores of the embedded model were worth, as it ships with the package; the lowest band first."""
    return tuple(map(ScoreCalibration.model_validate, _read(SCORE_CALIBRATION)))


def _read(name: str) -> list[dict[str, str | None]]:
    text = (files("cassia_dagster.evaluation") / name).read_text("utf-8")
    return [{column: value or None for column, value in row.items()} for row in csv.DictReader(text.splitlines())]
