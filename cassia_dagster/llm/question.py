"""What goes through the door and what comes back: a typed question, a validated answer."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or several calls; sums with ``+``.

    Parameters
    ----------
    input_tokens, output_tokens
        Tokens read and written, as the provider counts them.
    cached_tokens
        The part of ``input_tokens`` that the provider read from its own prompt cache.
    reasoning_tokens
        The part of ``output_tokens`` that the model spent on thinking.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )


@dataclass(frozen=True, slots=True)
class Question[R: BaseModel]:
    """One question to a model, in both of its forms.

    Parameters
    ----------
    role
        Who asks, e.g. ``"annotate"``: a name for cache, ledger and prompts, without further meaning here.
    subject
        What it is about, e.g. ``"islets/0.4/3"``; for the ledger only, no part of the cache key.
    request
        The typed request, as a backend in code reads it.
    system, user
        The rendered prompt, as a language model reads it.
    reply_type
        The model that a reply must validate against.
    template
        Name and hash of the prompt template, e.g. ``"annotate.v1@3fa9c1"``; for the ledger only.
    replicate
        Index of an independent repetition: another index is another question.
    """

    role: str
    subject: str
    request: BaseModel
    system: str
    user: str
    reply_type: type[R]
    template: str
    replicate: int = 0


@dataclass(frozen=True, slots=True)
class Answer[R: BaseModel]:
    """A validated reply, and what it took to get it.

    Parameters
    ----------
    reply
        The validated reply.
    text
        The reply as stored: the JSON that the model wrote.
    cached
        Whether no call was made for this question: stored before, or shared with one in flight.
    key
        The content address of the question.
    provider, model
        Who answered; the model as the provider named it in its reply.
    usage
        Tokens that this question took now, over all attempts; zero if ``cached``.
    usd
        Its price in US dollars; zero if ``cached``, ``None`` where a price is unknown.
    seconds
        Wall-clock time from asking to answer.
    """

    reply: R
    text: str
    cached: bool
    key: str
    provider: str
    model: str
    usage: Usage
    usd: float | None
    seconds: float
