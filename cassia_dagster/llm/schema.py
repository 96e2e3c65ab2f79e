"""A reply type as the JSON schema that providers accept when they promise to keep to it."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel


def response_format(reply_type: type[BaseModel]) -> dict[str, Any]:
    """Describe a reply type in the form of OpenAI's structured outputs, which LiteLLM translates for others.

    Pydantic's own schema is refused by some: they permit no ``default``, no length of a text, nothing
    beside a ``$ref``, and want every property required and no other allowed.

    Parameters
    ----------
    reply_type
        The model that a reply must validate against.

    Returns
    -------
    dict
        The request parameter ``response_format``.
    """
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", reply_type.__name__)
    schema = _strict(reply_type.model_json_schema())
    return {"type": "json_schema", "json_schema": {"name": name, "schema": schema, "strict": True}}


UNSENT = frozenset({"default", "title", "minLength", "maxLength"})
"""What OpenAI's structured outputs refuse; replies are held to it all the same when they are parsed."""


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    strict = {key: value for key, value in schema.items() if key not in UNSENT}
    if "$ref" in strict and len(strict) > 1:
        strict["anyOf"] = [{"$ref": strict.pop("$ref")}]
    for key in ("$defs", "properties"):
        if key in strict:
            strict[key] = {name: _strict(part) for name, part in strict[key].items()}
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        if key in strict:
            strict[key] = [_strict(part) for part in strict[key]]
    if isinstance(strict.get("items"), dict):
        strict["items"] = _strict(strict["items"])
    if "properties" in strict:
        strict |= {"required": list(strict["properties"]), "additionalProperties": False}
    return strict
