"""LLM-annotated single-cell atlases as Dagster assets."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cassia_dagster.annotating import annotate_markers
    from cassia_dagster.outputs.report import render_report
    from cassia_dagster.outputs.tables import full_table, scored_table, summary_table

__version__ = "0.1.0"

__all__ = ["annotate_markers", "full_table", "render_report", "scored_table", "summary_table"]

_HOMES = {
    "annotate_markers": "annotating",
    "render_report": "outputs.report",
    "full_table": "outputs.tables",
    "scored_table": "outputs.tables",
    "summary_table": "outputs.tables",
}


def __getattr__(name: str) -> Any:
    """Import what notebooks use when it is first used, so that the package itself stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
