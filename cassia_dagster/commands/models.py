"""The commands about models: who plays the roles, what that will cost, and what was bought already."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cassia_dagster.commands.datasets import HomeOption, NameArgument
from cassia_dagster.commands.help_pages import HelpfulGroup
from cassia_dagster.commands.model_options import ModelOption
from cassia_dagster.llm.choice import ModelChoice, said_of_model
from resources.home import home_of

if TYPE_CHECKING:
    from rich.table import Table

    from cassia_dagster.agents.estimate import Expected
    from cassia_dagster.llm.backend import Backend
    from cassia_dagster.llm.store import Store
    from cassia_dagster.records import ClusterEvidence
    from resources.catalog import DatasetEntry
    from resources.home import Home
    from resources.llm import ModelResource


def check_models(entry: DatasetEntry) -> None:
    """Find out before any work whether the models that a dataset would be given to can be asked.

    Raises
    ------
    ModelError
        With the role's provider, and the way out.
    """
    for model in {model.title: model for model in cast_of(entry).values()}.values():
        model.check()


cache = typer.Typer(
    cls=HelpfulGroup, help="The replies that were bought, and the account of what they cost.", no_args_is_help=True
)


@cache.command("info")
def cache_info(home: HomeOption = None) -> None:
    """Show what is kept of each model, and what that has saved."""
    from rich.console import Console

    console = Console(highlight=False)
    with store_of(home) as store:
        holdings, totals = store.replies.holdings(), store.totals()
        size = f" ({store.path.stat().st_size / 1e6:,.1f} MB)" if store.path.exists() else ""
        console.print(f"[bold]{_plain(store.path)}[/]{size}", soft_wrap=True)
        table = plain_table("model", "replies", "USD paid", "oldest", "newest")
        for one in holdings:
            days = (f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}" for at in (one.oldest, one.newest))
            table.add_row(_plain(f"{one.provider}/{one.model}"), f"{one.replies:,}", f"{one.usd:.4f}", *days)
        console.print(table)
    console.print(
        f"{totals.cached:,} questions were answered without a call, which saved {totals.saved_usd:.4f} USD. "
        f"{totals.calls:,} calls were made for {totals.usd:.4f} USD; {totals.failed + totals.lost:,} of them brought "
        "no usable reply."
    )


@cache.command("clear")
def cache_clear(
    model: Annotated[str | None, typer.Option(help="Only the replies of this model (provider/model).")] = None,
    older_than: Annotated[
        int | None, typer.Option("--older-than", min=0, metavar="DAYS", help="Only replies that are older.")
    ] = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    home: HomeOption = None,
) -> None:
    """Forget replies, so that their questions are paid for again; what was spent stays on the account."""
    before = None if older_than is None else time.time() - older_than * 86400
    with store_of(home) as store:
        count = store.replies.count(model, before)
        if not count:
            typer.echo("There is no such reply.")
            return
        if not yes:
            typer.confirm(f"Forget {count:,} replies? To ask for them again costs money", abort=True)
        store.replies.clear(model, before)
    typer.echo(f"{count:,} replies are forgotten.")


@cache.command("export")
def cache_export(file: Annotated[Path, typer.Argument(help="Parquet file to write.")], home: HomeOption = None) -> None:
    """Write the ledger, a row for every call of every run, as a parquet file."""
    from cassia_dagster.outputs.ledger import write_ledger

    with store_of(home) as store:
        typer.echo(f"{write_ledger(store.calls(), file):,} rows are in {_plain(file)}.")


def estimate(
    name: NameArgument,
    resolution: Annotated[
        list[str] | None,
        typer.Option(help="Resolution; may be repeated.  [default: those of the dataset]", show_default=False),
    ] = None,
    model: ModelOption = None,
    home: HomeOption = None,
) -> None:
    """Say what annotating a dataset would take: calls, tokens and US dollars. Nobody is asked."""
    from rich.console import Console

    from cassia_dagster.agents.estimate import example_cluster, rehearse
    from resources.catalog import Catalog

    place, console = home_of(home), Console(highlight=False)
    entry = Catalog.read_entry(place.catalog, name)
    if model is not None:
        entry = entry.model_copy(update={"models": {"all": ModelChoice.model_validate(said_of_model(model))}})
    with store_of(home) as store:
        for one in resolution or entry.clusterings:
            console.print(f"[bold]{_plain(entry.name)}, {_plain(entry.title(one))}[/]", soft_wrap=True)
            if (evidence := evidence_at(place, entry, one)) is not None:
                rows = expected_of(place, entry, one, evidence, store)
                console.print(
                    _expected(rows), f"{len(evidence)} clusters. {_asked(rows)} {sum_up(rows)}", soft_wrap=True
                )
                continue
            example = [example_cluster(entry.species, entry.where)]
            said: dict[str, Any] = {"dataset": entry.name, "resolution": one, "strategy": entry.strategy}
            backends = backends_of(entry)
            least, most = (
                rehearse(example, backends, store, score_threshold=limit, namesakes=False, **said)
                for limit in (0.0, 101.0)
            )
            console.print(
                "It is not clustered yet. One cluster of its kind, from no second look to one:\n"
                f"  {sum_up(least)}\n  {sum_up(most)}",
                soft_wrap=True,
            )


def evidence_at(place: Home, entry: DatasetEntry, resolution: str) -> list[ClusterEvidence] | None:
    """Return what the data says of each cluster, if it was clustered."""
    from assets.evidence import evidence_of
    from resources.storage import stored_cells, stored_table

    cells = stored_cells(place.artifacts, entry.name)
    clusters, markers = (
        stored_table(place.artifacts, asset, entry.name, resolution) for asset in ("leiden_clusters", "marker_table")
    )
    needed = (clusters.path, markers.path, *([cells.path] if entry.has_cells else []))
    if not all(path.exists() for path in needed):
        return None
    known = cells.read("obsm/X_pca") if entry.has_cells else None
    return evidence_of(entry, known, clusters.read().set_index("cell_id")["cluster"], markers.read())


def expected_of(
    place: Home, entry: DatasetEntry, resolution: str, evidence: Sequence[ClusterEvidence], store: Store
) -> list[Expected]:
    """Say what naming the clusters of a dataset would take, with what `evidence_at` says of them; nobody is asked."""
    from functools import partial

    from assets.second_look import data_of_now
    from cassia_dagster.agents.estimate import rehearse
    from resources.settings import AnnotationSettings
    from resources.storage import stored_cells, stored_table

    settings = AnnotationSettings.from_environment().of(entry)
    cells = stored_cells(place.artifacts, entry.name) if entry.has_cells else None
    clusters = stored_table(place.artifacts, "leiden_clusters", entry.name, resolution)
    return rehearse(
        evidence,
        backends_of(entry),
        store,
        dataset=entry.name,
        resolution=resolution,
        score_threshold=settings.score_threshold,
        namesakes=settings.namesakes,
        strategy=entry.strategy,
        data_of=partial(data_of_now, cells, clusters),
    )


def _expected(rows: list[Expected]) -> Table:
    table = plain_table("role", "calls", "cached", "tokens in", "out", "USD", "at most")
    for row in rows:
        numbers = (f"{number:,}" for number in (row.calls, row.cached, row.input_tokens, row.output_tokens))
        table.add_row(row.role, *numbers, shown_usd(row.usd), shown_usd(row.most_usd))
    return table


def _asked(rows: list[Expected]) -> str:
    """Say who plays which role; in one word where one plays all."""
    models = {row.role: row.model for row in rows}
    if len(set(models.values())) == 1:
        return f"All roles: {_plain(rows[0].model)}."
    return "; ".join(f"{role}: {_plain(model)}" for role, model in models.items()) + "."


def sum_up(rows: Sequence[Expected]) -> str:
    """Say in one sentence what asking is expected to take."""
    calls, cached = sum(row.calls for row in rows), sum(row.cached for row in rows)
    usual, most = (
        None if None in prices else sum(price for price in prices if price is not None)
        for prices in ([row.usd for row in rows if row.calls], [row.most_usd for row in rows if row.calls])
    )
    price = "an unknown price (give it with usd_per_million_input and usd_per_million_output)"
    if usual is not None:
        price = f"about {shown_usd(usual)} USD, and {shown_usd(most)} USD if every reply is as long as is allowed"
    return f"{calls:,} calls and {cached:,} answers from the cache: {price}."


def shown_usd(amount: float | None) -> str:
    """Write an expected price."""
    return "unknown" if amount is None else f"{amount:.4f}"


def cast_of(entry: DatasetEntry) -> dict[str, ModelResource]:
    """Return who would play each role, by its verb, if the launchpad says nothing else."""
    from assets.model_calls import NAMES

    return {verb: model.overlaid(entry.model(NAMES[verb])) for verb, model in cast_in_environment().items()}


def backends_of(entry: DatasetEntry) -> dict[str, Backend]:
    """Return who would be asked in each role, by its verb, as long as he answers."""
    return {verb: resource.backends()[0] for verb, resource in cast_of(entry).items()}


def cast_in_environment() -> dict[str, ModelResource]:
    """Return who plays each role, by its name, where the catalog says nothing."""
    from assets.model_calls import NAMES
    from resources.llm import ModelResource

    return {verb: ModelResource.from_environment(role) for verb, role in NAMES.items()}


def store_of(home: Path | None) -> Store:
    """Open the replies and the ledger of a project."""
    from cassia_dagster.llm.store import Store

    return Store.open(home_of(home).model_store)


def plain_table(*headings: str) -> Table:
    """Make a table without lines, numbers to the right."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in headings:
        is_text = heading in {"role", "model", "dataset", "resolution", "begins with"}
        table.add_column(heading, no_wrap=True, overflow="ellipsis", justify="left" if is_text else "right")
    return table


def _plain(text: object) -> str:
    from cassia_dagster.commands.terminal import plain

    return plain(str(text))
