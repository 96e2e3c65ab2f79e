"""The nouns of the method: what the data says, what a model says, and what code says of both.

Cluster ids are strings from the first line to the last, and match exactly.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

type Species = Literal["human", "mouse"]
SPECIES: tuple[Species, ...] = ("human", "mouse")
type Fraction = Annotated[float, Field(ge=0, le=1)]
type Percent = Annotated[float, Field(ge=0, le=100)]


def _printable(text: str) -> str:
    # A NUL cannot be written to HDF5, and an escape sequence would speak to the terminal that shows it.
    if not text.isprintable():
        raise ValueError("a name must not hold control characters or line breaks")
    return text


# Not a `type` statement: that would be a reference in JSON schemas, which not every provider follows.
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_printable)
]
"""What something is called: never empty, one line, and safe to print."""

Prose = Annotated[str, StringConstraints(max_length=4000)]
"""What a model may say in its own words; longer is no answer but a runaway."""

MOST_GENES = 40
"""Genes that a reply may list in one place."""

Genes = Annotated[tuple[Name, ...], Field(max_length=MOST_GENES)]


def rounded(value: Any) -> float:
    """Keep three significant digits: more differ between machines, and a prompt that differs is paid twice.

    Examples
    --------
    >>> rounded(0.0123456)
    0.0123
    """
    return float(f"{float(value):.3g}")


def natural_order(clusters: Iterable[str]) -> list[str]:
    """Sort cluster ids as a person would: numbers by value, then names by letter.

    Examples
    --------
    >>> natural_order(["10", "T cells", "2"])
    ['2', '10', 'T cells']
    """
    return sorted(
        clusters,
        key=lambda cluster: (not cluster.isdecimal(), int(cluster) if cluster.isdecimal() else 0, cluster),
    )


class Record(BaseModel):
    """An immutable value whose fields are all known and whose numbers are all finite."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


# --- what the data says ---------------------------------------------------------------------------


class Marker(Record):
    """A gene that is up in one cluster against all other cells; a statistic that nobody gave is ``None``, not zero."""

    gene: str
    avg_log2FC: float | None = None
    """log2 fold change of mean expression (means of log values, transformed back), cluster against the rest."""
    pct_1: Fraction | None = None
    """Fraction of the cluster's cells in which the gene is detected."""
    pct_2: Fraction | None = None
    """Fraction of all other cells in which the gene is detected."""
    p_val_adj: Fraction | None = None
    score: float | None = None
    """The Wilcoxon rank-sum z-score."""

    @property
    def is_up(self) -> bool:
        """Whether nothing is known against it: a gene in a bare list is taken at its word."""
        return self.avg_log2FC is None or self.avg_log2FC > 0


class ClusterQuality(Record):
    """Medians over a cluster's cells that betray debris, dying cells and doublets."""

    median_counts: float | None
    """``None`` where the file has normalised values only."""
    median_genes: float
    pct_mito: Percent
    pct_ribo: Percent


class NearbyCluster(Record):
    """Another cluster, and how alike the two are."""

    cluster: str
    similarity: Annotated[float, Field(ge=-1, le=1)]
    """Pearson correlation of the two centroids in the space of principal components."""


class TissueShare(Record):
    """A tissue that some of a cluster's cells are from."""

    tissue: str
    n_cells: int
    share: Fraction
    """Of the cluster's cells."""


class ClusterEvidence(Record):
    """All that the data says of one cluster; what every role is asked about."""

    cluster: str
    n_cells: int | None
    """``None`` where only a marker table is known."""
    share: Fraction | None
    markers: tuple[Marker, ...]
    """Best first."""
    nearest: tuple[NearbyCluster, ...] = ()
    quality: ClusterQuality | None = None
    species: Species
    tissue: str
    """Of all cells; where it differs between them, the main ones of this cluster."""
    tissues: tuple[TissueShare, ...] = ()
    """Most frequent first; empty where one tissue is known for all cells."""
    context: str = ""
    lab_markers: str = ""
    """Version of the lab's own marker table that counts here; empty where there is none."""


class Expression(StrEnum):
    """How a gene stands in a cluster."""

    UP = "up"
    DOWN = "down"
    NOT_DIFFERENT = "not_different"
    """Detected, and neither higher nor lower than elsewhere."""
    NOT_DETECTED = "not_detected"
    """Measured, but found in hardly any cell of the cluster."""
    NOT_MEASURED = "not_measured"
    """The data has no such gene; its absence says nothing."""
    NOT_LISTED = "not_listed"
    """Not among the markers, and there is no matrix to look it up in."""


class Comparison(Record):
    """A gene in one cluster against other cells."""

    against: str
    """Id of the other cluster, or ``""`` for all other cells."""
    expression: Expression
    log2FC: float | None
    """``None`` where one of the two has no cell with the gene, so that there is no ratio."""
    mean: float | None
    """Mean log-normalised expression in the other cells; never of fewer than two."""
    pct: Fraction | None
    """Fraction of the other cells in which the gene is detected."""


class GeneLookup(Record):
    """What the data says of one gene in one cluster: summaries of many cells, never the value of one."""

    gene: str
    """As the matrix spells it, or as it was asked for where the matrix has none."""
    mean: float | None = None
    """Mean log-normalised expression in the cluster."""
    pct: Fraction | None = None
    """Fraction of the cluster's cells in which the gene is detected."""
    rest: Comparison
    nearest: tuple[Comparison, ...] = ()
    """Against the clusters most like it, the most similar first."""

    @property
    def expression(self) -> Expression:
        """How the gene stands in the cluster, against all other cells."""
        return self.rest.expression


# --- what a model says ----------------------------------------------------------------------------


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


# --- what code says -------------------------------------------------------------------------------


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


# --- rows: what an asset keeps of each cluster ----------------------------------------------------


class Status(StrEnum):
    """What became of a cluster; a row that failed is still a row."""

    OK = "ok"
    UNRESOLVED = "unresolved"
    INVALID_REPLY = "invalid_reply"
    REFUSED = "refused"
    FAILED = "failed"
    BUDGET_EXHAUSTED = "budget_exhausted"


class Exchange(Record):
    """One question to a model and its reply, as kept in the conversation history."""

    role: str
    provider: str
    model: str
    template: str
    """Name and hash of the prompt template."""
    question: str
    reply: str


class Strategy(StrEnum):
    """How a label is arrived at."""

    ONE_SHOT = "one_shot"
    """One question, and its answer stands."""
    VALIDATED = "validated"
    """The validator may send the answer back."""
    FUSED = "fused"
    """The annotator may ask for genes of the cluster before it answers."""


class AnnotatedCluster(Record):
    """A row of ``annotations``; the evidence travels with it, so that every later role sees the same."""

    cluster: str
    cells: str = ""
    """Digest of the ids of the cluster's cells: the row is about these and no others."""
    evidence: ClusterEvidence
    status: Status
    status_reason: str = ""
    annotation: Annotation | None
    check: EvidenceCheck | None
    rounds: tuple[Verdict, ...] = ()
    """The validator's word on each attempt, in order."""
    strategy: Strategy = Strategy.VALIDATED
    lookups: tuple[GeneLookup, ...] = ()
    """Genes that the annotator asked for."""
    history: tuple[Exchange, ...] = ()


class ScoredCluster(Record):
    """A row of ``scores``."""

    cluster: str
    status: Status
    status_reason: str = ""
    score: Percent | None
    """``None`` where there is nothing to score, or the scorer failed."""
    rubric: Rubric | None
    reasoning: str = ""
    history: tuple[Exchange, ...] = ()


class BoostOutcome(StrEnum):
    """What the second look did to a label."""

    NOT_NEEDED = "not_needed"
    CONFIRMED = "confirmed"
    CHANGED = "changed"
    FAILED = "failed"


class BoostRound(Record):
    """Hypotheses of the second look, and what the data says of the genes that were to decide."""

    hypotheses: tuple[Hypothesis, ...]
    lookups: tuple[GeneLookup, ...]


class BoostedCluster(Record):
    """A row of ``boosted``: the final word on a cluster."""

    cluster: str
    status: Status
    status_reason: str = ""
    outcome: BoostOutcome
    explanation: str = ""
    rounds: tuple[BoostRound, ...] = ()
    """What was tested, in order."""
    supporting_genes: Genes = ()
    """What the second look found for the label that it concluded with, accepted or not."""
    refuting_genes: Genes = ()
    """What it found against it."""
    additional_task: str = ""
    """The user's extra question, where it was asked."""
    additional_answer: str = ""
    annotation: Annotation | None
    check: EvidenceCheck | None
    score: Percent | None
    rubric: Rubric | None
    reasoning: str = ""
    history: tuple[Exchange, ...] = ()


# --- the whole, as the outputs take it ------------------------------------------------------------


class ClusterResult(Record):
    """Everything known of one cluster at the end."""

    annotated: AnnotatedCluster
    scored: ScoredCluster
    boosted: BoostedCluster
    grouping: Grouping

    @property
    def cluster(self) -> str:
        """The cluster's id."""
        return self.annotated.cluster

    @property
    def evidence(self) -> ClusterEvidence:
        """What the data says of the cluster."""
        return self.annotated.evidence

    @property
    def history(self) -> tuple[Exchange, ...]:
        """All that was asked about the cluster, and replied, in order."""
        return (*self.annotated.history, *self.scored.history, *self.boosted.history)
