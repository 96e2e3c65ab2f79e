"""How much at once, how good, and for how much: what a user may set of the annotation beside its models."""

import os
from typing import Any, Self

import dagster as dg
from pydantic import Field, ValidationError

from cassia_dagster.agents.boost import SCORE_THRESHOLD
from cassia_dagster.errors import ConfigurationError
from cassia_dagster.llm.store import Limits
from resources.catalog import DatasetEntry

MAX_WORKERS = 6

MAX_CONTRADICTION = 0.25
"""A quarter of the cells named against what is known of them: a wrong species, tissue or label, no odd cluster."""


class AnnotationSettings(dg.ConfigurableResource):
    """What holds where neither the launchpad nor the dataset's catalog entry says otherwise."""

    max_workers: int = Field(default=MAX_WORKERS, gt=0, le=256, description="Clusters that are worked on at once.")
    score_threshold: float = Field(
        default=SCORE_THRESHOLD, ge=0, le=100, description="Labels that score less get a second look."
    )
    namesakes: bool = Field(
        default=True, description="Look again at clusters that share a name, to tell which kind of it each is."
    )
    max_usd_per_run: float | None = Field(default=None, ge=0, description="Most US dollars that one run may spend.")
    max_usd_per_dataset: float | None = Field(
        default=None, ge=0, description="Most US dollars that a dataset may cost, over all its runs."
    )

    max_contradiction: float = Field(
        default=MAX_CONTRADICTION,
        ge=0,
        le=1,
        description="Most of the cells that may be in clusters named against their known label; beyond it, nothing is "
        "written to the annotated file.",
    )

    @classmethod
    def from_environment(cls) -> Self:
        """Read the variables ``CASSIA_MAX_WORKERS``, ``CASSIA_SCORE_THRESHOLD`` and so on, one for each field.

        Raises
        ------
        ConfigurationError
            With the variable whose value cannot be used.
        """
        names = {name: f"CASSIA_{name.upper()}" for name in cls.model_fields}
        found = {name: os.environ.get(variable) for name, variable in names.items()}
        said: dict[str, Any] = {name: value for name, value in found.items() if value}
        try:
            return cls(**said)
        except ValidationError as error:
            first = error.errors()[0]
            raise ConfigurationError(f"Environment variable {names[str(first['loc'][0])]}: {first['msg']}.") from None

    def of(self, entry: DatasetEntry) -> "AnnotationSettings":
        """Return the settings of a dataset: what its catalog entry says, over these."""
        said = {
            "max_workers": entry.max_workers,
            "score_threshold": entry.score_threshold,
            "namesakes": entry.namesakes,
            "max_usd_per_dataset": entry.max_usd,
            "max_contradiction": entry.max_contradiction,
        }
        return self.with_choices(**said)

    def with_choices(self, **said: float | None) -> "AnnotationSettings":
        """Return these settings with what is said (not ``None``) in the place of what was there."""
        here = {name: getattr(self, name) for name in AnnotationSettings.model_fields}
        return AnnotationSettings(**here | {name: value for name, value in said.items() if value is not None})

    def limits(self, dataset: str) -> Limits:
        """Return what may be spent on a dataset."""
        return Limits(usd_per_run=self.max_usd_per_run, usd_per_subject=self.max_usd_per_dataset, subject=dataset)
