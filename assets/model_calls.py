"""Who is asked what, and what it took: the choice of models in a run, and metadata that the UI can plot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from assets.evidence import evidence_of
from assets.replies import show_replies
from assets.second_look import data_of_now
from cassia_dagster.agents.embedded import RULES_VERSION
from cassia_dagster.agents.estimate import Expected, rehearse
from cassia_dagster.agents.role import Role
from cassia_dagster.knowledge.versions import knowledge_version
from cassia_dagster.llm.choice import EMBEDDED, ModelChoice, ModelRole, chosen_in_environment
from cassia_dagster.llm.store import Store
from resources.catalog import DatasetEntry
from resources.llm import ModelOverride, ModelResource
from resources.settings import AnnotationSettings
from resources.storage import AdataFile, TableFile

if TYPE_CHECKING:
    import pandas as pd

NAMES: Mapping[str, ModelRole] = {
    "annotate": "annotation",
    "validate": "validation",
    "score": "score",
    "boost": "boost",
    "merge": "merge",
    "compare": "annotation",
    "hypothesize": "annotation",
}
"""What the role of each verb is called where its model is chosen."""


MODELS = frozenset({"catalog", "model_store", "settings", *(f"{name}_llm" for name in NAMES.values())})
"""The resources that decide what models are asked."""


class AskConfig(dg.Config):
    """What a user may set for one run; what is left out is as the catalog or the environment says."""

    max_workers: int | None = Field(default=None, gt=0, le=256, description="Clusters that are worked on at once.")
    max_usd_per_run: float | None = Field(
        default=None, ge=0, description="Most US dollars that the whole run may have spent when this asset asks."
    )

    def override(self, role: Role) -> ModelChoice:
        """Return what the launchpad says of a role's model."""
        said: ModelOverride = getattr(self, f"{NAMES[role.name]}_llm")
        return said.choice()


def as_in_launchpad(config: dg.Config) -> dict[str, Any]:
    """Write a configuration as the launchpad would, without what it leaves unsaid."""
    return config.model_dump(mode="json", exclude_none=True)


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays which role in this run, and by whose choice.

    Parameters
    ----------
    models
        The model of each role.
    chosen_in
        Where each was chosen: the launchpad, the catalog, the environment, or nowhere (default).
    """

    models: Mapping[Role, ModelResource]
    chosen_in: Mapping[Role, str]

    @classmethod
    def of(cls, defaults: Mapping[Role, ModelResource], entry: DatasetEntry, config: AskConfig) -> "Cast":
        """Lay the launchpad's choice over the catalog's, and both over the environment's."""
        models, chosen_in = {}, {}
        for role, default in defaults.items():
            listed, override = entry.model(NAMES[role.name]), config.override(role)
            models[role] = default.overlaid(listed, override)
            said = {"launchpad": override, "catalog": listed}
            usual = "default" if default.title == EMBEDDED else "environment"
            chosen_in[role] = next((place for place, choice in said.items() if choice.title), usual)
        return cls(models, chosen_in)


def settings_of(settings: AnnotationSettings, entry: DatasetEntry, config: AskConfig) -> AnnotationSettings:
    """Lay the launchpad's settings over the catalog's, and both over the environment's."""
    said = {name: getattr(config, name, None) for name in AnnotationSettings.model_fields}
    return settings.of(entry).with_choices(**said)


def code_version(version: str, *roles: Role) -> str:
    """Name all that decides an asset's answers beside its inputs: its code, its prompts, models and marker knowledge.

    Another name makes the asset stale; what was asked before and still holds comes from the cache. Of the models,
    thresholds and budgets, those of the environment count here; those of the catalog are part of the version of
    `raw_adata`, and those of the launchpad hold until either changes.
    """
    models = [chosen_in_environment(NAMES[role.name]) for role in roles]
    # Of two roles of one name, which differ in their reply, one model plays both.
    chosen = {f"{role.name}={model.identity}": None for role, model in zip(roles, models, strict=True) if model.title}
    rules = f"knowledge@{knowledge_version()} rules@{RULES_VERSION}"
    settings = AnnotationSettings.from_environment().model_dump(
        exclude={"max_workers", "max_contradiction"}, exclude_defaults=True
    )
    said = (f"{name}={value}" for name, value in settings.items())
    return " ".join((version, *(role.template for role in roles), *chosen, *said, rules))


def describe_calls(store: Store, cast: Cast) -> dict[str, dg.MetadataValue]:
    """Sum up the calls of this asset: how many, how many cached, tokens and US dollars; and who was asked what."""
    totals = store.totals(store.run)
    questions = totals.calls + totals.cached
    return {
        "calls": dg.MetadataValue.int(totals.calls),
        "cached_calls": dg.MetadataValue.int(totals.cached),
        "cached_share": dg.MetadataValue.float(round(totals.cached / questions, 4) if questions else 0.0),
        "failed_calls": dg.MetadataValue.int(totals.failed + totals.lost),
        "tokens": dg.MetadataValue.int(totals.usage.input_tokens + totals.usage.output_tokens),
        "input_tokens": dg.MetadataValue.int(totals.usage.input_tokens),
        "output_tokens": dg.MetadataValue.int(totals.usage.output_tokens),
        "usd": dg.MetadataValue.float(totals.usd),
        "saved_usd": dg.MetadataValue.float(totals.saved_usd),
        "unpriced_calls": dg.MetadataValue.int(totals.unpriced),
        "model_seconds": dg.MetadataValue.float(round(totals.seconds, 2)),
        "models": dg.MetadataValue.json({role.name: model.title for role, model in cast.models.items()}),
        "models_chosen_in": dg.MetadataValue.json({role.name: place for role, place in cast.chosen_in.items()}),
        "prompts": dg.MetadataValue.json({role.name: role.template for role in cast.models}),
        **({"replies": replies} if (replies := show_replies(store)) else {}),
    }


def expected_calls(
    resources: Any,
    dataset: str,
    resolution: str,
    normalized_adata: AdataFile,
    leiden_clusters: TableFile,
    markers: "pd.DataFrame",
) -> dict[str, dg.MetadataValue]:
    """Say what naming these clusters is expected to take, before a model is asked.

    The models are those of the catalog and the environment; a choice that the launchpad will make is not known yet.
    """
    entry: DatasetEntry = resources.catalog.entry(dataset)
    models = {verb: getattr(resources, f"{name}_llm").overlaid(entry.model(name)) for verb, name in NAMES.items()}
    if all(model.title == EMBEDDED for model in models.values()):
        return {"expected_calls": dg.MetadataValue.int(0), "expected_usd": dg.MetadataValue.float(0.0)}
    settings: AnnotationSettings = resources.settings.of(entry)
    labels = leiden_clusters.read().set_index("cell_id")["cluster"]
    cells = normalized_adata if entry.has_cells else None
    evidence = evidence_of(entry, cells.read("obsm/X_pca") if cells else None, labels, markers)
    with Store.open(resources.model_store.path) as store:
        rows = rehearse(
            evidence,
            {verb: model.backends()[0] for verb, model in models.items()},
            store,
            dataset=dataset,
            resolution=resolution,
            score_threshold=settings.score_threshold,
            namesakes=settings.namesakes,
            strategy=entry.strategy,
            data_of=partial(data_of_now, cells, leiden_clusters),
        )
    return describe_expected(rows)


def describe_expected(rows: Sequence[Expected]) -> dict[str, dg.MetadataValue]:
    """Sum up what asking is expected to take; the embedded model costs nothing and is left out."""
    paid = [row for row in rows if row.model.partition("/")[0] != EMBEDDED]
    tokens = sum(row.input_tokens + row.output_tokens for row in paid)
    return {
        "expected_calls": dg.MetadataValue.int(sum(row.calls for row in paid)),
        "expected_tokens": dg.MetadataValue.int(tokens),
        "expected_usd": _usd([row.usd for row in paid if row.calls]),
        "expected_usd_at_most": _usd([row.most_usd for row in paid if row.calls]),
    }


def say_expected(expected: Mapping[str, dg.MetadataValue], what: str = "Expected") -> str:
    """Write what `describe_expected` found as the line of a log that a person reads."""
    calls, tokens, usd, most = (one.value for one in expected.values())
    if not calls:
        return f"{what}: no call that costs anything"
    price = f"{usd:.4f} USD, at most {most:.4f} USD" if isinstance(usd, float) and isinstance(most, float) else str(usd)
    return f"{what}: {calls:,} call{'' if calls == 1 else 's'}, {tokens:,} tokens, {price}"


def _usd(prices: Sequence[float | None]) -> dg.MetadataValue:
    known = [price for price in prices if price is not None]
    return (
        dg.MetadataValue.float(float(sum(known)))
        if len(known) == len(prices)
        else dg.MetadataValue.text("unknown price")
    )
