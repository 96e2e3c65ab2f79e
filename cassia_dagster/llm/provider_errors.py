"""What a provider's error means for us, told without the secrets that it may quote."""

from __future__ import annotations

import re
from typing import Literal

from cassia_dagster.errors import ModelError
from cassia_dagster.llm.errors import RateLimited, Refused, Rejected, Unavailable, UnusableReply

type _Kind = Literal["key", "credit", "model", "provider", "refused", "rejected", "limited", "unavailable"]

# Words that tell more than the class and the status they come with.
_BY_WORDS: dict[str, _Kind] = {
    "Missing credentials": "key",  # OpenAI's own client, before it calls
    "Missing Gemini API key": "key",  # LiteLLM, before it calls
    "insufficient_quota": "credit",  # OpenAI: 429
    "credit balance is too low": "credit",  # Anthropic: 400
    "is not a valid model": "model",  # OpenRouter: 400
    "LLM Provider NOT provided": "provider",  # LiteLLM itself: 400
    "input was flagged": "refused",  # OpenRouter: 403
}

# LiteLLM's and OpenAI's classes, from the special to the general along their line of descent. They go
# before the status, which is not always that of the class: a BadRequestError may say 503.
_BY_CLASS: dict[str, _Kind] = {
    "AuthenticationError": "key",
    "PermissionDeniedError": "key",
    "PaymentRequiredError": "credit",
    "NotFoundError": "model",
    "ContentPolicyViolationError": "refused",
    "BadRequestError": "rejected",
    "UnprocessableEntityError": "rejected",
    "RateLimitError": "limited",
    "InternalServerError": "unavailable",
    "ServiceUnavailableError": "unavailable",
    "BadGatewayError": "unavailable",
    "APIConnectionError": "unavailable",
    "TimeoutError": "unavailable",
}

_BY_STATUS: dict[int, _Kind] = {
    401: "key",
    402: "credit",
    403: "key",
    404: "model",
    408: "unavailable",
    429: "limited",
}

_WAYS_OUT: dict[_Kind, str] = {
    "key": "Put a key that may use this model into {key}.",
    "credit": "Add credit to the account of {key}, or choose another provider.",
    "model": "Choose a model that this provider has, and that answers in a given JSON schema.",
    "provider": "Name one that LiteLLM knows, e.g. openrouter, openai, anthropic, gemini or ollama.",
    "refused": "Another model may answer.",
    "rejected": "Ask about fewer markers, or choose another model.",
    "limited": "Set requests_per_minute and tokens_per_minute to its quota, or ask for fewer clusters at once.",
    "unavailable": "Try again later, or with fewer calls at once.",
}

_NEVER_LEFT = {"ConnectError", "ConnectTimeout", "ClientConnectorError", "ConnectionRefusedError"}
_NEVER_CAME_BACK = {"Timeout", "TimeoutError", "APITimeoutError", "ReadTimeout", "ReadError", "RemoteProtocolError"}
_LONGEST_CHAIN = 20

_SECRET_LIKE = re.compile(r"(?i)\bBearer\s+\S+|\b(?:(?:sk|pk|gsk|xai)[-_]|AIza)[-\w]{12,}|[-\w]*\*{3,}[-\w]*")
_SHOWN_OF_A_KEY = 4
_LONGEST_MESSAGE = 400


def translate(error: Exception, *, asked: str, key_name: str, key: str | None) -> ModelError | UnusableReply:
    """Turn an error of LiteLLM into one of ours.

    Parameters
    ----------
    error
        What was raised.
    asked
        Provider and model.
    key_name
        Where the key comes from, for the user.
    key
        The key, to remove it from what the provider says.

    Returns
    -------
    ModelError or UnusableReply
        The former if no other question can succeed either.
    """
    kind = _kind(error)
    words, _, _ = str(error).partition("Traceback (most recent call last)")
    said = redact(" ".join(words.split()), key).rstrip(".")
    if len(said) > _LONGEST_MESSAGE:
        said = said[: _LONGEST_MESSAGE - 1] + "…"
    message = f"{asked} did not answer: {said or type(error).__name__}. {_WAYS_OUT[kind].format(key=key_name)}"
    match kind:
        case "limited":
            return RateLimited(message, retry_after=_retry_after(error))
        case "unavailable":
            return Unavailable(message, retry_after=_retry_after(error), unanswered=_was_sent(error))
        case "refused":
            return Refused(message)
        case "rejected":
            return Rejected(message)
        case _:
            return ModelError(message)


def redact(text: str, key: str | None) -> str:
    """Remove a key from a text, whole or in the pieces that providers echo, and all that looks like one."""
    if key:
        text = text.replace(key, "[key]")
        if len(key) > 4 * _SHOWN_OF_A_KEY:
            head, tail = re.escape(key[:_SHOWN_OF_A_KEY]), re.escape(key[-_SHOWN_OF_A_KEY:])
            text = re.sub(rf"(?<![-\w]){head}[-\w*.…]*|[-\w*.…]*{tail}(?![-\w])", "[key]", text)
    return _SECRET_LIKE.sub("[key]", text)


def _kind(error: Exception) -> _Kind:
    words = str(error)
    for phrase, kind in _BY_WORDS.items():
        if phrase in words:
            return kind
    for ancestor in type(error).__mro__:
        if ancestor.__name__ in _BY_CLASS:
            return _BY_CLASS[ancestor.__name__]
    status = getattr(error, "status_code", 0) or 0
    return _BY_STATUS.get(status, "unavailable" if status >= 500 else "rejected")


def _was_sent(error: BaseException | None) -> bool:
    """Tell whether a call may have reached the provider and never came back: too slow, or cut off.

    LiteLLM has one class for connections that were refused and for those that broke; its causes tell them apart.
    """
    names = set[str]()
    for _ in range(_LONGEST_CHAIN):
        if error is None:
            break
        names |= {ancestor.__name__ for ancestor in type(error).__mro__}
        error = error.__cause__ or error.__context__
    return not names & _NEVER_LEFT and bool(names & _NEVER_CAME_BACK)


def _retry_after(error: Exception) -> float:
    headers = getattr(error, "litellm_response_headers", None) or {}
    try:
        return max(0.0, float(headers.get("retry-after", 0)))
    except ValueError:  # a date, which no provider of models is known to send
        return 0.0
