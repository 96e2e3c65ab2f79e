"""Which model plays a role and how it is asked: one choice, that may be said in several places.

A choice of a higher place lies over those below it (launchpad, catalog, environment), field by field. What belongs
to a provider (address, key) or to a model (quota, price, temperature) is not inherited by another one.
"""

from __future__ import annotations

import os
import re
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from cassia_dagster.errors import ConfigurationError
from cassia_dagster.llm.provider_errors import redact
from cassia_dagster.records import Record

type ModelRole = Literal["annotation", "validation", "score", "boost", "merge"]
MODEL_ROLES: tuple[ModelRole, ...] = ("annotation", "validation", "score", "boost", "merge")

EMBEDDED = "embedded"

_LIKE_A_KEY = re.compile(r"[A-Za-z0-9]{24,}")
"""Names of models have their words and versions apart; many providers' keys are one long word without a prefix."""

_OF_THE_PROVIDER = ("api_base", "api_key_env")
_OF_THE_MODEL = (
    "temperature",
    "requests_per_minute",
    "tokens_per_minute",
    "usd_per_million_input",
    "usd_per_million_output",
    "fallbacks",
)


class ModelFields(BaseModel):
    """What can be said of a model; ``None`` and an empty list say nothing.

    A value that is refused is not repeated in the message: it may be a key in the wrong place.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    provider: str | None = Field(
        default=None,
        description="'embedded' (deterministic, no key, no network) or a provider of LiteLLM, such as 'openrouter'.",
    )
    model: str | None = Field(
        default=None, description="The provider's name of the model, such as 'anthropic/claude-sonnet-4.5'."
    )
    api_base: str | None = Field(default=None, description="Address of a server of your own.")
    api_key_env: str | None = Field(default=None, description="Name of the environment variable that holds the key.")
    temperature: float | None = Field(default=None, ge=0, le=2, description="Left to the provider if unset.")
    max_tokens: int | None = Field(default=None, gt=0, description="Longest reply, thinking included.")
    timeout: float | None = Field(default=None, gt=0, le=1800, description="Seconds to wait for a reply.")
    requests_per_minute: int | None = Field(default=None, gt=0, description="The provider's quota of requests.")
    tokens_per_minute: int | None = Field(default=None, gt=0, description="The provider's quota of tokens.")
    max_concurrency: int | None = Field(default=None, gt=0, description="Most calls in flight, over all runs.")
    fallbacks: list[str] = Field(
        default_factory=list,
        description="Models (provider/model) that are asked, in this order, what this one gives no usable answer to.",
    )
    usd_per_million_input: float | None = Field(
        default=None, ge=0, description="Price of a million tokens read, where LiteLLM knows none or another one."
    )
    usd_per_million_output: float | None = Field(default=None, ge=0, description="Price of a million tokens written.")

    @field_validator("api_key_env")
    @classmethod
    def _is_a_name(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ValueError("api_key_env takes the name of an environment variable, such as LAB_KEY, never the key")
        return name

    @field_validator("api_base")
    @classmethod
    def _is_an_address(cls, address: str | None) -> str | None:
        parts = urlsplit(address or "http://none")
        if parts.scheme not in {"http", "https"} or not parts.netloc or "@" in parts.netloc or parts.query:
            raise ValueError("api_base takes an address such as http://localhost:8000/v1, with no user or key in it")
        return address

    @model_validator(mode="after")
    def _both_prices_or_none(self) -> Self:
        if (self.usd_per_million_input is None) != (self.usd_per_million_output is None):
            raise ValueError("give both prices, usd_per_million_input and usd_per_million_output, or neither")
        return self


class ModelChoice(ModelFields, Record):
    """What is said of a model in one place; ``"provider/model"`` says as much as a mapping with these two."""

    @model_validator(mode="before")
    @classmethod
    def _split(cls, said: Any) -> Any:
        if isinstance(said, str):
            said = {"model": said}
        if isinstance(said, dict) and said.get("model") and not said.get("provider"):
            provider, model = split_title(said["model"])
            return {**said, "provider": provider, "model": model}
        return said

    @model_validator(mode="after")
    def _a_provider_has_a_model(self) -> Self:
        if self.provider not in {None, EMBEDDED} and not self.model:
            raise ValueError(f"provider {_quoted(self.provider or '')} is given without a model")
        for fallback in self.fallbacks:
            split_title(fallback)
        return self

    @model_serializer(mode="wrap")
    def _short_where_that_says_all(self, write: SerializerFunctionWrapHandler) -> Any:
        said = {name: value for name, value in write(self).items() if value not in (None, [])}
        return self.title if said and said.keys() <= {"provider", "model"} else said

    @property
    def title(self) -> str:
        """Provider and model, as a user writes them; empty where none is chosen."""
        return f"{self.provider}/{self.model}" if self.model else self.provider or ""

    def over(self, below: ModelChoice) -> ModelChoice:
        """Lay this choice over another: what it says holds, the rest is inherited where it fits the model."""
        inherited = below.model_dump_fields()
        if self.provider and self.provider != below.provider:
            inherited = {name: value for name, value in inherited.items() if name not in _OF_THE_PROVIDER}
        if self.provider and self.title != below.title:
            inherited = {name: value for name, value in inherited.items() if name not in (*_OF_THE_MODEL, "model")}
        return ModelChoice.model_validate(inherited | self.model_dump_fields())

    def model_dump_fields(self) -> dict[str, Any]:
        """Return what is said, by name of the field."""
        fields = {name: getattr(self, name) for name in ModelChoice.model_fields}
        return {name: value for name, value in fields.items() if value not in (None, [])}

    @property
    def identity(self) -> str:
        """Name what of this choice decides the answers: not how fast, for how much, or with which key."""
        host = urlsplit(self.api_base or "").netloc
        parts = {"host": host or None, "temperature": self.temperature, "max_tokens": self.max_tokens}
        said = [f"{name}={value}" for name, value in parts.items() if value is not None]
        return " ".join([self.title or EMBEDDED, *said, *(f"else {fallback}" for fallback in self.fallbacks)])


def split_title(title: str) -> tuple[str, str]:
    """Split ``"provider/model"``; ``"embedded"`` has no model.

    Raises
    ------
    ValueError
        If there is no provider in front of the model.
    """
    provider, _, model = title.strip().partition("/")
    if provider != EMBEDDED and not (provider and model):
        raise ValueError(
            f"model {_quoted(title)} has no provider: write provider/model, such as 'openai/gpt-5', or 'embedded'"
        )
    return provider, model


def _quoted(title: str) -> str:
    """Quote what should name a model, unless it may be a key in the wrong place."""
    return repr(_LIKE_A_KEY.sub("[key]", redact(title, None)))


def chosen_in_environment(role: ModelRole) -> ModelChoice:
    """Read what the environment says of a role: ``CASSIA_<FIELD>`` for all, ``CASSIA_<ROLE>_<FIELD>`` over it.

    Raises
    ------
    ConfigurationError
        With the variable whose value cannot be used.
    """
    return _from_variables(f"CASSIA_{role.upper()}_").over(_from_variables("CASSIA_"))


def _from_variables(prefix: str) -> ModelChoice:
    found: dict[str, Any] = {}
    for name in ModelChoice.model_fields:
        value = os.environ.get(f"{prefix}{name.upper()}", "").strip()
        if value:
            found[name] = value.replace(",", " ").split() if name == "fallbacks" else value
    try:
        return ModelChoice.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        variable = prefix + str(first["loc"][0] if first["loc"] else "MODEL").upper()
        raise ConfigurationError(
            f"Environment variable {variable}: {first['msg'].removeprefix('Value error, ')}."
        ) from None


def said_of_model(model: str) -> str:
    """Return the name of a model as it was given, if it has a provider."""
    try:
        split_title(model)
    except ValueError as error:
        raise ConfigurationError(f"{str(error).capitalize()}.") from None
    return model
