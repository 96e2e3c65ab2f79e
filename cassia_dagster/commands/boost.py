"""The command that digs: a second look at clusters, whatever their score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cassia_dagster.agents.boost import MAX_ROUNDS, USUAL_ROUNDS, BoostStrategy
from cassia_dagster.commands.analysing import (
    BudgetOption,
    EstimateOption,
    ResolutionOption,
    Target,
    configured,
    open_store,
    override,
    show_expected,
    show_table,
    target_of,
    walk,
)
from cassia_dagster.commands.datasets import HomeOption, NameArgument
from cassia_dagster.records import BoostedCluster, ManualOutcome

if TYPE_CHECKING:
    from assets.boosted import BoostConfig
    from cassia_dagster.agents.estimate import Expected
    from cassia_dagster.records import AnnotatedCluster, ScoredCluster


def boost(
    name: NameArgument,
    cluster: Annotated[list[str], typer.Option(help="Id of a cluster; repeatable.")],
    resolution: ResolutionOption = None,
    question: Annotated[
        str, typer.Option(help="What to answer beside, such as 'Is this malignant?'.", show_default=False)
    ] = "",
    strategy: Annotated[
        BoostStrategy, typer.Option(help="Test all hypotheses in each round, or the strongest first, then the next.")
    ] = BoostStrategy.BREADTH,
    rounds: Annotated[int, typer.Option(min=1, max=MAX_ROUNDS, help="Most rounds of hypotheses.")] = USUAL_ROUNDS,
    model: Annotated[
        str | None, typer.Option(help="Who looks again (provider/model).  [default: the dataset's booster]")
    ] = None,
    *,
    namesakes: Annotated[
        bool | None,
        typer.Option(
            "--namesakes/--no-namesakes",
            help="Look also at clusters that share a name, to tell which kind of it each is.  "
            "[default: as the dataset has it]",
            show_default=False,
        ),
    ] = None,
    forget: Annotated[
        bool, typer.Option("--forget", help="Forget second looks at other clusters that were asked for before.")
    ] = False,
    max_usd: BudgetOption = None,
    estimate: EstimateOption = False,
    home: HomeOption = None,
) -> None:
    """Dig: take a second look at clusters, whatever their score; tables, report and annotated file show the result."""
    target = target_of(name, resolution, home)
    from rich.console import Console

    from assets.boosted import BoostConfig
    from cassia_dagster.analysis_jobs import LOOK_AGAIN
    from cassia_dagster.commands.terminal import plain

    config = configured(
        BoostConfig,
        clusters=cluster,
        additional_task=question,
        strategy=strategy.value,
        max_rounds=rounds,
        boost_llm=override(model),
        namesakes=namesakes,
        keep_asked=not forget,
        max_usd_per_run=max_usd,
    )
    asked, pairs = target.annotated(cluster), _scored(target)
    words = target.made("reviewed", target.resolution)
    before = {row.cluster: row for row in (words.records(BoostedCluster) if words else [])}
    show_expected(_expected_look(target, config, pairs), "Expected of the second look")
    if estimate:
        return
    walk(target, {LOOK_AGAIN.name: {"boosted": config}}, then_write=True)
    after = {row.cluster: row for row in target.rows("reviewed", BoostedCluster)}
    show_table(
        ("cluster", "label before", "label now", "score", "outcome", "why"),
        (_looked_at(row.cluster, before, after) for row in asked),
    )
    for row in (after[one.cluster] for one in asked):
        if row.additional_answer:
            show_table(("cluster", "answer"), [(row.cluster, row.additional_answer)])
        if row.review and row.review.outcome is ManualOutcome.LABELLED:
            said = plain(f"Cluster {row.cluster} has the label that {row.review.who} gave it: {row.review.why}")
            Console(highlight=False).print(f"[yellow]![/] {said}", soft_wrap=True)


def _scored(target: Target) -> list[tuple[AnnotatedCluster, ScoredCluster]]:
    """Read all clusters with their scores, without which there is nothing to look at again."""
    from assets.results import scores_of

    named = target.annotated([])
    scored = scores_of(named, target.table("scores"))
    return [(row, scored[row.cluster]) for row in named]


def _expected_look(
    target: Target, config: BoostConfig, pairs: list[tuple[AnnotatedCluster, ScoredCluster]]
) -> list[Expected]:
    """Read the matrix to see what the booster would be told; only where asking costs something."""
    from assets.boosted import looked_at
    from assets.evidence import know_lab_markers
    from assets.model_calls import settings_of
    from assets.second_look import data_of, expected_look
    from cassia_dagster.commands.models import cast_of
    from cassia_dagster.llm.choice import EMBEDDED
    from resources.settings import AnnotationSettings
    from resources.storage import stored_cells

    cast = cast_of(target.entry)
    players = cast["boost"].overlaid(config.boost_llm.choice()), cast["score"]
    if {model.title for model in players} == {EMBEDDED}:
        return []
    know_lab_markers(target.entry)
    made = target.table("boosted")
    settings = settings_of(AnnotationSettings.from_environment(), target.entry, config)
    look = looked_at(pairs, made if made.path.exists() else None, config, settings)
    cells = stored_cells(target.home.artifacts, target.entry.name) if target.entry.has_cells else None
    data = data_of(look.doubtful, cells, target.table("leiden_clusters"), look.namesakes)
    with open_store(target) as store:
        return expected_look([pair for pair in pairs if pair[0].cluster in data], players, store, config.plan, data)


def _looked_at(cluster: str, before: dict[str, BoostedCluster], after: dict[str, BoostedCluster]) -> tuple[str, ...]:
    """Show what stood and what stands, the labels of persons among it, and what the second look made of it."""
    now = after[cluster]
    return (
        cluster,
        _label(before[cluster]) if cluster in before else "",
        _label(now),
        "" if now.score is None else f"{now.score:.0f}",
        now.outcome.value.replace("_", " "),
        now.explanation,
    )


def _label(row: BoostedCluster) -> str:
    named = row.annotation is not None and row.annotation.unresolved is None
    return (row.annotation.label if row.annotation and named else None) or "unresolved"
