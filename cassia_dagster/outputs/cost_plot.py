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
LEAST_DECADES = 1.0
"""That the prices are spread over, or cents between them would look like a gulf."""
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
    x_of, across, end = _axis(list(costs.values()))
    dots: list[Dot] = []
    ranked = [(x_of(costs[one.model]), one, one.summary) for one in places if one.summary]
    for wanted, one, figures in sorted(ranked, key=lambda each: each[0]):
        x = max(wanted, dots[-1].x + APART) if dots else wanted
        y, low, high = (_y(share) for share in (figures.mean_hf1, *figures.mean_hf1_interval))
        dots.append(Dot(one, x, y, low, high, priced=costs[one.model] is not None))
    right = max([end, *(dot.x + INSET for dot in dots)])
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


def _axis(costs: Sequence[float | None]) -> tuple[Callable[[float | None], float], tuple[Tick, ...], float]:
    """Say where each price stands, which ones are written, and where the picture ends at the least."""
    priced = sorted(cost for cost in costs if cost)
    # Free models stand side by side, and what follows begins behind the last of them.
    n_free, others = costs.count(0), any(cost != 0 for cost in costs)
    shift = APART * (n_free - 1) if n_free and others else 0
    free, unknown = LEFT + INSET, WIDTH - RIGHT - INSET + shift
    first, last = free + (COLUMN + shift if n_free else 0), unknown - COLUMN * (None in costs)
    ends = [math.log10(one) for one in (priced[0], priced[-1])] if priced else [0.0, 0.0]
    middle, decades = sum(ends) / 2, max(ends[1] - ends[0], LEAST_DECADES)
    low, high = middle - decades / 2, middle + decades / 2

    def x_of(cost: float | None) -> float:
        if not cost:
            return unknown if cost is None else free
        return first + (last - first) * (math.log10(cost) - low) / decades

    ticks = [Tick(free, "free")] if n_free else []
    ticks += [Tick(unknown, "unknown")] if None in costs else []
    between = [10.0**power for power in range(math.ceil(low), math.floor(high) + 1)] if priced else []
    for cost in (*priced[:1], *priced[-1:], *between, *([10**low, 10**high] if priced else [])):
        if all(abs(x_of(cost) - tick.at) >= LEAST_STEP for tick in ticks):
            ticks.append(Tick(x_of(cost), _dollars(cost)))
    return x_of, tuple(ticks), unknown + INSET


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)


def _dollars(cost: float) -> str:
    """Write a price in cents at least, and a smaller one with two digits that say something."""
    decimals = max(2, 1 - math.floor(math.log10(cost)))
    whole, _, part = f"{cost:,.{decimals}f}".partition(".")
    return f"${whole}.{part[:2]}{part[2:].rstrip('0')}".removesuffix(".00")
