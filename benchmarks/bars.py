"""What is asked of the figures, beside what was measured: met, or missed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

BARS_HF1 = {"kidney and lung (CASSIA's)": 0.85}
OTHER_HF1 = 0.80
"""Least mean hF1 of the sets of marker tables that are not named above."""
MOST_CONTRADICTED = 0.05
LEAST_COVERAGE = 0.90
LEAST_IN_LINEAGE = 0.85
"""Of the cells."""
LEAST_EXACT_OR_FINER = 0.60
"""Of the cells."""
LEAST_SCORED_HIGH = 0.5
"""Of the right labels."""


class Bar(NamedTuple):
    """One thing that is asked for."""

    what: str
    asked: str
    measured: str
    met: bool


def verdict(*, met: bool) -> str:
    """Say in a word whether a bar is met; the misses are the ones to be seen."""
    return "met" if met else "**missed**"


def table_of_bars(bars: Iterable[Bar]) -> str:
    """Write bars as Markdown."""
    lines = ["| what | asked for | measured | |", "|---|--:|--:|---|"]
    lines += [f"| {bar.what} | {bar.asked} | {bar.measured} | {verdict(met=bar.met)} |" for bar in bars]
    return "\n".join(lines)
