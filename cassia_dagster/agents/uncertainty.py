"""How sure is a label? The annotator names the cluster again and again, and code compares the names.

No role of its own: each run is the annotation as it is always made, asked as a repetition. Its first run has the very
questions that the annotation has, so that with the same model it is there already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cassia_dagster.agents.annotate import ANNOTATOR, annotate_cluster
from cassia_dagster.knowledge.consensus import Consensus, Vote, find_consensus, is_decided, least_votes
from cassia_dagster.knowledge.ontology import Relation, load_ontology
from cassia_dagster.llm.choice import EMBEDDED
from cassia_dagster.llm.repetition import Repetition
from cassia_dagster.records import (
    AnnotatedCluster,
    ClusterFinding,
    Exchange,
    Finding,
    Genes,
    Name,
    Percent,
    Record,
    Status,
)

if TYPE_CHECKING:
    from cassia_dagster.llm.door import Door
    from cassia_dagster.singlecell.lookup import LookUp

USUAL_RUNS = 5
FEWEST_RUNS = 2
MOST_RUNS = 50

AGREEMENT = 0.6
"""Share of the runs that must bear a name for it to be the consensus: 3 of 5."""

ANSWERS = frozenset({Status.OK, Status.UNRESOLVED})
"""What became of a run that has a vote: also that a cluster cannot be named is an answer."""


@dataclass(frozen=True, slots=True)
class Voice:
    """One that takes its turn in naming a cluster.

    Parameters
    ----------
    title
        Provider, model and all else that decides the answers, as it is shown; two voices of one title are one.
    annotator, validator
        The doors to the models of the two roles.
    """

    title: str
    annotator: Door
    validator: Door


@dataclass(frozen=True, slots=True)
class RepeatPlan:
    """How often a cluster is named.

    Parameters
    ----------
    runs
        Most runs, from 2 to 50.
    agreement
        Share of the runs that must bear a name for it to be the consensus, above a half.
    stop_when_decided
        Make no more runs once the consensus is what it will be, whatever they would say.
    """

    runs: int = USUAL_RUNS
    agreement: float = AGREEMENT
    stop_when_decided: bool = True

    def __post_init__(self) -> None:
        if not FEWEST_RUNS <= self.runs <= MOST_RUNS:
            raise ValueError(f"runs is {self.runs}; it must be between {FEWEST_RUNS} and {MOST_RUNS}.")
        if not 0.5 < self.agreement <= 1:
            raise ValueError(f"agreement is {self.agreement}; it must be above 0.5 and at most 1.")

    @property
    def least(self) -> int:
        """Runs that must bear a name."""
        return least_votes(self.runs, self.agreement)


class Run(Record):
    """One independent naming of a cluster."""

    model: str
    """Provider and model that took this turn."""
    deterministic: bool
    """Whether rules in code answered, which say the same whenever they are asked."""
    replicate: int
    """How often the same model had been asked before."""
    status: Status
    status_reason: str = ""
    label: Name | None
    cl_id: str | None
    cell_state: Name | None = None
    supporting_genes: Genes = ()
    findings: tuple[Finding, ...] = ()

    @property
    def vote(self) -> Vote | None:
        """What this run says; ``None`` where it got no answer."""
        return Vote(label=self.label, cl_id=self.cl_id) if self.status in ANSWERS else None


class UncertainCluster(ClusterFinding):
    """A row of ``uncertainty``: how the runs about one cluster agree."""

    status: Status
    status_reason: str = ""
    label: Name | None
    """What the annotator had said."""
    planned: int
    runs: tuple[Run, ...]
    decided: bool
    """Whether no run that was left out could have changed the consensus."""
    deterministic: bool
    """Whether every run was rules in code: they say the same each time, which measures no uncertainty."""
    consistency: Percent | None
    """100 × the mean hierarchical F1 of two runs; ``None`` where there is nothing to measure."""
    consensus: Consensus | None
    relation: Relation | None
    """How the consensus stands to the label."""
    history: tuple[Exchange, ...] = ()


def measure_uncertainty(
    row: AnnotatedCluster,
    voices: Sequence[Voice],
    subject: str,
    *,
    plan: RepeatPlan | None = None,
    look_up: LookUp | None = None,
) -> UncertainCluster:
    """Name a cluster several times, by those who take turns, and compare the names.

    Parameters
    ----------
    row
        The cluster, as it was annotated: the runs see the same evidence, and work by the same strategy.
    voices
        Who takes turns; at least one.
    subject
        What the ledger calls the cluster.
    plan
        How often, and when to stop.
    look_up
        Answers for genes of this cluster, where the strategy is to ask for them.

    Returns
    -------
    UncertainCluster
        Always. Runs without an answer have no vote; a spent budget ends the runs of a cluster.
    """
    plan = plan or RepeatPlan()
    runs: list[Run] = []
    history: list[Exchange] = []
    for number in range(plan.runs if row.evidence.markers else 0):
        voice = voices[number % len(voices)]
        replicate = sum(run.model == voice.title for run in runs)
        annotator, validator = Repetition(voice.annotator, replicate), Repetition(voice.validator, replicate)
        answer = annotate_cluster(row.evidence, annotator, validator, subject, row.strategy, look_up)
        runs.append(_run(voice, replicate, answer))
        history += answer.history
        if answer.status is Status.BUDGET_EXHAUSTED or (plan.stop_when_decided and _decided(runs, plan)):
            break
    return _compare(row, runs, plan, history)


def _run(voice: Voice, replicate: int, answer: AnnotatedCluster) -> Run:
    said, check = answer.annotation, answer.check
    named = said is not None and answer.status is Status.OK
    namings = [exchange for exchange in answer.history if exchange.role == ANNOTATOR.name]
    return Run(
        model=voice.title,
        deterministic=bool(namings) and all(one.provider == EMBEDDED for one in namings),
        replicate=replicate,
        status=answer.status,
        status_reason=answer.status_reason,
        label=said.label if named and said else None,
        cl_id=check.cl_id if named and check else None,
        cell_state=said.cell_state if said else None,
        supporting_genes=said.supporting_genes if said else (),
        findings=check.findings if check else (),
    )


def _votes(runs: Sequence[Run]) -> list[Vote]:
    return [vote for run in runs if (vote := run.vote) is not None]


def _decided(runs: Sequence[Run], plan: RepeatPlan) -> bool:
    # A run that failed has no vote now, nor has it one later.
    return is_decided(_votes(runs), plan.runs - len(runs), plan.least)


def _compare(
    row: AnnotatedCluster, runs: Sequence[Run], plan: RepeatPlan, history: Sequence[Exchange]
) -> UncertainCluster:
    votes = _votes(runs)
    consensus = find_consensus(votes, plan.least) if votes else None
    deterministic = bool(runs) and all(run.deterministic for run in runs)
    alike = consensus.mean_pairwise_f1 if consensus and not deterministic else None
    status, reason = _status(runs, len(votes))
    return UncertainCluster(
        cluster=row.cluster,
        cells=row.cells,
        status=status,
        status_reason=reason,
        label=row.annotation.label if row.annotation and row.status is Status.OK else None,
        planned=plan.runs,
        runs=tuple(runs),
        decided=bool(runs) and _decided(runs, plan),
        deterministic=deterministic,
        consistency=None if alike is None else 100 * alike,
        consensus=consensus,
        relation=_relation(row, consensus),
        history=tuple(history),
    )


def _status(runs: Sequence[Run], votes: int) -> tuple[Status, str]:
    if not runs:
        return Status.UNRESOLVED, "The cluster has no markers; there is nothing to ask about."
    if votes >= FEWEST_RUNS:
        return Status.OK, ""
    failed = next(run for run in reversed(runs) if run.vote is None)
    return failed.status, failed.status_reason


def _relation(row: AnnotatedCluster, consensus: Consensus | None) -> Relation | None:
    if consensus is None or row.check is None or row.check.cl_id is None:
        return None
    return load_ontology().relation(consensus.cl_id, row.check.cl_id)
