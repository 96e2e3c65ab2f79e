"""What an asset's questions to models took, as metadata that the UI can plot."""

from collections.abc import Mapping

import dagster as dg

from cassia_dagster.agents.embedded import RULES_VERSION
from cassia_dagster.agents.role import Role
from cassia_dagster.knowledge.versions import knowledge_version
from cassia_dagster.llm.ledger import Call
from cassia_dagster.llm.store import Store
from resources.llm import ModelResource

MOST_REPLY_TEXT = 40_000
"""Characters of all replies that one asset's metadata may hold together; Dagster keeps each value several times."""

_REPLY_COLUMNS = dg.TableSchema(
    [
        dg.TableColumn("about", "string", "Dataset, resolution and cluster."),
        dg.TableColumn("role", "string", "Who was asked."),
        dg.TableColumn("reply", "string", "What was answered."),
        dg.TableColumn("prompt", "string", "Name, version and hash of the prompt template."),
        dg.TableColumn("model", "string", "Provider, and the model that the provider says has answered."),
        dg.TableColumn("usd", "float", "Price of the reply when it was bought; empty where it is unknown."),
        dg.TableColumn("cached", "bool", "Whether it was there already, so that nothing was paid now."),
    ]
)


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
        **({"replies": replies} if (replies := _replies(store)) else {}),
    }


def _replies(store: Store) -> dg.TableMetadataValue | None:
    """Show what was answered to this asset's questions, by whom, to which prompt, and at which price.

    Long replies are cut, so that all of them fit; the asset's artifact has them whole.
    """
    answered = [call for call in store.calls(store.run) if call.state in ("done", "cached")]
    found = [(call, reply) for call in answered if (reply := store.replies.find(call.key))]
    if not found:
        return None
    longest = MOST_REPLY_TEXT // len(found)
    return dg.MetadataValue.table(
        [
            dg.TableRecord(
                {
                    "about": call.subject,
                    "role": call.role,
                    "reply": reply.text if len(reply.text) <= longest else f"{reply.text[:longest]}…",
                    "prompt": call.template,
                    "model": f"{call.provider_name}/{reply.model}",
                    "usd": reply.usd,
                    "cached": call.state == "cached",
                }
            )
            for call, reply in sorted(found, key=lambda one: _place(one[0]))
        ],
        schema=_REPLY_COLUMNS,
    )


def _place(call: Call) -> tuple[str, int, str, int]:
    """Order calls by cluster, not by which thread was first."""
    above, _, cluster = call.subject.rpartition("/")
    return above, int(cluster) if cluster.isdecimal() else 0, cluster, call.id
