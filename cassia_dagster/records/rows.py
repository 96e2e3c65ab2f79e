"""What an asset keeps of each cluster, and the whole of it as the outputs take it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from cassia_dagster.records.base import Genes, Name, Percent, Record
from cassia_dagster.records.checks import EvidenceCheck
from cassia_dagster.records.evidence import ClusterEvidence, GeneLookup
from cassia_dagster.records.replies import Annotation, Grouping, Hypothesis, Rubric, Verdict


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
    about: str = ""
    """Digest of the annotation that was scored."""
    history: tuple[Exchange, ...] = ()


class ClusterFinding(Record):
    """What every row of an analysis on demand begins with."""

    cluster: str
    cells: str
    """Digest of the ids of the cluster's cells: the row is about these and no others."""

    def is_about(self, clusters: Mapping[str, ClusterResult]) -> bool:
        """Tell whether it still holds: whether the cluster has these cells among the clusters of now, by id."""
        return self.cluster in clusters and clusters[self.cluster].annotated.cells == self.cells


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


class ManualOutcome(StrEnum):
    """What became of a label that a person gave."""

    LABELLED = "labelled"
    """It took the place of the models' label."""
    CONFIRMED = "confirmed"
    """It is what the models said too."""
    STALE = "stale"
    """It was given to other cells or markers than those of now, and not applied."""


class ManualReview(Record):
    """A person's word on a cluster."""

    outcome: ManualOutcome
    label: Name
    cl_id: str | None
    who: Name
    why: str
    date: str
    """ISO."""


class BoostedCluster(Record):
    """A row of ``boosted``: the models' final word on a cluster; of ``reviewed``: with a person's word over it."""

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
    about: str = ""
    """Digest of the annotation and the score that were looked at."""
    on_demand: bool = False
    """Whether a user had asked for a second look at this cluster."""
    annotation: Annotation | None
    check: EvidenceCheck | None
    score: Percent | None
    rubric: Rubric | None
    reasoning: str = ""
    review: ManualReview | None = None
    """What a person said of the cluster, if one did."""
    history: tuple[Exchange, ...] = ()


class GroupedCluster(Grouping):
    """A row of ``merged``."""

    about: str = ""
    """Digest of the label that was grouped."""


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
