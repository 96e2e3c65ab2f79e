"""The command that makes room: it removes what is superfluous, and reports what only the user can give up."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cassia_dagster.commands.datasets import HomeOption
from cassia_dagster.errors import InputError
from resources.home import home_of
from resources.versions_kept import MOST

if TYPE_CHECKING:
    from resources.home import Home
    from resources.retention import Artifact


def gc(
    keep: Annotated[int, typer.Option(min=1, help="Versions of each small table to keep, the present one too.")] = MOST,
    forget: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Remove the artifacts of a dataset that is no longer in the catalog; may be repeated.",
        ),
    ] = None,
    replies_older_than: Annotated[
        int | None, typer.Option(min=0, metavar="DAYS", help="Forget replies of models that are older.")
    ] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")] = False,
    home: HomeOption = None,
) -> None:
    """Make room: remove earlier versions of tables, and, where you say so, removed datasets and old replies.

    What was made of datasets or resolutions that the catalog lists no more is reported, and stays until it is named.
    """
    from resources.retention import artifacts, orphans, superfluous

    place = home_of(home)
    listed, broken = _listed(place)
    if known := sorted({*listed, *broken} & {*(forget or ())}):
        raise InputError(
            f"{known[0]!r} is in the catalog, so its artifacts are needed. "
            f"Take it out first with `cassia-dagster datasets remove {known[0]}`."
        )
    found = list(artifacts(place.artifacts))
    if missing := sorted({*(forget or ())} - {one.dataset for one in found}):
        raise InputError(f"Nothing is kept of a dataset {missing[0]!r}.")
    # Of a dataset whose entry cannot be read, nothing is known to be superfluous.
    left = [one for one in orphans(found, listed) if one.dataset not in broken]
    forgotten = [one for one in left if one.dataset in (forget or ())]
    old = [one for one in superfluous(found, keep) if one not in forgotten]
    verb = "would be removed" if dry_run else "removed"
    if not dry_run:
        for one in (*old, *forgotten):
            one.path.unlink(missing_ok=True)
    typer.echo(f"{_sum(old)} of earlier versions {verb}; the newest {keep} of each table stay.")
    for name, ones in _by_dataset(forgotten).items():
        typer.echo(f"{_sum(ones)} of {name} {verb}.")
    if replies_older_than is not None:
        typer.echo(f"{_forget_replies(place, replies_older_than, dry_run=dry_run):,} replies of models {verb}.")
    for name, ones in _by_dataset([one for one in left if one not in forgotten]).items():
        typer.echo(_reported(name, ones, listed))


def _listed(home: Home) -> tuple[dict[str, Collection[str]], Collection[str]]:
    """Return the resolutions of each dataset, and the names of the entries that cannot be read."""
    from resources.catalog import Catalog

    catalog, broken = Catalog.read_sound(home.catalog)
    return {entry.name: entry.clusterings for entry in catalog.datasets}, broken


def _reported(name: str, ones: Collection[Artifact], listed: Mapping[str, Collection[str]]) -> str:
    from cassia_dagster.commands.terminal import plain
    from cassia_dagster.singlecell.resolutions import in_order

    if name not in listed:
        return (
            f"{plain(name)} is not in the catalog, and {_sum(ones)} are kept of it. "
            f"`cassia-dagster gc --forget {plain(name)}` removes them."
        )
    keys = ", ".join(in_order({one.resolution for one in ones if one.resolution}))
    return f"{plain(name)} lists the resolutions {plain(keys)} no more, and {_sum(ones)} are kept of them."


def _forget_replies(home: Home, days: int, *, dry_run: bool) -> int:
    from cassia_dagster.llm.store import Store

    if isinstance(home.model_store, Path) and not home.model_store.exists():
        return 0
    before = time.time() - days * 86400
    with Store.open(home.model_store) as store:
        count = store.replies.count(None, before)
        if not dry_run:
            store.replies.clear(None, before)
        return count


def _by_dataset(ones: Collection[Artifact]) -> Mapping[str, list[Artifact]]:
    grouped: dict[str, list[Artifact]] = defaultdict(list)
    for one in ones:
        grouped[one.dataset].append(one)
    return grouped


def _sum(ones: Collection[Artifact]) -> str:
    size = sum(one.bytes for one in ones)
    return f"{len(ones):,} file{'' if len(ones) == 1 else 's'} ({size / 1e6:,.1f} MB)"
