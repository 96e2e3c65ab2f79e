"""The command that compares models: which names clusters best, and what that costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cassia_dagster.commands.analysing import (
    BudgetOption,
    EstimateOption,
    ResolutionOption,
    Target,
    configured,
    make,
    open_store,
    override,
    show_expected,
    show_table,
    target_of,
)
from cassia_dagster.commands.datasets import HomeOption, NameArgument
from cassia_dagster.records import Strategy

if TYPE_CHECKING:
    from assets.model_comparison import ModelComparisonConfig
    from cassia_dagster.agents.estimate import Expected
    from cassia_dagster.evaluation.leaderboard import Place

HOW_RIGHT = ("rank", "model", "mean hF1", "exact", "or finer", "contradicted", "named", "agreement")
HOW_DEAR = ("rank", "model", "USD", "paid now", "seconds", "calls", "cached")


def model_comparison(
    name: NameArgument,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="'embedded' or provider/model; repeatable.  [default: the dataset's models]"),
    ] = None,
    resolution: ResolutionOption = None,
    cases: Annotated[
        str,
        typer.Option(
            help="CSV file of clusters whose labels are known, or 'shipped' for those that come with the package.  "
            "[default: the dataset's clusters]",
            show_default=False,
        ),
    ] = "",
    labels: Annotated[
        str,
        typer.Option(help="Column of known labels.  [default: the first that the dataset lists]", show_default=False),
    ] = "",
    strategy: Annotated[
        Strategy | None, typer.Option(help="How labels are arrived at.  [default: as the dataset lists it]")
    ] = None,
    *,
    max_usd: BudgetOption = None,
    estimate: EstimateOption = False,
    home: HomeOption = None,
) -> None:
    """Which model is best? Let several name clusters whose labels are known, and rank them with what they cost."""
    target = target_of(name, resolution, home)
    from assets.model_comparison import ModelComparisonConfig
    from cassia_dagster.evaluation.leaderboard import Place

    config = configured(
        ModelComparisonConfig,
        models=[override(one) for one in model or ()],
        cases=cases,
        labels=labels,
        strategy=strategy.value if strategy else "as_listed",
        max_usd_per_run=max_usd,
    )
    show_expected(_expected(target, config), "Expected of all models together")
    if estimate:
        return
    make(target, "model_comparison", config)
    places = target.rows("model_comparison", Place)
    show_table(HOW_RIGHT, map(_how_right, places))
    show_table(HOW_DEAR, map(_how_dear, places))
    for place in places:
        if place.reason:
            typer.echo(_told(place))
    typer.echo(f"The answers, case by case, and the picture are beside the report, in {name}_model_comparison….")


def _expected(target: Target, config: ModelComparisonConfig) -> list[Expected]:
    from assets.model_comparison import ROLES, cases_of, casts_of, expected_comparison, strategy_of
    from cassia_dagster.commands.models import cast_of
    from resources.storage import stored_cells

    cast = cast_of(target.entry)
    rows = target.annotated([])
    cells = stored_cells(target.home.artifacts, target.entry.name)
    cases = cases_of(config, target.entry, rows, (cells, target.table("leiden_clusters")))
    casts = casts_of({role: cast[role.name] for role in ROLES}, config.models)
    with open_store(target) as store:
        return expected_comparison(cases, casts, store, strategy_of(config, target.entry))


def _how_right(place: Place) -> tuple[str, ...]:
    figures = place.summary
    shares = (
        ("", "", "", "", "")
        if figures is None
        else tuple(
            f"{value:.2f}"
            for value in (
                figures.mean_hf1,
                figures.exact,
                figures.exact_or_finer,
                figures.contradiction,
                figures.coverage,
            )
        )
    )
    agreement = "" if place.agreement is None else f"{place.agreement:.2f}"
    return (str(place.rank or ""), place.model, *shares, agreement)


def _how_dear(place: Place) -> tuple[str, ...]:
    unpriced = "at least " if place.unpriced_calls else ""
    return (
        str(place.rank or ""),
        place.model,
        f"{unpriced}{place.usd_when_bought:.4f}",
        f"{place.usd:.4f}",
        f"{place.model_seconds:.1f}",
        f"{place.calls:,}",
        f"{place.cached_calls:,}",
    )


def _told(place: Place) -> str:
    from cassia_dagster.commands.terminal import plain

    which = f"{place.n_unanswered} cases without an answer: " if place.rank else "no place: "
    return plain(f"{place.model}, {which}{place.reason}")
