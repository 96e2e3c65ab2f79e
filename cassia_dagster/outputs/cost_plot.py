"""Lays out what accuracy costs as a picture of the report: a numbered dot for every model, with its interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cassia_dagster.evaluation.leaderboard import Place

WIDTH, HEIGHT = 430, 270
LEFT, RIGHT, TOP, BOTTOM = 54, 26, 14, 48
RADIUS, APART = 9.5, 23
"""Of a dot, and between two that would cover each other."""
CASES = 100
"""Clusters that a price is given for."""
INSET, COLUMN = 24, 74
"""From the edge to the first dot, and from the models that are free, or of unknown price, to the others."""
LEAST_STEP = 58
"""Between two ticks, or their texts would touch."""
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Dot:
    """A model in the picture, in pixels."""

    place: Place
    x: float
    y: float
    low: float
    high: float
    priced: bool


@dataclass(frozen=True)
class Tick:
    """A line of the grid, and what stands at its end."""

    at: float
    text: str


@dataclass(frozen=True)
class CostPlot:
    """All that is drawn."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    dots: tuple[Dot, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]


def plot_cost(places: Sequence[Place]) -> CostPlot:
    """Lay out accuracy against cost.

    Parameters
    ----------
    places
        As `evaluation.leaderboard.rank` returns them. Models without a rank are not drawn.

    Returns
    -------
    CostPlot
        Free models stand left, then the others by the logarithm of their price, and right those whose price is unknown.
        Models of nearly the same price stand side by side; the picture is as wide as they need.
    """
    costs = {one.model: None if (usd := one.usd_per_case) is None else CASES * usd for one in places if one.summary}
    x_of, across = _axis(set(costs.values()))
    dots: list[Dot] = []
    ranked = [(x_of(costs[one.model]), one, one.summary) for one in places if one.summary]
    for wanted, one, figures in sorted(ranked, key=lambda each: each[0]):
        x = max(wanted, dots[-1].x + APART) if dots else wanted
        y, low, high = (_y(share) for share in (figures.mean_hf1, *figures.mean_hf1_interval))
        dots.append(Dot(one, x, y, low, high, priced=costs[one.model] is not None))
    right = max([WIDTH - RIGHT, *(dot.x + INSET for dot in dots)])
    return CostPlot(
        width=right + RIGHT,
        height=HEIGHT,
        left=LEFT,
        right=right,
        top=TOP,
        bottom=HEIGHT - BOTTOM,
        dots=tuple(dots),
        across=across,
        up=tuple(Tick(_y(share), f"{share:g}") for share in SHARES),
    )


def _axis(costs: set[float | None]) -> tuple[Callable[[float | None], float], tuple[Tick, ...]]:
    """Say where each price stands, and which ones are written."""
    priced = sorted(cost for cost in costs if cost)
    free, unknown = LEFT + INSET, WIDTH - RIGHT - INSET
    first, last = free + COLUMN * (0 in costs), unknown - COLUMN * (None in costs)
    decades = math.log10(priced[-1] / priced[0]) if priced else 0.0

    def x_of(cost: float | None) -> float:
        if not cost:
            return unknown if cost is None else free
        return first + (last - first) * (math.log10(cost / priced[0]) / decades if decades else 0.5)

    ticks = [Tick(free, "free")] if 0 in costs else []
    ticks += [Tick(unknown, "unknown")] if None in costs else []
    between = (
        [10.0**power for power in range(math.ceil(math.log10(priced[0])), math.floor(math.log10(priced[-1])) + 1)]
        if priced
        else []
    )
    for cost in (*priced[:1], *priced[-1:], *between):
        if all(abs(x_of(cost) - tick.at) >= LEAST_STEP for tick in ticks):
            ticks.append(Tick(x_of(cost), _dollars(cost)))
    return x_of, tuple(ticks)


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)


def _dollars(cost: float) -> str:
    return f"${cost:,.2f}".removesuffix(".00") if cost >= 0.1 else f"${cost:.1g}"
