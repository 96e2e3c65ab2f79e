"""What the tests of this room share: a question with a real reply type, a scripted backend, a store."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cassia_dagster.llm.backend import JSON, RawReply, Take
from cassia_dagster.llm.door import Question
from cassia_dagster.llm.gate import Gate
from cassia_dagster.llm.question import Usage
from cassia_dagster.llm.store import Store
from cassia_dagster.records import Annotation, Record

BETA_CELL = json.dumps(
    {
        "general_celltype": "endocrine cell",
        "subtypes": ["type B pancreatic cell"],
        "supporting_genes": ["INS", "IAPP"],
    }
)


class Markers(Record):
    """A request as a role would make it."""

    genes: tuple[str, ...]


class Script:
    """A backend that plays back what it was given, in order: texts, replies, or errors to raise."""

    provider = "script"
    model = "script-1"

    def __init__(self, *lines: str | RawReply | Exception) -> None:
        self.lines = list(lines)
        self.takes: list[Take] = []

    def identity(self, question: Question[Any]) -> Mapping[str, JSON]:
        return {"user": question.user}

    def answer(self, question: Question[Any]) -> RawReply:
        return self.answer_again(question, Take())

    def answer_again(self, question: Question[Any], take: Take) -> RawReply:
        assert question.user
        self.takes.append(take)
        line = self.lines.pop(0)
        if isinstance(line, Exception):
            raise line
        return complete(line) if isinstance(line, str) else line


def complete(text: str) -> RawReply:
    return RawReply(text, "stop", "script-1-2026", Usage(100, 20, 60, 5), usd=0.25)


@pytest.fixture
def beta_cell() -> str:
    """Give a valid reply to `question`."""
    return BETA_CELL


@pytest.fixture
def question() -> Question[Annotation]:
    """Give a question about a cluster of beta cells."""
    return Question(
        role="annotate",
        subject="islets/0.4/3",
        request=Markers(genes=("INS", "IAPP")),
        system="You name cell types.",
        user="Markers: INS, IAPP",
        reply_type=Annotation,
        template="annotate.v1@3fa9c1",
    )


@pytest.fixture
def script() -> Callable[..., Script]:
    """Give the type of the scripted backend."""
    return Script


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a path for a store in a folder that is not there yet."""
    return tmp_path / "home" / "replies.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """Open a store for the run ``run-1``."""
    with Store.open(path, run="run-1") as opened:
        yield opened


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let the door note its pauses instead of keeping them."""
    from cassia_dagster.llm import door, retry

    noted: list[float] = []

    def note(take: Take, error: Any) -> float:
        noted.append(retry.pause_before(take, error))
        return 0.0

    monkeypatch.setattr(door, "pause_before", note)
    monkeypatch.setattr(Gate, "_until_open", lambda *_: 0.0)
    return noted
