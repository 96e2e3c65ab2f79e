"""A log of JSON lines, for machines that collect logs; switched on in dagster.yaml (docs/observability.md)."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any, override

_PREFIX = "dagster/partition/"


class JsonLines(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes each record as one line of JSON to the standard error stream of its process."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            **_of_run(getattr(record, "dagster_meta", None) or {}),
            **(getattr(record, "call", None) or {}),
        }
        if record.exc_info and record.exc_info[0]:
            fields["error"] = record.exc_info[0].__name__
        fields.setdefault("message", record.getMessage())
        return json.dumps({name: value for name, value in fields.items() if value is not None}, default=str)


def _of_run(meta: dict[str, Any]) -> dict[str, Any]:
    """Say which run, step and partition a record belongs to, as far as Dagster does."""
    tags = meta.get("job_tags") or {}
    partition = tags.get("dagster/partition") or ""
    dataset, _, resolution = partition.partition("|")
    event = meta.get("dagster_event")
    return {
        "run": meta.get("run_id"),
        "job": meta.get("job_name"),
        "step": meta.get("step_key"),
        "dataset": tags.get(f"{_PREFIX}dataset") or dataset or None,
        "resolution": tags.get(f"{_PREFIX}resolution") or resolution or None,
        "event": getattr(event, "event_type_value", None),
        **({"message": meta["orig_message"]} if meta.get("orig_message") else {}),
    }
