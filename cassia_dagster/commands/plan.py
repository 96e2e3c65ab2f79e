"""The command `plan`: what is out of date and why, and what bringing it up to date would cost. Nothing is run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from cassia_dagster.commands.datasets import HomeOption
from resources.home import home_of

if TYPE_CHECKING:
    from dagster._core.definitions.data_version import CachingStaleStatusResolver

    from cassia_dagster.agents.estimate import Expected
    from cassia_dagster.evaluation.manual import ManualLabel
    from cassia_dagster.llm.store import Store
    from resources.catalog import DatasetEntry
    from resources.home import Home

LEVELS = (
    ("normalized_adata", "umap"),
    ("leiden_clusters", "marker_table", "annotations", "scores", "boosted", "reviewed", "merged", "report"),
    ("annotated_adata", "review"),
)
"""The assets of a dataset, of each of its resolutions, and of all of these together, in the order of work."""

NOTHING = "nothing"
NEVER = "all: it was never made"


@dataclass(frozen=True, slots=True)
class Planned:
    """What would be made of a dataset at one resolution."""

    dataset: str
    resolution: str
    begins_with: str
    """The first asset that is missing or out of date, and why; ``nothing`` if there is none."""
    calls: int | None
    """Questions to paid models, without those that were answered before; ``None`` where no clusters are known yet."""
    usd: float | None
    most_usd: float | None


def plan(
    names: Annotated[list[str] | None, typer.Argument(help="Names of datasets.  [default: all]")] = None,
    home: HomeOption = None,
) -> None:
    """Show what is missing or out of date, and what models would cost to bring it up to date. Nothing is run or asked.

    What comes out as it was starts nothing below it, so that less than this may be needed.
    """
    import os

    from rich.console import Console

    from cassia_dagster.commands.models import plain_table, shown_usd, store_of
    from cassia_dagster.commands.terminal import plain
    from resources.catalog import Catalog
    from resources.home import VARIABLE

    place, console = home_of(home), Console(highlight=False)
    os.environ[VARIABLE] = str(place.root)  # the assets read the catalog's resolutions when they are imported
    catalog, broken = Catalog.read_sound(place.catalog)
    entries = [catalog.entry(name) for name in names] if names else catalog.datasets
    with store_of(home) as store:
        rows = list(planned(place, entries, store))
    table = plain_table("dataset", "resolution", "begins with", "calls", "USD", "at most")
    for row in rows:
        calls = "?" if row.calls is None else f"{row.calls:,}"
        words = (row.dataset, row.resolution, row.begins_with)
        table.add_row(*map(plain, words), calls, shown_usd(row.usd), shown_usd(row.most_usd))
    console.print(table)
    for trouble in broken.values() if not names else ():
        console.print(f"[red]✗[/] {plain(trouble)}", soft_wrap=True)
    waiting = [row for row in rows if row.begins_with != NOTHING]
    known = [row for row in waiting if row.usd is not None]
    told = sum(row.usd or 0.0 for row in known)
    unknown = f", and what {len(waiting) - len(known)} more will cost is not known yet" if known != waiting else ""
    console.print(f"{len(waiting):,} of {len(rows):,} would be made, for about {shown_usd(told)} USD{unknown}.")


def planned(home: Home, entries: Iterable[DatasetEntry], store: Store) -> Iterator[Planned]:
    """Say what would be made of each resolution of some datasets, and for how much."""
    for entry, reasons in _reasons(home, entries):
        for resolution, reason in reasons.items():
            yield _planned(home, entry, store, resolution, reason)


def _planned(home: Home, entry: DatasetEntry, store: Store, resolution: str, reason: str) -> Planned:
    if reason == NOTHING:
        return Planned(entry.name, resolution, reason, 0, 0.0, 0.0)
    rows = _expected(home, entry, resolution, store)
    if rows is None:
        return Planned(entry.name, resolution, reason, None, None, None)
    paid = [row for row in rows if row.calls and not row.model.startswith("embedded/")]
    return Planned(
        entry.name,
        resolution,
        reason,
        sum(row.calls for row in paid),
        _sum([row.usd for row in paid]),
        _sum([row.most_usd for row in paid]),
    )


def _sum(prices: Sequence[float | None]) -> float | None:
    return None if None in prices else sum(price for price in prices if price is not None)


def _expected(home: Home, entry: DatasetEntry, resolution: str, store: Store) -> list[Expected] | None:
    from cassia_dagster.commands.models import backends_of, evidence_at, expected_of
    from cassia_dagster.llm.choice import EMBEDDED

    evidence = evidence_at(home, entry, resolution)
    if evidence is None or {backend.provider for backend in backends_of(entry).values()} == {EMBEDDED}:
        return None if evidence is None else []  # free
    return expected_of(home, entry, resolution, evidence, store)


def _reasons(home: Home, entries: Iterable[DatasetEntry]) -> Iterator[tuple[DatasetEntry, dict[str, str]]]:
    """Tell of each dataset, for each resolution, which asset is the first that is missing or out of date."""
    from dagster._core.definitions.data_version import CachingStaleStatusResolver
    from dagster._core.loader import LoadingContextForTest

    from cassia_dagster.definitions import build_defs
    from cassia_dagster.walk import open_instance
    from resources.manual_labels import read_manual_labels

    if not home.dagster.exists():
        yield from ((entry, dict.fromkeys(entry.clusterings, NEVER)) for entry in entries)
        return
    labels = read_manual_labels(home.manual_labels)
    with open_instance(home) as instance:
        graph = build_defs(home).resolve_asset_graph()  # once, for it takes longer than to look at a dataset
        statuses = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
        for entry in entries:
            known = instance.has_dynamic_partition("dataset", entry.name)
            found = _reasons_of(home, entry, statuses, labels) if known else dict.fromkeys(entry.clusterings, NEVER)
            yield entry, found


def _reasons_of(
    home: Home, entry: DatasetEntry, statuses: CachingStaleStatusResolver, labels: Sequence[ManualLabel]
) -> dict[str, str]:
    """Tell of a dataset for which there is a partition, by Dagster's own word."""
    import dagster as dg
    from dagster._core.definitions.data_version import StaleStatus

    from assets.manual_labels import observe_labels
    from assets.raw_adata import observe
    from cassia_dagster.watching import VERSION

    def reason(asset: str, key: str) -> str | None:
        status = statuses.get_status(dg.AssetKey(asset), key)
        if status == StaleStatus.FRESH:
            return None
        if status == StaleStatus.MISSING:
            return f"{asset}: missing"
        return f"{asset}: {statuses.get_stale_causes(dg.AssetKey(asset), key)[0].reason}"

    used = statuses.get_current_data_version(dg.AssetKey("raw_adata"), entry.name).value
    if (observe(entry).tags or {})[VERSION] != used:
        return dict.fromkeys(entry.clusterings, "all: its file or entry has changed")
    said = observe_labels(entry.name, home.manual_labels, labels)
    reviewed = statuses.get_current_data_version(dg.AssetKey("manual_labels"), entry.name).value
    relabelled = None if (said.tags or {})[VERSION] == reviewed else "reviewed: a manual label has changed"
    first, middle, last = LEVELS if entry.has_cells else ((), LEVELS[1], ())
    above = next((one for asset in first if (one := reason(asset, entry.name))), None)
    below = next((one for asset in last if (one := reason(asset, entry.name))), None)
    found = {}
    for resolution in entry.clusterings:
        key = dg.MultiPartitionKey({"dataset": entry.name, "resolution": resolution})
        own = next((one for asset in middle if (one := reason(asset, key))), None)
        found[resolution] = above or own or relabelled or below or NOTHING
    return found
