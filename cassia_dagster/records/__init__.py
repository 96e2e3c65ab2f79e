"""The nouns of the method: what the data says, what a model says, and what code says of both.

Cluster ids are strings from the first line to the last, and match exactly.
"""

from cassia_dagster.records.base import (
    MOST_GENES,
    SPECIES,
    Fraction,
    Genes,
    Name,
    Percent,
    Prose,
    Record,
    Species,
    natural_order,
    rounded,
)
from cassia_dagster.records.checks import (
    Candidate,
    EvidenceCheck,
    Finding,
)
from cassia_dagster.records.evidence import (
    ClusterEvidence,
    ClusterQuality,
    Comparison,
    Expression,
    GeneLookup,
    Marker,
    NearbyCluster,
    TissueShare,
)
from cassia_dagster.records.replies import (
    Annotation,
    Grouping,
    Hypothesis,
    Rubric,
    Unresolved,
    Verdict,
)
from cassia_dagster.records.rows import (
    AnnotatedCluster,
    BoostedCluster,
    BoostOutcome,
    BoostRound,
    ClusterResult,
    Exchange,
    ScoredCluster,
    Status,
    Strategy,
)

__all__ = [
    "MOST_GENES",
    "SPECIES",
    "AnnotatedCluster",
    "Annotation",
    "BoostOutcome",
    "BoostRound",
    "BoostedCluster",
    "Candidate",
    "ClusterEvidence",
    "ClusterQuality",
    "ClusterResult",
    "Comparison",
    "EvidenceCheck",
    "Exchange",
    "Expression",
    "Finding",
    "Fraction",
    "GeneLookup",
    "Genes",
    "Grouping",
    "Hypothesis",
    "Marker",
    "Name",
    "NearbyCluster",
    "Percent",
    "Prose",
    "Record",
    "Rubric",
    "ScoredCluster",
    "Species",
    "Status",
    "Strategy",
    "TissueShare",
    "Unresolved",
    "Verdict",
    "natural_order",
    "rounded",
]
