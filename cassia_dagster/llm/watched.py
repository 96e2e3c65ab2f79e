"""Tells those who want to watch of every call: a log record with its fields, and OpenTelemetry's measures.

Both are silent until somebody asks for them: the logger ``cassia_dagster.calls`` at the level INFO, and an
OpenTelemetry SDK. Neither is handed a prompt, a reply, a message of an error, or a key.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cassia_dagster.llm.backend import Backend, RawReply
    from cassia_dagster.llm.ledger import CallState
    from cassia_dagster.llm.question import Question

LOG = logging.getLogger("cassia_dagster.calls")


def tell(
    question: Question[Any],
    backend: Backend,
    state: CallState,
    seconds: float,
    raw: RawReply | None = None,
    error: BaseException | None = None,
) -> None:
    """Tell what became of a call, or that a question needed none.

    Parameters
    ----------
    question, backend
        What was asked, and whom.
    state
        As the ledger has it.
    seconds
        How long it took.
    raw
        The reply, if one came.
    error
        What went wrong; of it only the kind is told.
    """
    kind = type(error).__name__ if error else None
    tokens = (raw.usage.input_tokens, raw.usage.output_tokens) if raw else (0, 0)
    if LOG.isEnabledFor(logging.INFO):
        dataset, resolution, cluster = (*question.subject.split("/", 2), None, None, None)[:3]
        call = {
            "dataset": dataset,
            "resolution": resolution,
            "cluster": cluster,
            "role": question.role,
            "provider": backend.provider,
            "model": backend.model,
            "state": state,
            "seconds": round(seconds, 3),
            "usd": raw.usd if raw else (0.0 if state == "cached" else None),
            "input_tokens": tokens[0],
            "output_tokens": tokens[1],
            "error": kind,
        }
        LOG.info("%s %s: %s", question.role, question.subject, state, extra={"call": call})
    if state != "cached":
        _measure(question, backend, seconds, tokens, kind)


def _measure(
    question: Question[Any], backend: Backend, seconds: float, tokens: tuple[int, int], kind: str | None
) -> None:
    duration, usage = _instruments()
    if duration is None:
        return
    # Names of OpenTelemetry's conventions for generative AI.
    said = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": backend.provider,
        "gen_ai.request.model": backend.model,
        "cassia.role": question.role,
    }
    duration.record(seconds, said | ({"error.type": kind} if kind else {}))
    for which, count in zip(("input", "output"), tokens, strict=True):
        if count:
            usage.record(count, said | {"gen_ai.token.type": which})


@cache
def _instruments() -> tuple[Any, Any]:
    """Make the instruments once; without OpenTelemetry's API there are none, and without its SDK they do nothing."""
    try:
        from opentelemetry.metrics import get_meter
    except ImportError:
        return None, None
    meter = get_meter("cassia_dagster")
    return (
        meter.create_histogram("gen_ai.client.operation.duration", "s", "Time until a reply, or its failure."),
        meter.create_histogram("gen_ai.client.token.usage", "{token}", "Tokens of a call."),
    )
