"""A backend that answers as it was told, so that a test can play any model."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from pydantic import BaseModel

from cassia_dagster.llm.backend import RawReply
from cassia_dagster.llm.door import Door
from cassia_dagster.llm.store import Store
from cassia_dagster.records import Annotation, ClusterEvidence, Marker

_SCRIPTS = count()


class Scripted:
    """Answers each role with the next of its replies; a function is called with the request."""

    provider = "scripted"
    model = "script"

    def __init__(self, **replies: list[BaseModel | Exception | Callable[[Any], BaseModel]]) -> None:
        self.replies = replies
        self.script = next(_SCRIPTS)
        self.asked: list[BaseModel] = []

    def identity(self, question):  # noqa: ARG002
        return {"script": self.script, "number": len(self.asked)}

    def answer(self, question):
        self.asked.append(question.request)
        reply = self.replies[question.role].pop(0)
        if isinstance(reply, Exception):
            raise reply
        reply = reply(question.request) if callable(reply) else reply
        return RawReply(text=reply.model_dump_json(), finish_reason="stop", model=self.model, usd=0.0)


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "models.sqlite") as store:
        yield store


@pytest.fixture
def scripted(store):
    """Make a door to a model that gives these replies, and the backend that remembers what it was asked."""

    def make(**replies) -> tuple[Door, Scripted]:
        backend = Scripted(**replies)
        return Door(backend, store), backend

    return make


@pytest.fixture
def evidence_of():
    """Make the evidence of a cluster from its id and its marker genes, best first."""

    def make(cluster: str, genes: str, **said) -> ClusterEvidence:
        markers = tuple(
            Marker(gene=gene, avg_log2FC=5.0, pct_1=0.95, pct_2=0.1, p_val_adj=1e-50, score=30.0 - rank)
            for rank, gene in enumerate(genes.split())
        )
        said = {"n_cells": 100, "share": 0.1, "species": "human", "tissue": "pancreas"} | said
        return ClusterEvidence(cluster=cluster, markers=markers, **said)

    return make


@pytest.fixture
def beta_cells(evidence_of) -> ClusterEvidence:
    return evidence_of("0", "INS IAPP HADH ADCYAP1 NPTX2 PCSK1 DLK1 MAFA SIX3 PFKFB2")


@pytest.fixture
def named():
    """Make an annotation with a detailed and a broad name."""

    def make(label: str, general: str, *genes: str) -> Annotation:
        return Annotation(general_celltype=general, subtypes=(label,), supporting_genes=genes, rationale="it is")

    return make
