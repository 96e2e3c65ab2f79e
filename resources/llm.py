"""Providers of language models as Dagster resources, one a role, and the store that all of them share."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

import dagster as dg
from pydantic import Field, ValidationError

from cassia_dagster.errors import CassiaError, ConfigurationError
from cassia_dagster.llm.choice import EMBEDDED, ModelChoice, ModelFields, ModelRole, chosen_in_environment
from cassia_dagster.llm.door import Door
from cassia_dagster.llm.litellm_backend import LiteLLMBackend
from cassia_dagster.llm.retry import LONGEST_PAUSE
from cassia_dagster.llm.store import Limits, Store

if TYPE_CHECKING:
    from cassia_dagster.llm.backend import Backend

LONGEST_WAIT = 1800.0
"""Seconds that a step waits for a provider; after a longer pause it is for a person to start it again."""
MOST_RETRIES = 3
"""How often it does."""
MARGIN = 1.0
"""Seconds that it comes back later than it was asked to."""

__all__ = ["EMBEDDED", "ModelOverride", "ModelResource", "ModelStore"]


class ModelStore(dg.ConfigurableResource):
    """The file that keeps the replies of models and the ledger of calls."""

    path: str = Field(description="A SQLite file, or the address of a PostgreSQL database; shared by all runs.")

    @contextmanager
    def session(self, context: dg.AssetExecutionContext, limits: Limits | None = None) -> Iterator[Store]:
        """Open the store for one asset of one run, and what that may spend.

        Where a question stays unanswered because its provider wants to be left alone for minutes, the step ends
        here and is tried again after that. Until then its place in the pool is free; what was answered is kept.

        Raises
        ------
        dagster.RetryRequested
            If it is worth to wait: the pause is no longer than `LONGEST_WAIT`, and it is not the fourth.
        """
        run = f"{context.run_id}/{context.asset_key.to_user_string()}"
        with Store.open(self.path, run=run, limits=limits) as store:
            try:
                yield store
            except CassiaError:
                _wait_for_the_provider(context, store)
                raise
            _wait_for_the_provider(context, store)


def _wait_for_the_provider(context: dg.AssetExecutionContext, store: Store) -> None:
    pause = store.pause
    if store.longest_pause > LONGEST_PAUSE and pause <= LONGEST_WAIT and context.retry_number < MOST_RETRIES:
        context.log.warning(
            "A provider of models asked to be left alone for %.0f seconds, of which %.0f are left. This step gives its "
            "place to others and is tried again after that; what was answered is kept.",
            store.longest_pause,
            pause,
        )
        raise dg.RetryRequested(max_retries=MOST_RETRIES, seconds_to_wait=pause + MARGIN)


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
