"""The validator accepts an annotation or sends it back, with the evidence check before its eyes."""

from __future__ import annotations

from cassia_dagster.agents.role import Role
from cassia_dagster.records import Annotation, ClusterEvidence, EvidenceCheck, Record, Verdict


class ValidateRequest(Record):
    """What the validator is asked."""

    evidence: ClusterEvidence
    annotation: Annotation
    check: EvidenceCheck


VALIDATOR = Role("validate", version=2, request=ValidateRequest, reply=Verdict)
