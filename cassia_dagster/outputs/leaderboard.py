"""The board of a model comparison: tables to take home, and a picture of what accuracy costs."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cassia_dagster.files import replacing
from cassia_dagster.outputs.tables import write_inert

if TYPE_CHECKING:
    from cassia_dagster.evaluation.benchmark import Answer
    from cassia_dagster.evaluation.leaderboard import Place

type Row = dict[str, str | int | float | None]

FIGURES = ("mean_hf1", "exact", "exact_or_finer", "contradiction", "coverage")

MOST_SHOWN = 100
"""Cases that a report spells out; the table beside it has all."""

LONGEST_TITLE = 40
"""Letters of a model's name in the picture."""


def board_rows(places: Sequence[Place]) -> list[Row]:
    """Give one row for every model, the best first; empty where nothing can be said."""
    return [
        {
            "rank": one.rank,
            "model": one.model,
            **{name: getattr(one.summary, name) if one.summary else None for name in FIGURES},
            "agreement": one.agreement,
            "usd": one.usd_when_bought,
            "usd_paid_now": one.usd,
            "seconds": one.model_seconds,
            "calls": one.calls,
            "cached": one.cached_calls,
            "unanswered": one.n_unanswered,
            "reason": one.reason,
        }
        for one in places
    ]


def answer_rows(places: Sequence[Place]) -> list[Row]:
    """Give one row for every case: its gold label, and what each model called it."""
    models = [one for one in places if one.answers]
    return [
        {
            "case": first.case,
            "gold_label": first.gold_label,
            "gold_cl_id": first.gold_id,
            **{one.model: one.answers[number].label for one in models},
        }
        for number, first in enumerate(models[0].answers if models else ())
    ]


def answers_shown(ranked: Sequence[Place]) -> list[tuple[Answer, ...]]:
    """Give what the models called each case, in their order; nothing where there are too many to read."""
    if not ranked or len(ranked[0].answers) > MOST_SHOWN:
        return []
    return list(zip(*(one.answers for one in ranked), strict=True))


def write_board(places: Sequence[Place], folder: Path, name: str) -> dict[str, Path]:
    """Write the board and the answers as CSV, both as JSON, and the picture as PNG; return the files by kind."""
    import pandas as pd

    paths = {
        "leaderboard": folder / f"{name}.csv",
        "answers": folder / f"{name}_answers.csv",
        "json": folder / f"{name}.json",
        "plot": folder / f"{name}.png",
    }
    write_inert(pd.DataFrame(board_rows(places), dtype=object), paths["leaderboard"])
    write_inert(pd.DataFrame(answer_rows(places), dtype=object), paths["answers"])
    text = json.dumps([one.model_dump(mode="json") for one in places], indent=1, ensure_ascii=False)
    for kind, content in (("json", f"{text}\n".encode()), ("plot", draw_board(places))):
        with replacing(paths[kind]) as temporary:
            temporary.write_bytes(content)
    return paths


def draw_board(places: Sequence[Place]) -> bytes:
    """Draw accuracy against cost as a PNG: a dot for every model, with its 95 % interval.

    Models whose price is unknown stand where the free ones do, as open dots.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasAgg(figure)  # there may be no screen
    axes = figure.add_subplot()
    costs = [100 * cost for one in places if (cost := one.usd_per_case)]
    for number, one in enumerate(one for one in places if one.summary):
        if one.summary is None:
            continue
        cost, (low, high) = one.usd_per_case, one.summary.mean_hf1_interval
        x, y = 100 * (cost or 0.0), one.summary.mean_hf1
        face = f"C{number % 10}" if cost is not None else "none"
        axes.vlines(x, low, high, color=f"C{number % 10}", alpha=0.4)
        axes.plot(x, y, "o", color=f"C{number % 10}", markerfacecolor=face)
        # What a model is called is no mathematics, whatever signs are in it.
        axes.annotate(_short(one.model), (x, y), (6, 4), textcoords="offset points", fontsize=8, parse_math=False)
    if costs:
        axes.set_xscale("symlog", linthresh=min(costs))
        axes.set_xlim(-0.2 * min(costs), 5 * max(costs))
    else:
        axes.set(xlim=(-1, 1), xticks=[0])
    axes.set(
        xlabel="US dollars for 100 clusters",
        ylabel="mean hierarchical F1",
        ylim=(-0.02, 1.05),
    )
    axes.grid(alpha=0.3)
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _short(title: str) -> str:
    return title if len(title) <= LONGEST_TITLE else f"{title[: LONGEST_TITLE - 1]}…"
