"""Records whose every text is an attack, for the tests of what is made of them."""

from __future__ import annotations

from cassia_dagster.records import Record

HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)">\'"&{{ 7 * 7 }}'

_CODES = frozenset({"species", "status", "outcome", "findings", "unresolved", "strategy", "expression"})
"""Fields that hold words of ours and nothing else."""


def poisoned[R: Record](record: R, text: str = HOSTILE, before: str = "") -> R:
    """The same record with hostile text around every free text in it, however deep."""

    def poison(value: object, name: str) -> object:
        match value:
            case dict():
                return {key: poison(inner, key) for key, inner in value.items()}
            case list():
                return [poison(inner, name) for inner in value]
            case str() if name not in _CODES:
                return before + value + text
        return value

    return type(record).model_validate(poison(record.model_dump(mode="json"), ""))
