"""Replies that were paid for once: stored under the content of their question."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cassia_dagster.llm.backend import JSON, RawReply
from cassia_dagster.llm.database import Database
from cassia_dagster.llm.question import Question, Usage


def canonical_json(value: JSON) -> str:
    """Spell a value as JSON in the one way that every machine and process agrees on.

    Raises
    ------
    ValueError
        If a number is not finite.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def question_key(question: Question[Any], identity: Mapping[str, JSON]) -> str:
    """Give the content address of a question.

    Parameters
    ----------
    question
        What is asked; of it, role, replicate and the schema of the reply are taken.
    identity
        What the backend says decides the answer beside them.

    Returns
    -------
    str
        SHA-256 of their canonical JSON, 64 hexadecimal digits.
    """
    content: dict[str, JSON] = {
        "identity": identity,
        "role": question.role,
        "replicate": question.replicate,
        "reply_schema": question.reply_type.model_json_schema(),
    }
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class StoredReply:
    """A complete, valid reply, and what it once took.

    Parameters
    ----------
    text
        The JSON that the model wrote.
    model
        The model as the provider named it.
    usage, usd
        Tokens and US dollars of the call that brought it; ``None`` for an unknown price.
    created
        When it was stored, in seconds since 1970 (UTC).
    """

    text: str
    model: str
    usage: Usage
    usd: float | None
    created: float


@dataclass(frozen=True, slots=True)
class Holding:
    """What the cache holds of one model: replies, their characters, their price, and when they were bought."""

    provider: str
    model: str
    replies: int
    characters: int
    usd: float
    oldest: float
    newest: float


class ReplyCache:
    """The table of replies.

    Parameters
    ----------
    database
        Where the table is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, key: str) -> StoredReply | None:
        """Look a reply up by its question's content address."""
        row = self._database.one(
            "SELECT text, response_model, input_tokens, output_tokens, cache_read_input_tokens,"
            " reasoning_output_tokens, usd, created FROM replies WHERE key = ?",
            key,
        )
        if row is None:
            return None
        text, model, read, written, cached, reasoning, usd, created = row
        return StoredReply(text, model, Usage(read, written, cached, reasoning), usd, created)

    def keep(self, key: str, text: str, raw: RawReply, *, provider: str, model: str) -> StoredReply:
        """Store a valid reply.

        Parameters
        ----------
        key
            Content address of the question.
        text
            The JSON to store.
        raw
            The reply that it stands in.
        provider, model
            Who was asked.

        Returns
        -------
        StoredReply
            What is stored now: an earlier reply, where another process was faster, so that
            whoever asks this question sees one answer only.
        """
        self._database.run(
            "INSERT INTO replies VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
            key,
            text,
            provider,
            model,
            raw.model,
            raw.usage.input_tokens,
            raw.usage.output_tokens,
            raw.usage.cached_tokens,
            raw.usage.reasoning_tokens,
            raw.usd,
            time.time(),
        )
        kept = self.find(key)
        if kept is None:
            raise LookupError(f"the reply {key} vanished while it was stored; is another program clearing the store?")
        return kept

    def holdings(self) -> list[Holding]:
        """Tell what the cache holds of each model, the most first."""
        rows = self._database.rows(
            "SELECT provider_name, request_model, COUNT(*), TOTAL(LENGTH(text)), TOTAL(usd), MIN(created), MAX(created)"
            " FROM replies GROUP BY provider_name, request_model ORDER BY COUNT(*) DESC, provider_name, request_model"
        )
        return [Holding(provider, model, count, int(size), *rest) for provider, model, count, size, *rest in rows]

    def count(self, model: str | None = None, before: float | None = None) -> int:
        """Count the replies that `clear` would forget."""
        condition, values = _chosen(model, before)
        (count,) = self._database.one(f"SELECT COUNT(*) FROM replies WHERE {condition}", *values) or (0,)  # noqa: S608
        return int(count)

    def clear(self, model: str | None = None, before: float | None = None) -> None:
        """Forget replies; the ledger keeps what was paid for them.

        Parameters
        ----------
        model
            Only those of this one, as ``provider/model``.
        before
            Only those from before this time, in seconds since 1970 (UTC).
        """
        condition, values = _chosen(model, before)
        self._database.run(f"DELETE FROM replies WHERE {condition}", *values)  # noqa: S608
        self._database.run("VACUUM")

    def drop(self, key: str) -> None:
        """Forget a reply."""
        self._database.run("DELETE FROM replies WHERE key = ?", key)


def _chosen(model: str | None, before: float | None) -> tuple[str, list[str | float]]:
    """Write the condition for the replies of a model, from before a time."""
    conditions, values = ["TRUE"], list[str | float]()
    if model is not None:
        conditions.append("provider_name || '/' || request_model = ?")
        values.append(model)
    if before is not None:
        conditions.append("created < ?")
        values.append(before)
    return " AND ".join(conditions), values
