"""What annotating would cost: the roles rehearse on the real clusters, and nobody is asked.

Questions that were answered before are free, and their answers are used. Where a model would be asked, the embedded
backend stands in for it, so that the next question can be put; how often the validator would send an answer back is
its guess, not the model's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from cassia_dagster.agents.annotate import ANNOTATOR, annotate_cluster
from cassia_dagster.agents.boost import BOOSTER, BoostPlan, ClusterData, boost_cluster, keep_as_is, needs_boost
from cassia_dagster.agents.embedded import EmbeddedBackend
from cassia_dagster.agents.merge import MERGER, merge_clusters
from cassia_dagster.agents.namesakes import namesakes_of
from cassia_dagster.agents.role import Role
from cassia_dagster.agents.score import SCORER, score_cluster
from cassia_dagster.agents.validate import VALIDATOR
from cassia_dagster.knowledge.markers import load_markers
from cassia_dagster.llm.backend import Backend, MeteredBackend, Take
from cassia_dagster.llm.cache import question_key
from cassia_dagster.llm.door import Door
from cassia_dagster.llm.pricing import BYTES_PER_TOKEN
from cassia_dagster.llm.question import Answer, Question, Usage
from cassia_dagster.llm.store import Store
from cassia_dagster.records import (
    AnnotatedCluster,
    BoostedCluster,
    ClusterEvidence,
    Marker,
    ScoredCluster,
    Species,
    Strategy,
)

BETA_CELL = "CL:0000169"
N_KEPT = 100
"""Markers of a cluster that `gather_evidence` keeps."""

ROLES = (ANNOTATOR, VALIDATOR, SCORER, BOOSTER, MERGER)


type DataOf = Callable[[Sequence[AnnotatedCluster], Mapping[str, tuple[str, ...]]], Mapping[str, ClusterData]]
"""Tells of clusters, and of those that share their name, what the booster would be told of each."""


@dataclass(slots=True)
class Expected:
    """What one role is expected to take.

    Parameters
    ----------
    role, model
        Who is asked as what.
    calls, cached
        Questions that would be sent, and those that were answered before.
    input_tokens, output_tokens
        Of the calls. A reply is taken to be as long as this model's replies to this role were so far, or, if it
        never played the role, as the stand-in's: without thinking.
    usd
        Their price; ``None`` where it is unknown.
    most_usd
        The price if every reply is as long as is allowed and every byte that is sent is a token.
    """

    role: str
    model: str
    calls: int = 0
    cached: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = 0.0
    most_usd: float | None = 0.0


@dataclass(slots=True)
class Rehearsal(Door):
    """A door that asks nobody, and notes what asking would take."""

    backend: Backend
    store: Store
    expected: dict[str, Expected]
    _usual: dict[str, float | None] = field(default_factory=dict)
    _stand_ins: dict[tuple[str, str], str] = field(default_factory=dict)
    """By role and prompt: a question that is repeated many times is thought about once."""

    def ask[R: BaseModel](self, question: Question[R]) -> Answer[R]:
        """Answer from the cache, else let the embedded backend stand in and note the call."""
        key = question_key(question, self.backend.identity(question))
        row = self.expected[question.role]
        kept = self.store.replies.find(key)
        text = kept.text if kept and _is_valid(kept.text, question.reply_type) else None
        if text is not None:
            row.cached += 1
        else:
            asked = question.role, question.user
            if asked not in self._stand_ins:
                self._stand_ins[asked] = EmbeddedBackend().answer(question).text or ""
            text = self._stand_ins[asked]
            self._note(row, question, text)
        return Answer(
            reply=question.reply_type.model_validate_json(text),
            text=text,
            cached=kept is not None,
            key=key,
            provider=self.backend.provider,
            model=self.backend.model,
            usage=Usage(),
            usd=0.0,
            seconds=0.0,
        )

    def _note(self, row: Expected, question: Question[Any], stand_in: str) -> None:
        row.calls += 1
        if not isinstance(self.backend, MeteredBackend):
            return
        most = self.backend.reservation(question, Take())
        read = len(f"{question.system}{question.user}".encode()) // BYTES_PER_TOKEN
        written = self._usual_length(question.role) or len(stand_in.encode()) / BYTES_PER_TOKEN
        row.input_tokens += read
        row.output_tokens += round(written)
        price = self.backend.price
        row.usd = None if price is None or row.usd is None else row.usd + price.of(read, round(written))
        row.most_usd = None if most.usd is None or row.most_usd is None else row.most_usd + most.usd

    def _usual_length(self, role: str) -> float | None:
        if role not in self._usual:
            self._usual[role] = self.store.ledger.usual_reply(self.backend, role)
        return self._usual[role]


def rehearsal(backend: Backend, store: Store, *roles: Role[Any, Any]) -> Rehearsal:
    """Make a door that notes what it would take to ask one model in some roles."""
    title = f"{backend.provider}/{backend.model}"
    return Rehearsal(backend, store, {role.name: Expected(role.name, title) for role in roles})


def rehearse(
    evidence: Sequence[ClusterEvidence],
    backends: Mapping[str, Backend],
    store: Store,
    *,
    dataset: str,
    resolution: str,
    score_threshold: float,
    namesakes: bool,
    strategy: Strategy | None = None,
    data_of: DataOf | None = None,
) -> list[Expected]:
    """Let all roles work on clusters without asking anybody.

    Parameters
    ----------
    evidence
        What the data says of each cluster.
    backends
        Who plays the roles, by their names.
    store
        The cache and the ledger; nothing is written.
    dataset, resolution
        Of what the clusters are.
    score_threshold
        Labels that score less get a second look.
    namesakes
        Whether clusters that share a name get one too.
    strategy
        How labels are arrived at; `validated` if not given.
    data_of
        Tells what the booster would be told of the clusters that get a second look; their markers if not given.

    Returns
    -------
    list of Expected
        One a role, in the order in which they work.
    """
    expected = {
        role.name: Expected(role.name, f"{backends[role.name].provider}/{backends[role.name].model}") for role in ROLES
    }
    annotator, validator, scorer, booster, merger = (Rehearsal(backends[role.name], store, expected) for role in ROLES)
    rows: list[AnnotatedCluster] = []
    scores: list[ScoredCluster] = []
    for one in evidence:
        subject = f"{dataset}/{resolution}/{one.cluster}"
        rows.append(annotate_cluster(one, annotator, validator, subject, strategy or Strategy.VALIDATED))
        scores.append(score_cluster(one, rows[-1], scorer, subject))
    same = namesakes_of(rows) if namesakes else {}
    pairs = list(zip(rows, scores, strict=True))
    asked = [row for row, score in pairs if row.cluster in same or needs_boost(row, score, score_threshold)]
    known = (
        data_of(asked, same)
        if data_of
        else {row.cluster: ClusterData(namesakes=same.get(row.cluster, ())) for row in asked}
    )

    def look_again(row: AnnotatedCluster, score: ScoredCluster) -> BoostedCluster:
        if (told := known.get(row.cluster)) is None:
            return keep_as_is(row, score)
        return boost_cluster(
            row,
            score,
            booster,
            scorer,
            f"{dataset}/{resolution}/{row.cluster}",
            look_up=told.look_up,
            contrast=told.contrast,
            namesakes=told.namesakes,
            plan=BoostPlan(score_threshold=score_threshold),
        )

    final = [look_again(row, score) for row, score in pairs]
    if evidence:
        merge_clusters(final, evidence[0].species, evidence[0].tissue, merger, f"{dataset}/{resolution}")
    return list(expected.values())


def _is_valid(text: str, reply_type: type[BaseModel]) -> bool:
    try:
        reply_type.model_validate_json(text)
    except ValidationError:
        return False
    return True


def example_cluster(species: Species, tissue: str, cl_id: str = BETA_CELL) -> ClusterEvidence:
    """Make up a cluster of one cell type with as many markers as are kept, to price where nothing is clustered yet."""
    knowledge = load_markers(species)
    column = knowledge.weights[:, knowledge.types.index(cl_id)]
    genes = sorted(knowledge.species_genes, key=lambda gene: (-column[knowledge.row(gene) or 0], gene))[:N_KEPT]
    markers = tuple(
        Marker(gene=gene, avg_log2FC=1.23, pct_1=0.912, pct_2=0.123, p_val_adj=1.23e-45, score=12.3) for gene in genes
    )
    return ClusterEvidence(cluster="0", n_cells=100, share=0.1, markers=markers, species=species, tissue=tissue)
