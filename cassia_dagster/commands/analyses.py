"""Three commands that ask on: how sure a label is, which of two it is, and what else it could be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from cassia_dagster.agents.debate import MOST_ROUNDS, Debate
from cassia_dagster.agents.hypothesize import ClusterHypotheses
from cassia_dagster.agents.uncertainty import AGREEMENT, FEWEST_RUNS, MOST_RUNS, USUAL_RUNS, UncertainCluster
from cassia_dagster.commands.analysing import (
    BudgetOption,
    ClustersOption,
    EstimateOption,
    OneModelOption,
    PanelOption,
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
from cassia_dagster.records import Expression

if TYPE_CHECKING:
    from assets.uncertainty import UncertaintyConfig
    from cassia_dagster.agents.estimate import Expected


def uncertainty(
    name: NameArgument,
    resolution: ResolutionOption = None,
    runs: Annotated[
        int, typer.Option(min=FEWEST_RUNS, max=MOST_RUNS, help="Most independent runs a cluster.")
    ] = USUAL_RUNS,
    cluster: ClustersOption = None,
    model: PanelOption = None,
    temperature: Annotated[
        float | None, typer.Option(min=0, max=2, help="Of the annotators.  [default: as they have it]")
    ] = None,
    agreement: Annotated[
        float, typer.Option(min=0.51, max=1, help="Share of the runs that must bear a name for it to be given.")
    ] = AGREEMENT,
    *,
    every_run: Annotated[
        bool, typer.Option("--every-run", help="Make all runs, also when none could change the consensus any more.")
    ] = False,
    max_usd: BudgetOption = None,
    estimate: EstimateOption = False,
    home: HomeOption = None,
) -> None:
    """Name every cluster several times, independently, and say how far the names agree."""
    target = target_of(name, resolution, home)
    from assets.uncertainty import UncertaintyConfig

    config = configured(
        UncertaintyConfig,
        runs=runs,
        agreement=agreement,
        stop_when_decided=not every_run,
        clusters=cluster or [],
        models=[override(one) for one in model or ()],
        temperature=temperature,
        max_usd_per_run=max_usd,
    )
    show_expected(_expected_runs(target, config), "If every run is made")
    if estimate:
        return
    make(target, "uncertainty", config)
    rows = target.rows("uncertainty", UncertainCluster)
    show_table(("cluster", "label", "consistency", "runs", "consensus", "votes", "status"), map(_uncertain, rows))
    if any(row.deterministic for row in rows):
        typer.echo("Deterministic: this model says the same whenever it is asked, which is no measure of uncertainty.")


def _expected_runs(target: Target, config: UncertaintyConfig) -> list[Expected]:
    from assets.uncertainty import Speakers
    from cassia_dagster.commands.models import cast_of

    cast = cast_of(target.entry)
    speakers = Speakers.of(cast["annotate"], cast["validate"], config)
    with open_store(target) as store:
        return speakers.expect(target.annotated(config.clusters), store, config.plan, target.subject)


def _uncertain(row: UncertainCluster) -> tuple[str, ...]:
    consistency = "deterministic" if row.deterministic else "" if row.consistency is None else f"{row.consistency:.0f}"
    consensus = row.consensus
    return (
        row.cluster,
        row.label or "unresolved",
        consistency,
        f"{len(row.runs)} of {row.planned}",
        (consensus.label if consensus else None) or "none",
        f"{consensus.support} of {consensus.votes}" if consensus else "",
        row.status.value.replace("_", " "),
    )


def symphony(
    name: NameArgument,
    cluster: Annotated[str, typer.Option(help="Id of the cluster.")],
    candidate: Annotated[list[str], typer.Option(help="A cell type that it may be; give two to four.")],
    resolution: ResolutionOption = None,
    model: PanelOption = None,
    persona: Annotated[
        list[str] | None,
        typer.Option(help="A point of view on the panel, in words; repeatable.  [default: three, with one model]"),
    ] = None,
    max_rounds: Annotated[
        int, typer.Option(min=1, max=MOST_ROUNDS, help="Most rounds of scores, the first included.")
    ] = MOST_ROUNDS,
    *,
    max_usd: BudgetOption = None,
    estimate: EstimateOption = False,
    home: HomeOption = None,
) -> None:
    """Is it A or B? Let a panel of models decide between candidate types of one cluster."""
    target = target_of(name, resolution, home)
    from assets.symphony import SymphonyConfig, expected_debate, outcome_of, seats_of
    from cassia_dagster.agents.panel import check_candidates
    from cassia_dagster.commands.models import cast_of

    config = configured(
        SymphonyConfig,
        cluster=cluster,
        candidates=candidate,
        models=[override(one) for one in model or ()],
        personas=persona or [],
        max_rounds=max_rounds,
        max_usd_per_run=max_usd,
    )
    (row,) = target.annotated([cluster])
    asked = set(check_candidates(candidate, row.evidence))
    with open_store(target) as store:
        seats = seats_of(cast_of(target.entry)["annotate"], config)
        show_expected(expected_debate(row, config, seats, store), "If every round is held")
    if estimate:
        return
    make(target, "symphony", config)
    debates = target.rows("symphony", Debate)
    debate = next(one for one in debates if one.cluster == cluster and {each.name for each in one.contenders} == asked)
    _show_debate(debate, outcome_of(debate))


def _show_debate(debate: Debate, outcome: str) -> None:
    from rich.console import Console

    from cassia_dagster.commands.terminal import plain

    def said(member: str, candidate: str) -> str:
        """Write the scores of all rounds in a row, a stroke where there was none."""
        statements = [one for held in debate.rounds for one in held.statements if one.member == member]
        scores = [next((each.score for each in one.scores if each.candidate == candidate), None) for one in statements]
        return " → ".join("-" if score is None else f"{score:.0f}" for score in scores)

    show_table(
        ("member", *(one.name for one in debate.contenders)),
        ((member, *(said(member, one.name) for one in debate.contenders)) for member in debate.members),
    )
    console = Console(highlight=False)
    for statement in (one for held in debate.rounds for one in held.statements if one.member in debate.failed):
        if statement.status_reason:
            console.print(f"[yellow]![/] {plain(f'{statement.member}: {statement.status_reason}')}", soft_wrap=True)
    console.print(f"[bold]{plain(outcome)}[/]", soft_wrap=True)
    genes = ", ".join(f"{one.gene} ({one.expression.value.replace('_', ' ')})" for one in debate.deciding[:10])
    if genes:
        console.print(plain(f"The genes that decide: {genes}."), soft_wrap=True)


def hypotheses(
    name: NameArgument,
    resolution: ResolutionOption = None,
    cluster: ClustersOption = None,
    model: OneModelOption = None,
    *,
    max_usd: BudgetOption = None,
    estimate: EstimateOption = False,
    home: HomeOption = None,
) -> None:
    """What else could it be? Rank alternatives to every label, with the genes that would tell."""
    target = target_of(name, resolution, home)
    from assets.hypotheses import HypothesesConfig, expected_hypotheses
    from assets.on_demand import final_words
    from cassia_dagster.commands.models import cast_of

    chosen = override(model)
    config = configured(HypothesesConfig, clusters=cluster or [], annotation_llm=chosen, max_usd_per_run=max_usd)
    asked = target.annotated(config.clusters)
    with open_store(target) as store:
        usual = cast_of(target.entry)["hypothesize"].overlaid(chosen.choice())
        final = final_words(target.table("reviewed"), target.table("scores"), asked)
        show_expected(expected_hypotheses(asked, final, usual, store), "Expected")
    if estimate:
        return
    make(target, "hypotheses", config)
    wanted = {row.cluster for row in asked}
    rows = [row for row in target.rows("hypotheses", ClusterHypotheses) if row.cluster in wanted]
    show_table(
        ("cluster", "label", "alternative", "plausible", "genes that would tell"),
        (line for row in rows for line in _alternatives(row)),
    )
    typer.echo("Genes: ↑ up, ↓ down, = not different, ✗ not detected, ? not measured.")


_MARKS = {
    Expression.UP: "↑",
    Expression.DOWN: "↓",
    Expression.NOT_DIFFERENT: "=",
    Expression.NOT_DETECTED: "✗",
    Expression.NOT_MEASURED: "?",
    Expression.NOT_LISTED: "?",
}


def _alternatives(row: ClusterHypotheses) -> Iterator[tuple[str, ...]]:
    if not row.alternatives:
        yield (row.cluster, row.label or "unresolved", "none", "", row.status_reason)
    for place, one in enumerate(row.alternatives):
        first = (row.cluster, row.label or "unresolved") if place == 0 else ("", "")
        genes = [f"{each.gene}{_MARKS[each.expression]}" for each in one.lookups[:6]]
        genes += [f"{gene}?" for gene in one.not_measured[:2]]
        yield (*first, one.celltype, f"{one.plausibility:.0f}", " ".join(genes))
