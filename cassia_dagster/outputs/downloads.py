"""The files that can be saved out of the report."""

from __future__ import annotations

from dataclasses import dataclass

from cassia_dagster.outputs.result import ResolutionResult
from cassia_dagster.outputs.tables import inert_csv, scored_table, summary_table

_CONVERSATIONS = {
    "clusters": {"__all__": {stage: {"history": True} for stage in ("annotated", "scored", "boosted")}},
}


@dataclass(frozen=True, slots=True)
class Download:
    """A file within the file."""

    name: str
    what: str
    """For the reader."""
    type: str
    """The media type."""
    text: str


def downloads_of(result: ResolutionResult) -> list[Download]:
    """Make the files: two tables, byte for byte as they lie beside the report, and all records as JSON.

    The conversations with models stand in the report itself; with them in the JSON, the largest part would be there
    twice.
    """
    table = "text/csv;charset=utf-8"
    return [
        Download(
            f"{result.dataset}_summary.csv",
            "a row for every cluster: label, score, status, markers",
            table,
            inert_csv(summary_table(result)),
        ),
        Download(
            f"{result.dataset}_scored.csv",
            "the columns of CASSIA, for notebooks",
            table,
            inert_csv(scored_table(result)),
        ),
        Download(
            f"{result.dataset}.json",
            "everything but the conversations: evidence, candidates, verdicts, scores, second looks, groups",
            "application/json",
            result.model_dump_json(indent=1, exclude=_CONVERSATIONS),
        ),
    ]
