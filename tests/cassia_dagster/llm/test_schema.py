"""Tests of the schema that is sent to providers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, Field

from cassia_dagster.llm.schema import response_format
from cassia_dagster.records import Annotation, Grouping, Rubric, Unresolved, Verdict


class Panel(BaseModel):
    """Has what providers stumble over: a described reference, and a field of the name of a keyword."""

    default: str = "none"
    reason: Unresolved = Field(default=Unresolved.NO_MARKERS, description="Why.")
    groupings: list[Grouping] = []


def schemas(node: Any) -> Iterator[dict[str, Any]]:
    """Walk over a schema and all in it."""
    yield node
    named = (node.get("properties") or {}) | (node.get("$defs") or {})
    listed = node.get("anyOf", [])
    for part in [*named.values(), *listed, *([node["items"]] if "items" in node else [])]:
        yield from schemas(part)


@pytest.mark.parametrize("reply_type", [Annotation, Verdict, Rubric, Grouping, Panel])
def test_a_schema_keeps_to_what_strict_providers_permit(reply_type: type[BaseModel]) -> None:
    sent = response_format(reply_type)
    assert sent["json_schema"]["strict"] is True
    for schema in schemas(sent["json_schema"]["schema"]):
        assert "default" not in schema
        assert "$ref" not in schema or len(schema) == 1
        if schema.get("type") == "object":
            assert schema["required"] == list(schema["properties"])
            assert schema["additionalProperties"] is False


def test_a_field_may_be_called_like_a_keyword() -> None:
    assert "default" in response_format(Panel)["json_schema"]["schema"]["properties"]


def test_limits_survive() -> None:
    assert response_format(Annotation)["json_schema"]["schema"]["properties"]["subtypes"]["maxItems"] == 3
