"""What models answered to the questions of one asset, as a table in its metadata."""

import dagster as dg

from cassia_dagster.llm.ledger import Call
from cassia_dagster.llm.store import Store

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


def show_replies(store: Store) -> dg.TableMetadataValue | None:
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
