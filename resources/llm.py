"""Providers of language models as Dagster resources, one a role, and the store that all of them share."""

from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from cassia_dagster.llm.door import Door
from cassia_dagster.llm.litellm_backend import LiteLLMBackend
from cassia_dagster.llm.store import Store

if TYPE_CHECKING:
    from cassia_dagster.llm.backend import Backend

EMBEDDED = "embedded"


class ModelStore(dg.ConfigurableResource):
    """The file that keeps the replies of models and the ledger of calls."""

    path: str = Field(description="A SQLite file, shared by all runs.")

    def session(self, context: dg.AssetExecutionContext) -> Store:
        """Open the store for one asset of one run; a context manager that closes itself."""
        return Store.open(Path(self.path), run=f"{context.run_id}/{context.asset_key.to_user_string()}")


class ModelResource(dg.ConfigurableResource):
    """The model that plays one role.

    The key of a provider is never part of the configuration: only the name of the environment variable that
    holds it is, and it is read when the first question is asked.
    """

    provider: str = Field(
        default=EMBEDDED,
        description="'embedded' (deterministic, no key, no network) or a provider of LiteLLM, such as 'openrouter'.",
    )
    model: str = Field(
        default="", description="The provider's name of the model, such as 'anthropic/claude-sonnet-4.5'."
    )
    api_base: str | None = Field(default=None, description="Address of an OpenAI-compatible server of your own.")
    api_key_env: str | None = Field(default=None, description="Name of the environment variable that holds the key.")
    max_tokens: int = Field(default=2048, gt=0, description="Longest reply.")
    timeout: float = Field(default=120.0, gt=0, description="Seconds to wait for a reply.")
    temperature: float | None = Field(default=None, description="Left to the provider if unset.")

    def door(self, store: Store) -> Door:
        """Return the way to ask this model, with the replies and the ledger in the store."""
        return Door(self._backend(), store)

    def check(self) -> None:
        """Raise `ModelError` if it is clear before the first question that the model cannot be asked."""
        backend = self._backend()
        if isinstance(backend, LiteLLMBackend):
            backend.check()

    @property
    def title(self) -> str:
        """Provider and model, as tables and reports name them."""
        return self.provider if self.provider == EMBEDDED else f"{self.provider}/{self.model}"

    def _backend(self) -> "Backend":
        if self.provider == EMBEDDED:
            from cassia_dagster.agents.embedded import EmbeddedBackend

            return EmbeddedBackend()
        return LiteLLMBackend(
            self.provider,
            self.model,
            api_base=self.api_base,
            api_key_env=self.api_key_env,
            max_tokens=self.max_tokens,
            timeout=self.timeout,
            temperature=self.temperature,
        )
