"""Providers of language models as Dagster resources, one a role, and the store that all of them share."""

from typing import TYPE_CHECKING, Self

import dagster as dg
from pydantic import Field, ValidationError

from cassia_dagster.errors import ConfigurationError
from cassia_dagster.llm.choice import EMBEDDED, ModelChoice, ModelFields, ModelRole, chosen_in_environment
from cassia_dagster.llm.door import Door
from cassia_dagster.llm.litellm_backend import LiteLLMBackend
from cassia_dagster.llm.store import Limits, Store

if TYPE_CHECKING:
    from cassia_dagster.llm.backend import Backend

__all__ = ["EMBEDDED", "ModelOverride", "ModelResource", "ModelStore"]


class ModelStore(dg.ConfigurableResource):
    """The file that keeps the replies of models and the ledger of calls."""

    path: str = Field(description="A SQLite file, or the address of a PostgreSQL database; shared by all runs.")

    def session(self, context: dg.AssetExecutionContext, limits: Limits | None = None) -> Store:
        """Open the store for one asset of one run, and what that may spend; a context manager that closes itself."""
        run = f"{context.run_id}/{context.asset_key.to_user_string()}"
        return Store.open(self.path, run=run, limits=limits)


class ModelOverride(dg.Config, ModelFields):
    """Another choice of the model for this run alone; what is left out is as the catalog or the environment says."""

    def choice(self) -> ModelChoice:
        """Return what is said here."""
        return _choice(self)


class ModelResource(dg.ConfigurableResource, ModelFields):
    """The model that plays one role.

    The key of a provider is never part of the configuration: only the name of the environment variable that
    holds it is, and it is read when the first question is asked.
    """

    provider: str = Field(default=EMBEDDED, description=ModelFields.model_fields["provider"].description)

    @classmethod
    def of(cls, choice: ModelChoice) -> Self:
        """Make the resource of a choice; one that says nothing is the embedded model."""
        return cls(**choice.model_dump_fields())

    @classmethod
    def from_environment(cls, role: ModelRole) -> Self:
        """Make the resource that the environment chooses for a role."""
        return cls.of(chosen_in_environment(role))

    def overlaid(self, *choices: ModelChoice) -> "ModelResource":
        """Return the model after choices were laid over this one, each over those before it."""
        chosen = _choice(self)
        for choice in choices:
            chosen = choice.over(chosen)
        return ModelResource.of(chosen)

    def door(self, store: Store) -> Door:
        """Return the way to ask this model and its fallbacks, with replies, ledger and limits in the store.

        Raises
        ------
        ModelError
            If there is a budget, and one of them has no known price.
        """
        first, *fallbacks = self.backends()
        for backend in (first, *fallbacks):
            store.budget.check_price(backend)
        return Door(first, store, fallbacks)

    def check(self) -> None:
        """Raise `ModelError` if it is clear before the first question that the model cannot be asked."""
        for backend in self.backends():
            if isinstance(backend, LiteLLMBackend):
                backend.check()

    @property
    def title(self) -> str:
        """Provider and model, as tables and reports name them."""
        return _choice(self).title or EMBEDDED

    @property
    def identity(self) -> str:
        """All that decides the answers: provider, model, and what was said of them beside."""
        return _choice(self).identity

    def backends(self) -> "list[Backend]":
        """Return who is asked, in order: the model, then its fallbacks."""
        chosen = _choice(self)
        return [
            _backend(chosen),
            *(_backend(ModelChoice.model_validate(title).over(chosen)) for title in self.fallbacks),
        ]


def _choice(fields: ModelFields) -> ModelChoice:
    said = {name: getattr(fields, name) for name in ModelChoice.model_fields}
    try:
        return ModelChoice.model_validate(said)
    except ValidationError as error:
        raise ConfigurationError(f"{error.errors()[0]['msg'].removeprefix('Value error, ')}.") from None


def _backend(choice: ModelChoice) -> "Backend":
    if choice.provider in {None, EMBEDDED}:
        from cassia_dagster.agents.embedded import EmbeddedBackend

        return EmbeddedBackend()
    fields = choice.model_dump_fields()
    return LiteLLMBackend(**{name: value for name, value in fields.items() if name != "fallbacks"})
