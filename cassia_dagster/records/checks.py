"""What code says of an annotation, by marker knowledge and the ontology."""

from __future__ import annotations

from enum import StrEnum

from cassia_dagster.records.base import Fraction, Record


class Candidate(Record):
    """A cell type that marker knowledge proposes for a cluster."""

    cl_id: str
    label: str
    support: Fraction
    """How well the cluster's markers fit the type, comparable between the candidates of a cluster."""
    genes: tuple[str, ...]
    """The markers that speak for it, strongest first."""


class Finding(StrEnum):
    """What the evidence check can find wrong with an annotation."""

    GENE_ABSENT = "gene_absent"
    """A cited gene is not among the cluster's markers."""
    LABEL_UNMAPPED = "label_unmapped"
    """The label is no name of a Cell Ontology term."""
    NO_MARKER_SUPPORT = "no_marker_support"
    """None of the cluster's markers speaks for the label."""
    LINEAGE_CONTRADICTION = "lineage_contradiction"
    """The markers speak for a lineage that excludes the label's."""
    WEAK_SUPPORT = "weak_support"
    """Marker knowledge has too little to say of the cluster to bear the label out."""
    MARKERS_FAVOUR_OTHER = "markers_favour_other"
    """The markers speak more strongly for another type of the same lineage."""


class EvidenceCheck(Record):
    """What code says of an annotation: deterministic, free, and shown beside every label."""

    cl_id: str | None
    """The label as a Cell Ontology term, or ``None`` where it maps to none."""
    cl_label: str | None
    support: Fraction
    """Support of the label by marker knowledge, relative to the best candidate's."""
    cited_genes_up: tuple[str, ...]
    cited_genes_absent: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    """What marker knowledge proposes by itself, best first."""
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing was found that a scientist should see before believing the label."""
        return not self.findings
