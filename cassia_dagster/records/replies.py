"""What a model says of a cluster, in each of its roles."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from cassia_dagster.records.base import Genes, Name, Prose, Record


class Unresolved(StrEnum):
    """Why a cluster was not named."""

    NO_MARKERS = "no_markers"
    WEAK_SUPPORT = "weak_support"
    CONFLICTING_SUPPORT = "conflicting_support"
    LOW_QUALITY = "low_quality"
    MALIGNANT = "malignant"
    """The cells look like a tumour's, which may resemble any type or none."""


class Annotation(Record):
    """What a cluster is said to be, and why."""

    general_celltype: Name | None
    """The broad type, or ``None`` where the cluster is unresolved."""
    subtypes: Annotated[tuple[Name, ...], Field(max_length=3)] = ()
    """Detailed types, the likeliest first."""
    mixed_celltypes: Annotated[tuple[Name, ...], Field(max_length=10)] = ()
    """Types that the cluster seems to mix; empty for a pure one."""
    cell_state: Name | None = None
    """What the cells are doing, apart from what they are: cycling, stressed, interferon response."""
    supporting_genes: Genes = ()
    contradicting_genes: Genes = ()
    rationale: Prose = ""
    unresolved: Unresolved | None = None

    @property
    def label(self) -> str | None:
        """The most detailed name, or ``None`` where the cluster is unresolved."""
        return self.subtypes[0] if self.subtypes else self.general_celltype


class Verdict(Record):
    """The validator's word on an annotation."""

    accepted: bool
    reasons: Prose
    mixed: bool = False
    """Whether the cluster looks like a mixture of types."""


class Hypothesis(Record):
    """A type that a cluster may be, and the genes that would tell."""

    celltype: Name
    genes: Annotated[tuple[Name, ...], Field(min_length=1, max_length=10)]
    """Genes to look up: those that the type must show, and those that it must not."""


class Rubric(Record):
    """The scorer's ratings; the total is ours to compute, not the model's."""

    identity: Annotated[int, Field(ge=0, le=10)]
    """Does the label name what the markers show?"""
    specificity: Annotated[int, Field(ge=0, le=10)]
    """Is it as detailed as the evidence, and no more?"""
    balance: Annotated[int, Field(ge=0, le=10)]
    """Do the markers as a whole fit, or only a few of them?"""
    alternatives: Annotated[int, Field(ge=0, le=10)]
    """How clearly are the rivals ruled out?"""


class Grouping(Record):
    """Three nested names for one cluster, broad to detailed."""

    cluster: str
    broad: Name
    intermediate: Name
    detailed: Name
