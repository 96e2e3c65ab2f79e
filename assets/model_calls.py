"""What an asset's questions to models took, as metadata that the UI can plot."""

from collections.abc import Mapping

import dagster as dg

from cassia_dagster.agents.embedded import RULES_VERSION
from cassia_dagster.agents.role import Role
from cassia_dagster.knowledge.versions import knowledge_version
from cassia_dagster.llm.store import Store
from resources.llm import ModelResource


def code_version(version: str, *roles: Role) -> str:
    """Name all that decides an asset's answers beside its inputs: its code, its prompts, and what marker knowledge is.

    Another name makes the asset stale; what was asked before and still holds comes from the cache.
    """
    rules = f"knowledge@{knowledge_version()} rules@{RULES_VERSION}"
    return " ".join((version, *(role.template for role in roles), rules))


def describe_calls(store: Store, roles: Mapping[Role, ModelResource]) -> dict[str, dg.MetadataValue]:
    """Sum up the calls of this asset: how many, how many cached, tokens and US dollars; and who was asked what."""
    totals = store.totals(store.run)
    return {
        "calls": dg.MetadataValue.int(totals.calls),
        "cached_calls": dg.MetadataValue.int(totals.cached),
        "tokens": dg.MetadataValue.int(totals.usage.input_tokens + totals.usage.output_tokens),
        "usd": dg.MetadataValue.float(totals.usd),
        "models": dg.MetadataValue.json({role.name: model.title for role, model in roles.items()}),
        "prompts": dg.MetadataValue.json({role.name: role.template for role in roles}),
    }
