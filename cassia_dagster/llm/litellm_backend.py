"""Language models of any provider, through LiteLLM: the only file that imports it, at the first call.

Of LiteLLM one function is used. Its retries, cache, budgets, router and callbacks stay off: the door has its own.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from functools import cache, cached_property
from importlib.metadata import version
from threading import Lock, Thread
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from cassia_dagster.errors import ModelError
from cassia_dagster.llm.backend import JSON, FinishReason, Quota, RawReply, Reservation, Take
from cassia_dagster.llm.pricing import BYTES_PER_TOKEN, Price, most_tokens
from cassia_dagster.llm.provider_errors import translate
from cassia_dagster.llm.question import Question, Usage
from cassia_dagster.llm.schema import response_format

_FREE = frozenset({"ollama", "ollama_chat", "hosted_vllm", "lm_studio", "llamafile"})
"""Providers that are the user's own hardware; everywhere else, a price of zero is an unknown one."""

_FINISH: dict[str, FinishReason] = {"length": "length", "content_filter": "refusal", "refusal": "refusal"}

_GRACE, _LAST_WORDS = 5.0, 60.0
"""Seconds after the timeout in which a call is given up, and in which its intent is settled."""

_NO_KEY = "no-key"
"""What a server that wants no key is sent, so that LiteLLM does not send it one from the environment."""

# Some providers accept the schema and route to one that ignores it, unless told not to.
_EXTRA_BODY: dict[str, dict[str, JSON]] = {"openrouter": {"provider": {"require_parameters": True}}}


class LiteLLMBackend:
    """Ask a language model, one call a question.

    Parameters
    ----------
    provider
        LiteLLM's name of the provider, e.g. ``"openrouter"``, ``"anthropic"``, ``"ollama"``.
    model
        The provider's name of the model.
    api_base
        Address of the server; by default what ``<PROVIDER>_API_BASE`` or ``<PROVIDER>_BASE_URL`` in
        the environment says, else the provider's own.
    api_key_env
        Name of the environment variable that holds the key; it is read when a call is made. ``None``
        sends no key to an `api_base`, and else the one in ``<PROVIDER>_API_KEY``, if there is one.
    max_tokens
        Most tokens of a reply, thinking included.
    timeout
        Seconds for one call.
    temperature
        Only sent if given; some models take none.
    requests_per_minute, tokens_per_minute, max_concurrency
        The provider's quota, and most calls in flight; all processes that ask this model at this address share them.
    usd_per_million_input, usd_per_million_output
        The price, where LiteLLM knows none or another one.
    """

    def __init__(
        self,
        provider: str,
        model: str,
        *,
        api_base: str | None = None,
        api_key_env: str | None = None,
        max_tokens: int = 2048,
        timeout: float = 120.0,
        temperature: float | None = None,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        max_concurrency: int | None = None,
        usd_per_million_input: float | None = None,
        usd_per_million_output: float | None = None,
    ) -> None:
        self.provider = provider
        self.model = model
        self._api_base = api_base or _api_base_in_environment(provider)
        self._keyless = api_key_env is None and api_base is not None
        self._api_key_env = api_key_env
        self._usual_key_name = f"{provider.upper()}_API_KEY"
        self._max_tokens = max_tokens
        self._timeout = timeout
        self._temperature = temperature
        self.quota = Quota(
            f"{provider}/{model}@{_host(self._api_base)}", requests_per_minute, tokens_per_minute, max_concurrency
        )
        self._given_price = None
        if usd_per_million_input is not None and usd_per_million_output is not None:
            self._given_price = Price(usd_per_million_input / 1e6, usd_per_million_output / 1e6)

    @property
    def max_tokens(self) -> int:
        """Most tokens of a reply."""
        return self._max_tokens

    @property
    def price(self) -> Price | None:
        """The price of a token: as it was given, else as LiteLLM knows it; ``None`` if nobody does."""
        return self._given_price or (Price(0.0, 0.0) if self.provider in _FREE else self._listed_price)

    def reservation(self, question: Question[Any], take: Take) -> Reservation:
        """Tell what a call may take at worst: every byte that is sent a token, and a reply as long as is allowed."""
        parameters = self._parameters(question, take)
        read, written = most_tokens(parameters), parameters["max_tokens"]
        price = self.price
        usd = None if price is None else price.of(read, written)
        return Reservation(tokens=read // BYTES_PER_TOKEN + written, usd=usd, seconds=self._timeout + _LAST_WORDS)

    def check(self) -> None:
        """Find out what can be found out without a call.

        Raises
        ------
        ModelError
            If the provider is none that LiteLLM knows, or its key is in no environment variable.
        """
        litellm = _litellm()
        asked = f"{self.provider}/{self.model}"
        if self.provider not in {getattr(known, "value", known) for known in litellm.provider_list}:
            raise ModelError(
                f"{asked}: LiteLLM knows no provider {self.provider!r}. Write provider/model, such as 'openai/gpt-5' "
                "or 'openrouter/anthropic/claude-sonnet-4.5'."
            )
        if self._api_key() or self.provider in _FREE:
            return
        found = litellm.validate_environment(asked)
        names = [name for name in found["missing_keys"] if name.endswith("_KEY")]
        if names and not found["keys_in_environment"]:
            raise ModelError(
                f"{asked} needs a key, and the environment variable {' or '.join(names)} is not set. Set it "
                f"(export {names[0]}=…), or choose the embedded model."
            )

    def identity(self, question: Question[Any]) -> Mapping[str, JSON]:
        """Tell what decides the answer: provider, model, host, messages and parameters, but no key."""
        return {
            "backend": "litellm",
            "provider": self.provider,
            "model": self.model,
            "api_host": _host(self._api_base),
            **self._parameters(question, Take()),
        }

    def answer(self, question: Question[Any]) -> RawReply:
        """Make one call; see `Backend.answer` for what it raises."""
        return self.answer_again(question, Take())

    def answer_again(self, question: Question[Any], take: Take) -> RawReply:
        """Make one call, with more room or the complaint about the last reply."""
        key = self._api_key()
        failure: Exception
        try:
            response = self._complete(question, take, key)
        except Exception as error:  # noqa: BLE001 - whatever LiteLLM raises may quote the key
            failure = translate(
                error,
                asked=f"{self.provider}/{self.model}",
                key_name=self._api_key_env or self._usual_key_name,
                key=key,
            )
        else:
            reply = _raw_reply(response, self.model)
            return replace(reply, usd=self._usd(reply))
        # Outside of the handler, so that the original, which may quote the key, is not chained to it.
        raise failure

    def _usd(self, reply: RawReply) -> float | None:
        """Price a reply: LiteLLM knows of discounts, a given price goes before it."""
        if self._given_price is None and reply.usd:
            return reply.usd
        price = self.price
        return None if price is None else price.of(reply.usage.input_tokens, reply.usage.output_tokens)

    @cached_property
    def _listed_price(self) -> Price | None:
        # Importing LiteLLM here keeps the seconds that takes out of the time between a call's intent and the call.
        try:
            listed = _litellm().get_model_info(f"{self.provider}/{self.model}")
        except Exception:  # noqa: BLE001 - it raises Exception itself where it knows no model of that name
            return None
        read, written = listed.get("input_cost_per_token"), listed.get("output_cost_per_token")
        return Price(read, written) if read and written else None

    def _complete(self, question: Question[Any], take: Take, key: str | None) -> Any:
        litellm = _litellm()

        async def complete() -> Any:
            # LiteLLM's own timeout is per read for some providers.
            async with asyncio.timeout(self._timeout + _GRACE):
                return await litellm.acompletion(
                    model=f"{self.provider}/{self.model}",
                    api_base=self._api_base,
                    api_key=key,
                    timeout=self._timeout,
                    max_retries=0,
                    drop_params=True,
                    **self._parameters(question, take),
                )

        pending = asyncio.run_coroutine_threadsafe(complete(), _event_loop())
        try:
            return pending.result()
        except BaseException:
            pending.cancel()
            raise

    def _parameters(self, question: Question[Any], take: Take) -> dict[str, Any]:
        """Everything that the model sees or that steers it, as LiteLLM takes it."""
        messages = [
            {"role": "system", "content": question.system},
            {"role": "user", "content": question.user},
        ]
        if take.complaint:
            messages += [
                {"role": "assistant", "content": take.rejected},
                {
                    "role": "user",
                    "content": "That reply could not be accepted:\n"
                    f"{take.complaint}\n"
                    "Answer the question again, with all of these mended, and with nothing but the JSON.",
                },
            ]
        parameters: dict[str, Any] = {
            "messages": messages,
            "response_format": response_format(question.reply_type),
            "max_tokens": self._max_tokens * take.room,
        }
        if self._temperature is not None:
            parameters["temperature"] = self._temperature
        if self.provider in _EXTRA_BODY:
            parameters["extra_body"] = deepcopy(_EXTRA_BODY[self.provider])
        return parameters

    def _api_key(self) -> str | None:
        if self._api_key_env is None:
            return _NO_KEY if self._keyless else os.environ.get(self._usual_key_name)
        # A line break at the end, as files of secrets have it, would be quoted in an error about headers.
        key = os.environ.get(self._api_key_env, "").strip()
        if not key:
            raise ModelError(
                f"{self.provider}/{self.model} needs a key, and the environment variable {self._api_key_env} is not"
                f" set. Set it (export {self._api_key_env}=…), or choose the embedded model."
            )
        return key


_starting = Lock()


@cache
def _only_event_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    Thread(target=loop.run_forever, name="litellm", daemon=True).start()
    return loop


def _event_loop() -> asyncio.AbstractEventLoop:
    """Give the one loop of this process, which runs in a thread of its own.

    Connections and LiteLLM's own tasks belong to the loop that they were made in, and outlive a call.
    """
    with _starting:
        return _only_event_loop()


def _litellm() -> ModuleType:
    """Import LiteLLM so that it contacts nobody but the provider.

    Raises
    ------
    ModelError
        If the version that is installed was compromised; none of its code has run then.
    """
    refuse_compromised(version("litellm"))
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS", "True")
    import litellm

    litellm.suppress_debug_info = True
    return litellm


COMPROMISED = {"1.82.7", "1.82.8", "1.107.0"}
"""Versions that were published with a trojan in 2026."""


def refuse_compromised(installed: str) -> None:
    """Raise `ModelError` if that version of LiteLLM steals keys."""
    if installed in COMPROMISED:
        raise ModelError(
            f"LiteLLM {installed} was compromised: it sends keys to strangers. Remove it, replace every key that this "
            "machine has seen, and install what requirements.lock names (docs/dependencies.md)."
        )


def _raw_reply(response: Any, requested: str) -> RawReply:
    model = response.model or requested
    price = (getattr(response, "_hidden_params", None) or {}).get("response_cost")
    usd = price or None
    usage = _usage(getattr(response, "usage", None))
    if not response.choices:
        return RawReply(None, "empty", model, usage, usd)
    choice = response.choices[0]
    fields = getattr(choice.message, "provider_specific_fields", None) or {}
    refusal = getattr(choice.message, "refusal", None) or fields.get("refusal")
    if refusal:
        return RawReply(refusal, "refusal", model, usage, usd)
    return RawReply(choice.message.content, _FINISH.get(choice.finish_reason, "stop"), model, usage, usd)


def _usage(usage: Any) -> Usage:
    read, written = (
        getattr(usage, "prompt_tokens_details", None),
        getattr(usage, "completion_tokens_details", None),
    )
    return Usage(
        input_tokens=getattr(usage, "prompt_tokens", 0) or 0,
        output_tokens=getattr(usage, "completion_tokens", 0) or 0,
        cached_tokens=getattr(read, "cached_tokens", 0) or 0,
        reasoning_tokens=getattr(written, "reasoning_tokens", 0) or 0,
    )


def _api_base_in_environment(provider: str) -> str | None:
    """Find the address that LiteLLM would use by itself, so that it is part of the question's identity."""
    names = (f"{provider.upper()}_API_BASE", f"{provider.upper()}_BASE_URL")
    return next((os.environ[name] for name in names if os.environ.get(name)), None)


def _host(api_base: str | None) -> str:
    """Reduce an address to host, port and path, without a user or a key in it."""
    parts = urlsplit(api_base or "")
    return parts.netloc.rpartition("@")[2] + parts.path.rstrip("/")
