"""Tests of what is made of a provider's errors."""

from __future__ import annotations

import pytest

from cassia_dagster.errors import ModelError
from cassia_dagster.llm.errors import RateLimited, Refused, Rejected, Unavailable
from cassia_dagster.llm.provider_errors import redact, translate

KEY = "sk-or-v1-0123456789abcdefABCDEFwxyz"


class AuthenticationError(Exception):
    """As LiteLLM names it."""


class BadRequestError(Exception):
    """As LiteLLM names it."""


class ContentPolicyViolationError(BadRequestError):
    """As LiteLLM names it."""


class RateLimitError(Exception):
    """As LiteLLM names it."""


class APIError(Exception):
    """As LiteLLM names it: a class that says nothing."""


def error(kind: type[Exception], message: str = "no", status: int = 0, **headers: str) -> Exception:
    made = kind(message)
    made.status_code = status  # type: ignore[attr-defined]
    made.litellm_response_headers = {name.replace("_", "-"): value for name, value in headers.items()}  # type: ignore[attr-defined]
    return made


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (error(AuthenticationError, status=401), ModelError),
        (error(APIError, status=402), ModelError),
        (error(APIError, status=529), Unavailable),
        (error(APIError, status=418), Rejected),
        (error(BadRequestError, status=503), Rejected),
        (error(ContentPolicyViolationError, status=400), Refused),
        (error(RateLimitError, status=429), RateLimited),
        (error(RateLimitError, "You exceeded your quota: insufficient_quota", 429), ModelError),
        (error(BadRequestError, "Your credit balance is too low", 400), ModelError),
        (error(BadRequestError, "gpt-9 is not a valid model ID", 400), ModelError),
        (TimeoutError(), Unavailable),
        (KeyError("choices"), Rejected),
    ],
)
def test_an_error_dooms_one_question_or_all(raised: Exception, expected: type[Exception]) -> None:
    assert type(translate(raised, asked="p/m", key_name="K", key=KEY)) is expected


def test_the_message_names_the_model_the_words_of_the_provider_and_the_way_out() -> None:
    raised = error(APIError, "Insufficient credits", 402)
    assert (
        str(translate(raised, asked="openrouter/x", key_name="OPENROUTER_API_KEY", key=KEY))
        == "openrouter/x did not answer: Insufficient credits."
        " Add credit to the account of OPENROUTER_API_KEY, or choose another provider."
    )


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("0.5", 0.5), ("Wed, 21 Oct 2026 07:28:00 GMT", 0.0)])
def test_a_provider_may_ask_for_a_pause(header: str, seconds: float) -> None:
    translated = translate(error(RateLimitError, retry_after=header), asked="p/m", key_name="K", key=KEY)
    assert isinstance(translated, Unavailable)
    assert translated.retry_after == seconds


@pytest.mark.parametrize(
    "message",
    [
        f"Incorrect API key provided: {KEY}.",
        "Incorrect API key provided: sk-or-v1-01234**************wxyz. You can find your key",
        "invalid key 'sk-o…wxyz'",
        "invalid key ...wxyz",
        f"Illegal header value b'Bearer {KEY}\\n'",
        f"GET https://host/v1?key={KEY}&alt=json",
        "another one: sk-ant-REDACTED",
    ],
)
def test_no_piece_of_a_key_is_left_in_a_message(message: str) -> None:
    clean = redact(message, KEY)
    assert not [piece for piece in ("sk-", "wxyz", "01234", "abcdef") if piece in clean.lower()]
    assert "[key]" in clean


def test_other_words_are_left_alone() -> None:
    message = "The model skywork-o1-open-llama does not exist or you do not have access to it."
    assert redact(message, KEY) == message
