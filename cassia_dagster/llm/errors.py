"""Why one question got no usable reply; each kind knows the status of the cluster that asked."""

from __future__ import annotations

from typing import ClassVar

from cassia_dagster.errors import CassiaError
from cassia_dagster.llm.backend import RawReply
from cassia_dagster.records import Status


class UnusableReply(CassiaError):  # noqa: N818 - the base of those below, which are named after what happened
    """Base of all that goes wrong with a single question.

    Parameters
    ----------
    message
        What happened, and the way out.
    raw
        The reply that could not be used, if one came.
    """

    status: ClassVar[Status] = Status.FAILED

    def __init__(self, message: str, raw: RawReply | None = None) -> None:
        super().__init__(message)
        self.raw = raw


class Unavailable(UnusableReply):
    """The provider did not answer for now: limited, overloaded, unreachable, or silent.

    Parameters
    ----------
    retry_after
        Seconds that the provider asked to be left alone, if it did.
    unanswered
        Whether the call was sent and its fate is unknown: the provider may have worked, and may send a bill.
    """

    def __init__(
        self, message: str, raw: RawReply | None = None, *, retry_after: float = 0.0, unanswered: bool = False
    ) -> None:
        super().__init__(message, raw)
        self.retry_after = retry_after
        self.unanswered = unanswered


class RateLimited(Unavailable):
    """The provider's quota is used up for now; nothing is wrong with it or with the question."""


class BudgetExhausted(UnusableReply):
    """The question was not sent: what it may cost is more than what may still be spent."""

    status = Status.BUDGET_EXHAUSTED


class Rejected(UnusableReply):
    """The provider does not take this request: too long, or malformed."""


class Refused(UnusableReply):
    """The model, or a filter before it, declined to answer."""

    status = Status.REFUSED


class CutShort(UnusableReply):
    """The reply is incomplete or empty. It is never mended: half a gene name may be another gene."""

    status = Status.INVALID_REPLY


class InvalidReply(UnusableReply):
    """The reply is complete, but not what was asked for.

    Parameters
    ----------
    complaint
        What is wrong, in words for the model: one line a place.
    """

    status = Status.INVALID_REPLY

    def __init__(self, message: str, raw: RawReply, *, complaint: str) -> None:
        super().__init__(message, raw)
        self.complaint = complaint
