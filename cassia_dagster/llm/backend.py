"""What the door asks of whoever answers: a language model behind an API, or rules in code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from cassia_dagster.llm.pricing import Price
from cassia_dagster.llm.question import Question, Usage

type JSON = bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None

type FinishReason = Literal["stop", "length", "refusal", "empty"]
"""Why a reply ended: complete, out of tokens, declined by the model or a filter, or never begun."""


@dataclass(frozen=True, slots=True)
class RawReply:
    """A reply before anybody looked into it.

    Parameters
    ----------
    text
        What was written, or ``None`` where nothing was.
    finish_reason
        Why it ended.
    model
        The model as the provider names it in the reply.
    usage
        Tokens of this call.
    usd
        Price of this call in US dollars; ``None`` where it is unknown, ``0.0`` only where it is free.
    """

    text: str | None
    finish_reason: FinishReason
    model: str
    usage: Usage = field(default_factory=Usage)
    usd: float | None = None


@dataclass(frozen=True, slots=True)
class Take:
    """How a question is put this time, after what went wrong before.

    Parameters
    ----------
    attempt
        1 for the first call.
    waits
        How often the provider was waited for so far.
    room
        Factor on the allowed output tokens.
    rejected, complaint
        The reply that was not accepted, and what was wrong with it; empty where none was.
    """

    attempt: int = 1
    waits: int = 0
    room: int = 1
    rejected: str = ""
    complaint: str = ""


@dataclass(frozen=True, slots=True)
class Quota:
    """What a provider lets through, and what its calls are counted under.

    Parameters
    ----------
    lane
        Name of the quota: calls of all processes with this name share it.
    requests_per_minute, tokens_per_minute
        As the provider grants them; ``None`` where there is no such limit.
    max_concurrency
        Most calls in flight.
    """

    lane: str
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class Reservation:
    """What one call may take at worst, set aside before it is sent.

    Parameters
    ----------
    tokens
        Tokens that count against the quota.
    usd
        US dollars; ``None`` where the price is unknown.
    seconds
        Time after which nobody waits for its reply any more.
    """

    tokens: int
    usd: float | None
    seconds: float


class Backend(Protocol):
    """One that answers questions; used from many threads at once."""

    @property
    def provider(self) -> str:
        """Who is asked, e.g. ``"openrouter"``."""

    @property
    def model(self) -> str:
        """The requested model."""

    def identity(self, question: Question[Any]) -> Mapping[str, JSON]:
        """Tell everything that decides the answer, beside role, reply schema and replicate."""

    def answer(self, question: Question[Any]) -> RawReply:
        """Answer with exactly one call.

        Raises
        ------
        ModelError
            If no question can be answered: bad key, no credit, unknown model.
        UnusableReply
            If this one was not: ``Unavailable`` where the same call may succeed later.
        """


@runtime_checkable
class PatientBackend(Backend, Protocol):
    """One that can be asked again in other words; rules in code would only repeat themselves."""

    def answer_again(self, question: Question[Any], take: Take) -> RawReply:
        """Answer with exactly one call, given more room or the complaint about the last reply."""


@runtime_checkable
class MeteredBackend(Backend, Protocol):
    """One whose calls count against a quota, and may cost money."""

    @property
    def quota(self) -> Quota:
        """What the provider lets through."""

    @property
    def price(self) -> Price | None:
        """The price of a token, if it is known."""

    def reservation(self, question: Question[Any], take: Take) -> Reservation:
        """Tell what a call may take at worst."""
