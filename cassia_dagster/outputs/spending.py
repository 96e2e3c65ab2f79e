"""What the calls of a result took, role by role."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cassia_dagster.llm.ledger import Call

ROLES = ("annotate", "validate", "score", "boost", "merge")


@dataclass(frozen=True, slots=True)
class RoleSpending:
    """All calls of one role to one model."""

    role: str
    model: str
    paid: int
    """Calls that were sent, whatever became of them."""
    cached: int
    """Questions that an earlier reply answered."""
    failed: int
    """Of those that were sent: no usable reply came."""
    input_tokens: int
    output_tokens: int
    seconds: float
    """That all calls took together; those in parallel count each."""
    usd: float
    unpriced: int
    """Calls whose price is not known."""


def spending(calls: Iterable[Call]) -> list[RoleSpending]:
    """Sum up calls by role and model, in the order in which the roles speak."""
    grouped: dict[tuple[str, str], list[Call]] = {}
    for call in calls:
        grouped.setdefault((call.role, f"{call.provider_name}/{call.request_model}"), []).append(call)
    order = {role: place for place, role in enumerate(ROLES)}
    keys = sorted(grouped, key=lambda key: (order.get(key[0], len(order)), key))
    return [_sum(*key, grouped[key]) for key in keys]


def _sum(role: str, model: str, calls: list[Call]) -> RoleSpending:
    sent = [call for call in calls if call.state != "cached"]
    return RoleSpending(
        role=role,
        model=model,
        paid=len(sent),
        cached=len(calls) - len(sent),
        failed=sum(call.state in ("failed", "lost") for call in sent),
        input_tokens=sum(call.input_tokens for call in sent),
        output_tokens=sum(call.output_tokens for call in sent),
        seconds=sum(call.seconds or 0.0 for call in sent),
        usd=sum(call.usd or 0.0 for call in sent),
        unpriced=sum(call.usd is None for call in sent),
    )
