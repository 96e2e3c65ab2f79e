"""The account of every call: written down before it is sent, settled when it is back."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Literal

from cassia_dagster.llm.backend import Backend, MeteredBackend, RawReply, Reservation
from cassia_dagster.llm.database import Database, within
from cassia_dagster.llm.question import Question, Usage
from cassia_dagster.processes import is_running, name_of_process

type CallState = Literal["sent", "done", "failed", "lost", "cached"]
"""Under way, replied usably, failed, of unknown fate (its process died, or no reply came), or not needed."""

LONGEST_CALL = 3600.0
"""Seconds after which a call of another machine is taken for lost, if it was not said when it expires."""


@dataclass(frozen=True, slots=True)
class Call:
    """A row of the ledger; names as in OpenTelemetry's terms for generative AI.

    A question that was answered from the cache has one row in the state ``cached`` with attempt 0 and
    no tokens. Any other question has a row for each call that was made for it, numbered from 1.
    """

    id: int
    run: str
    host: str
    process: str
    started: float
    """Seconds since 1970 (UTC)."""
    seconds: float | None
    state: CallState
    attempt: int
    role: str
    subject: str
    template: str
    replicate: int
    key: str
    provider_name: str
    request_model: str
    response_model: str | None
    finish_reason: str | None
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    reasoning_output_tokens: int
    usd: float | None
    """``None`` where the price is unknown, or nothing was received."""
    error_type: str | None
    error_message: str | None
    lane: str | None
    """The quota that the call counts against."""
    expires: float | None
    """When nobody waits for the reply any more."""
    reserved_tokens: int
    reserved_usd: float | None
    """What was set aside for the call; what a lost call is taken to have cost."""


_COLUMNS = ", ".join(field.name for field in fields(Call))


@dataclass(frozen=True, slots=True)
class Totals:
    """What a run, or all of them, took.

    Parameters
    ----------
    calls
        Calls made, whatever became of them.
    cached
        Questions answered without a call.
    failed, lost
        Calls without a usable reply, and calls of unknown fate.
    usage
        Tokens of all calls.
    usd
        US dollars of all calls with a known price.
    unpriced
        Calls that may have cost something unknown: replies of unknown price, and lost calls.
    saved_usd
        What the cached answers cost when they were bought.
    seconds
        Time spent waiting for replies, summed over calls.
    """

    calls: int
    cached: int
    failed: int
    lost: int
    usage: Usage
    usd: float
    unpriced: int
    saved_usd: float
    seconds: float


_TOTALS = """
SELECT COUNT(*) FILTER (WHERE state != 'cached'), COUNT(*) FILTER (WHERE state = 'cached'),
       COUNT(*) FILTER (WHERE state = 'failed'), COUNT(*) FILTER (WHERE state = 'lost'),
       TOTAL(calls.input_tokens), TOTAL(calls.output_tokens),
       TOTAL(calls.cache_read_input_tokens), TOTAL(calls.reasoning_output_tokens),
       TOTAL(calls.usd),
       COUNT(*) FILTER (WHERE state = 'lost' OR (finish_reason IS NOT NULL AND calls.usd IS NULL)),
       TOTAL(replies.usd) FILTER (WHERE state = 'cached'), TOTAL(seconds)
FROM calls LEFT JOIN replies USING (key)
"""


class Ledger:
    """The table of calls, as one run of one process writes it.

    Parameters
    ----------
    database
        Where the table is.
    run
        The run that its new rows belong to, e.g. Dagster's run id.
    """

    def __init__(self, database: Database, run: str) -> None:
        self._database = database
        self._run = run
        self._host = socket.gethostname()
        self._process = name_of_process(os.getpid())

    def intend(
        self,
        question: Question[Any],
        key: str,
        backend: Backend,
        attempt: int,
        reservation: Reservation | None = None,
    ) -> int:
        """Write down that a call is about to be sent and what it may take, and give its number."""
        reserved: dict[str, Any] = {}
        if reservation is not None:
            reserved = {
                "lane": backend.quota.lane if isinstance(backend, MeteredBackend) else None,
                "expires": time.time() + reservation.seconds,
                "reserved_tokens": reservation.tokens,
                "reserved_usd": reservation.usd,
            }
        return self._insert("sent", question, key, backend, attempt=attempt, **reserved)

    def is_under_way(self, key: str) -> bool:
        """Tell whether anybody is asking this question now."""
        return self._database.one("SELECT 1 FROM calls WHERE state = 'sent' AND key = ?", key) is not None

    def hit(self, question: Question[Any], key: str, backend: Backend, model: str) -> None:
        """Write down a question that needed no call; `model` is the one that once answered."""
        self._insert("cached", question, key, backend, attempt=0, response_model=model)

    def usual_reply(self, backend: Backend, role: str) -> float | None:
        """Tell how many tokens the usable replies of a model to a role had on average; ``None`` if there are none."""
        sql = (
            "SELECT AVG(output_tokens) FROM calls"
            " WHERE state = 'done' AND role = ? AND provider_name = ? AND request_model = ?"
        )
        (average,) = self._database.one(sql, role, backend.provider, backend.model) or (None,)
        return None if average is None else float(average)

    def settle(
        self,
        call: int,
        state: CallState,
        seconds: float,
        raw: RawReply | None,
        error: BaseException | None = None,
    ) -> None:
        """Write down what became of a call.

        Parameters
        ----------
        call
            Its number.
        state
            ``done``, ``failed`` or ``lost``.
        seconds
            How long it took.
        raw
            The reply, if there was one; its tokens and price count even if it was not usable.
        error
            What went wrong, if anything did. Its message must not contain a secret.
        """
        usage = raw.usage if raw else Usage()
        self._database.run(
            "UPDATE calls SET state = ?, seconds = ?, response_model = ?, finish_reason = ?, input_tokens = ?,"
            " output_tokens = ?, cache_read_input_tokens = ?, reasoning_output_tokens = ?, usd = ?, error_type = ?,"
            " error_message = ? WHERE id = ?",
            state,
            seconds,
            raw.model if raw else None,
            raw.finish_reason if raw else None,
            usage.input_tokens,
            usage.output_tokens,
            usage.cached_tokens,
            usage.reasoning_tokens,
            raw.usd if raw else None,
            type(error).__name__ if error else None,
            str(error) if error else None,
            call,
        )

    def mark_lost(self) -> None:
        """Mark the calls of dead processes as lost.

        A process on this machine is asked for; of others it is only known when their calls expire.
        A call that is settled after all is no longer lost.
        """
        under_way = "SELECT DISTINCT process FROM calls WHERE state = 'sent' AND host = ?"
        for (process,) in list(self._database.rows(under_way, self._host)):
            if not is_running(process):
                self._database.run(
                    "UPDATE calls SET state = 'lost' WHERE state = 'sent' AND host = ? AND process = ?",
                    self._host,
                    process,
                )
        self._database.run(
            "UPDATE calls SET state = 'lost' WHERE state = 'sent' AND coalesce(expires, started + ?) < ?",
            LONGEST_CALL,
            time.time(),
        )

    def calls(self, run: str | None = None, subject: str | None = None) -> Iterator[Call]:
        """Give rows in the order in which they were written; see `Store.calls`."""
        scope, values = _scope(run, subject)
        for row in self._database.rows(f"SELECT {_COLUMNS} FROM calls {scope} ORDER BY id", *values):  # noqa: S608
            yield Call(*row)

    def totals(self, run: str | None = None, subject: str | None = None) -> Totals:
        """Sum rows up; see `Store.totals`."""
        scope, values = _scope(run, subject)
        (row,) = self._database.rows(f"{_TOTALS} {scope}", *values)
        calls, cached, failed, lost, read, written, from_cache, reasoning, usd, unpriced, saved, seconds = row
        usage = Usage(int(read), int(written), int(from_cache), int(reasoning))
        return Totals(calls, cached, failed, lost, usage, usd, unpriced, saved, seconds)

    def last(self) -> int:
        """Name the newest row, for those that want to know of later ones; 0 if there is none."""
        (newest,) = self._database.one("SELECT MAX(id) FROM calls") or (None,)
        return newest or 0

    def when_bought(self, run: str, after: int = 0) -> tuple[float, int]:
        """Tell of the replies that a run used, in rows after one, how they were bought, whenever that was.

        Returns
        -------
        seconds : float
            How long they took, summed over questions.
        unpriced : int
            How many of them have no known price.
        """
        sql = (
            "SELECT TOTAL(seconds), COUNT(*) FILTER (WHERE usd IS NULL) FROM calls WHERE id IN"
            " (SELECT MAX(id) FROM calls WHERE state = 'done'"
            " AND key IN (SELECT key FROM calls WHERE run = ? AND id > ?) GROUP BY key)"
        )
        seconds, unpriced = self._database.one(sql, run, after) or (0.0, 0)
        return float(seconds), int(unpriced)

    def _insert(
        self,
        state: CallState,
        question: Question[Any],
        key: str,
        backend: Backend,
        *,
        attempt: int,
        **more: Any,
    ) -> int:
        row = {
            "run": self._run,
            "host": self._host,
            "process": self._process,
            "started": time.time(),
            "state": state,
            "attempt": attempt,
            "role": question.role,
            "subject": question.subject,
            "template": question.template,
            "replicate": question.replicate,
            "key": key,
            "provider_name": backend.provider,
            "request_model": backend.model,
            **more,
        }
        places = ", ".join("?" * len(row))
        return self._database.run(f"INSERT INTO calls ({', '.join(row)}) VALUES ({places})", *row.values())  # noqa: S608


def _scope(run: str | None, subject: str | None) -> tuple[str, list[str]]:
    """Write the condition for the rows of a run, and of a subject and all below it."""
    conditions, values = ["TRUE"], []
    if run is not None:
        conditions.append("calls.run = ?")
        values.append(run)
    if subject is not None:
        condition, names = within("calls.subject", subject)
        conditions.append(condition)
        values += names
    return f"WHERE {' AND '.join(conditions)}", values
