"""Whether a question is put again after a failure, how, and how long to wait before.

The only owner of retries: backends make one call each, and their libraries are told to make no more.
"""

from __future__ import annotations

import random
from dataclasses import replace

from cassia_dagster.llm.backend import RawReply, Take
from cassia_dagster.llm.errors import CutShort, InvalidReply, RateLimited, Unavailable, UnusableReply

MOST_WAITS = 3
"""How often an unavailable provider is waited for, per question."""
MOST_LIMITS = 8
"""How often, if it only asks for patience because of its quota."""
LONGEST_PAUSE = 60.0
"""Seconds; a provider that asks for a longer pause is given up on."""


def next_take(take: Take, error: UnusableReply) -> Take | None:
    """Decide how a question is put after a failure.

    Parameters
    ----------
    take
        How it was put when it failed.
    error
        The failure.

    Returns
    -------
    Take or None
        How to put it next, or ``None`` to give up. A question ends after `MOST_WAITS` pauses
        (`MOST_LIMITS` where a quota is the reason), one call with doubled room and one with the complaint, in
        whatever order they are needed.
    """
    again = replace(take, attempt=take.attempt + 1)
    match error:
        case Unavailable() if take.waits < _most_waits(error) and error.retry_after <= LONGEST_PAUSE:
            return replace(again, waits=take.waits + 1)
        case CutShort() if take.room == 1:
            return replace(again, room=2)
        case InvalidReply(raw=RawReply(text=str(text))) if not take.complaint:
            return replace(again, rejected=text, complaint=error.complaint)
        case _:
            return None


def pause_before(take: Take, error: UnusableReply) -> float:
    """Tell how long to wait before a call.

    Parameters
    ----------
    take
        The call, as `next_take` planned it.
    error
        The failure before it.

    Returns
    -------
    float
        Seconds: none unless the provider was unavailable; then exponential with jitter, and never
        less than the provider asked for.
    """
    if not isinstance(error, Unavailable):
        return 0.0
    jitter = random.uniform(0.5, 1.5)  # noqa: S311
    if isinstance(error, RateLimited) and error.retry_after:
        return error.retry_after + jitter  # the provider knows better than any rule when to come back
    backoff: float = min(2 ** (take.waits - 1) * jitter, LONGEST_PAUSE)
    return max(backoff, error.retry_after)


def _most_waits(error: Unavailable) -> int:
    return MOST_LIMITS if isinstance(error, RateLimited) else MOST_WAITS
