"""Says how far a label may be trusted where nobody knows better, by whether marker knowledge proposes the same."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Annotated

from pydantic import Field

from cassia_dagster.evaluation.measures import Comparison
from cassia_dagster.knowledge.candidates import shortlist
from cassia_dagster.knowledge.ontology import Relation, load_ontology
from cassia_dagster.records import Candidate, ClusterEvidence, Fraction, Record

CALIBRATION = "calibration.csv"
"""Beside this file; made by ``python -m benchmarks.published``."""


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
    """What the agreement with the shortlist says of one label."""

    standing: Standing
    right: Fraction | None
    """Share of the labels of this standing that were the gold label or a kind of it; one that was and one that was not
    are added beforehand, so that few labels prove little. ``None`` where it was never measured."""
    n: Annotated[int, Field(ge=0)]
    """How many labels the share was measured on."""


class Calibration(Record):
    """How often labels of one standing turned out right."""

    standing: Standing
    n: Annotated[int, Field(ge=0)]
    right: Annotated[int, Field(ge=0)]
    """How many of them were the gold label or a kind of it."""
    mean_hf1: Fraction | None


def standing_of(label_id: str | None, candidates: Sequence[Candidate]) -> Standing:
    """Say how a label stands to the best of the candidates; a model that was shown them is no witness."""
    ontology = load_ontology()
    if label_id is None or not candidates or ontology.is_root_level(label_id):
        return Standing.UNKNOWN
    best = candidates[0].cl_id
    if label_id in ontology.ancestors(best) or best in ontology.ancestors(label_id):
        return Standing.ON_PATH
    return Standing.CONTRADICTED if ontology.excludes(label_id, best) else Standing.SAME_LINEAGE


def confidence_without_gold(label_id: str | None, evidence: ClusterEvidence) -> Confidence:
    """Give the confidence in a label that nobody can check, from how often such labels were right elsewhere.

    Parameters
    ----------
    label_id
        Cell Ontology id of the label, or ``None``.
    evidence
        The cluster that it is about.
    """
    standing = standing_of(label_id, shortlist(evidence))
    one = calibration()[standing]
    return Confidence(standing=standing, right=(one.right + 1) / (one.n + 2) if one.n else None, n=one.n)


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
    return [
        Calibration(
            standing=standing,
            n=len(some),
            right=sum(one.relation in (Relation.EXACT, Relation.FINER) for one in some),
            mean_hf1=sum(one.f1 or 0.0 for one in some) / len(some) if some else None,
        )
        for standing, some in of_standing.items()
    ]


@cache
def calibration() -> dict[Standing, Calibration]:
    """Read the calibration that ships with the package."""
    text = (files("cassia_dagster.evaluation") / CALIBRATION).read_text("utf-8")
    rows = [
        Calibration.model_validate({name: value or None for name, value in row.items()})
        for row in csv.DictReader(text.splitlines())
    ]
    return {row.standing: row for row in rows}
