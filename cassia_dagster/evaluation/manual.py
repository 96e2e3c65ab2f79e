"""What a person decided of a cluster, laid over what the models said, and held to the evidence that the person saw."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from cassia_dagster.errors import InputError
from cassia_dagster.knowledge.evidence import check_annotation
from cassia_dagster.knowledge.ontology import load_ontology
from cassia_dagster.knowledge.resolver import resolve_name
from cassia_dagster.records import (
    AnnotatedCluster,
    Annotation,
    BoostedCluster,
    ClusterEvidence,
    ManualOutcome,
    ManualReview,
    Name,
    Prose,
    Record,
    Status,
)
from cassia_dagster.singlecell.cluster import digest_of

NO_TERM = "unknown"
"""Written as ``cl_id`` where a label is meant to be no term of the Cell Ontology."""

NO_CELLS = digest_of([""])
"""Stands for the cells of a cluster of which none is known."""

MARKERS_SEEN = 20
"""Of the best markers, whose names a decision is held to."""

type _Text = Annotated[str, BeforeValidator(lambda said: str(said) if isinstance(said, int | float) else said)]


class ManualLabel(Record):
    """What a person says of one cluster: a row of the file of manual labels."""

    dataset: Name
    resolution: _Text
    """Its key, such as ``0.4``."""
    cluster: Annotated[_Text, Field(min_length=1)]
    label: Name | None = None
    cl_id: str | None = None
    """A Cell Ontology id, or ``unknown`` where the label is meant to be no term."""
    who: Name
    why: Annotated[Prose, StringConstraints(min_length=1)]
    date: date
    evidence: str = ""
    """Digest of the cluster's cells and best markers, as the person saw them; see `evidence_digest`."""

    @property
    def place(self) -> tuple[str, str, str]:
        """Dataset, resolution and cluster."""
        return self.dataset, self.resolution, self.cluster

    @model_validator(mode="before")
    @classmethod
    def _empty_is_not_said(cls, said: Any) -> Any:
        return {name: value for name, value in said.items() if value != ""} if isinstance(said, dict) else said

    @model_validator(mode="after")
    def _something_is_said(self) -> Self:
        if self.label is None and self.cl_id in (None, NO_TERM):
            raise ValueError("say a label, a cl_id, or both")
        if self.cl_id not in (None, NO_TERM) and self.cl_id not in load_ontology():
            raise ValueError(
                f"{self.cl_id!r} is no term of the Cell Ontology; ids look like CL:0000236, and a label that is meant "
                f"to be none has the cl_id {NO_TERM}"
            )
        return self


def evidence_digest(row: AnnotatedCluster) -> str:
    """Name what a person looks at who judges a cluster: which cells it has, and which are its best markers.

    Where no cell is known, the markers alone: `AnnotatedCluster.cells` then names all numbers of the user's table.
    """
    markers = sorted(marker.gene for marker in row.evidence.markers[:MARKERS_SEEN])
    cells = NO_CELLS if row.evidence.n_cells is None else row.cells
    digest = hashlib.sha256("\n".join((cells, *markers)).encode()).hexdigest()
    return f"seen-{digest[:12]}"  # a word: digits alone would be a number in YAML


def term_of(said: ManualLabel, evidence: ClusterEvidence) -> tuple[str, str | None]:
    """Return label and Cell Ontology id that a person means.

    Raises
    ------
    InputError
        If only a label was said, and it names no one term; with the terms that it may mean.
    """
    if said.cl_id == NO_TERM:
        return str(said.label), None
    if said.cl_id is not None:
        return said.label or load_ontology().label(said.cl_id), said.cl_id
    found = resolve_name(str(said.label), evidence.tissue, evidence.species)
    if found.cl_id is None:
        likely = ", ".join(f"{one.label} ({one.cl_id})" for one in found.candidates[:3]) or "none that is similar"
        raise InputError(
            f"{said.label!r}, the manual label of cluster {said.cluster!r} of {said.dataset!r} at {said.resolution}, "
            f"names no one term of the Cell Ontology; similar are: {likely}. Give its cl_id, or the cl_id {NO_TERM} if "
            "it is meant to be no term."
        )
    return str(said.label), found.cl_id


def apply_manual_labels(
    rows: Sequence[BoostedCluster], annotated: Sequence[AnnotatedCluster], said: Sequence[ManualLabel]
) -> list[BoostedCluster]:
    """Lay what persons said over what the models said.

    Parameters
    ----------
    rows
        The final word of the models on each cluster.
    annotated
        The rows of `annotations`, with the evidence of now.
    said
        Manual labels of this dataset at this resolution; those of clusters that are gone are passed over.

    Returns
    -------
    list of BoostedCluster
        In the order of ``rows``. A label that was decided on other evidence than that of now is not applied: the row
        keeps the models' label, and its review says that it is stale.
    """
    by_cluster = {one.cluster: one for one in said}
    evidence = {row.cluster: row for row in annotated}
    return [
        _reviewed(row, evidence[row.cluster], by_cluster[row.cluster]) if row.cluster in by_cluster else row
        for row in rows
    ]


def gone(said: Sequence[ManualLabel], rows: Sequence[AnnotatedCluster]) -> tuple[str, ...]:
    """Return the clusters that manual labels are about, and that do not exist."""
    known = {row.cluster for row in rows}
    return tuple(one.cluster for one in said if one.cluster not in known)


def _reviewed(row: BoostedCluster, seen: AnnotatedCluster, said: ManualLabel) -> BoostedCluster:
    label, cl_id = term_of(said, seen.evidence)

    def with_outcome(outcome: ManualOutcome, **changed: Any) -> BoostedCluster:
        review = ManualReview(
            outcome=outcome, label=label, cl_id=cl_id, who=said.who, why=said.why, date=said.date.isoformat()
        )
        return row.model_copy(update={**changed, "review": review})

    if said.evidence != evidence_digest(seen):
        return with_outcome(ManualOutcome.STALE)
    if _is_the_same(row, label, cl_id):
        return with_outcome(ManualOutcome.CONFIRMED, annotation=_in_words(row.annotation, said.label))
    annotation = Annotation(general_celltype=label, subtypes=(label,), rationale=said.why)
    # The person's own words may name another term, or none; what counts is the term that was said.
    words = load_ontology().label(cl_id) if cl_id else label
    check = check_annotation(Annotation(general_celltype=words), seen.evidence)
    named: Mapping[str, Any] = {"cl_id": cl_id, "cl_label": load_ontology().label(cl_id) if cl_id else None}
    return with_outcome(
        ManualOutcome.LABELLED,
        status=Status.OK,
        status_reason="",
        annotation=annotation,
        check=check.model_copy(update=named),
        score=None,
        rubric=None,
        reasoning="",
    )


def _in_words(annotation: Annotation | None, words: str | None) -> Annotation | None:
    """Keep the models' annotation, in the words that the person prefers, if any."""
    if annotation is None or words is None or words == annotation.label:
        return annotation
    return annotation.model_copy(update={"subtypes": (words, *annotation.subtypes[1:])})


def _is_the_same(row: BoostedCluster, label: str, cl_id: str | None) -> bool:
    if row.annotation is None or row.annotation.unresolved or row.status is not Status.OK:
        return False
    same_words = row.annotation.label == label
    if row.check is None:
        return same_words
    # The same words for another term are another label.
    return row.check.cl_id == cl_id and (cl_id is not None or same_words)
