"""The commands that compare: what a dataset is called now with what it was called before."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from cassia_dagster.commands.analysing import ResolutionOption, Target, configured, make, show_table, target_of
from cassia_dagster.commands.datasets import HomeOption, NameArgument
from cassia_dagster.singlecell.resolutions import folder_of

if TYPE_CHECKING:
    from cassia_dagster.evaluation.drift import ClusterDrift, Drift


def drift(
    name: NameArgument,
    resolution: ResolutionOption = None,
    against: Annotated[
        str, typer.Option(help="Data version to compare with, or how it begins.  [default: the last but one]")
    ] = "",
    max_changed: Annotated[
        float, typer.Option("--max-changed", min=0, max=1, help="Share of the cells that may be called something else.")
    ] = 0.1,
    *,
    versions: Annotated[bool, typer.Option("--list", help="Only list the versions that are kept.")] = False,
    home: HomeOption = None,
) -> None:
    """Say what became of a dataset's labels since an earlier version, and what changed between; asks no model.

    Exit code 1 says that more cells are called something else than may be.
    """
    target = target_of(name, resolution, home)
    if versions:
        show_table(("data version", "written", "run"), _versions(target))
        return
    from assets.drift import DriftConfig, earlier_version

    # Else a run would be launched to fail, and stand in Dagster as one that went wrong.
    earlier_version(target.home.artifacts, target.entry.name, target.resolution, against)
    make(target, "drift", configured(DriftConfig, against=against, max_changed_share=max_changed))
    found = _read(target)
    show_table(("cluster", "before", "overlap", "label", "label before", "change", "score"), map(_row, found.clusters))
    for cause in found.causes:
        typer.echo(f"Changed: {cause}")
    if found.gone:
        typer.echo(f"Joined to others: {', '.join(found.gone)}")
    typer.echo(f"{found.changed_share:.1%} of the cells are called something else than before.")
    if found.changed_share > max_changed:
        raise typer.Exit(1)


def _versions(target: Target) -> list[tuple[str, str, str]]:
    from assets.drift import STANDING
    from resources.versions_kept import versions_of

    kept = versions_of(target.home.artifacts, STANDING, target.entry.name, target.resolution)
    return [(one.data_version, f"{one.written:%Y-%m-%d %H:%M} UTC", one.run) for one in kept]


def _read(target: Target) -> Drift:
    from cassia_dagster.evaluation.drift import Drift

    path = target.entry.folder / folder_of(target.resolution) / f"{target.entry.name}_drift.json"
    return Drift.model_validate(json.loads(path.read_text("utf-8"))[0])


def _row(row: ClusterDrift) -> tuple[str, ...]:
    change = row.score_change
    return (
        row.cluster,
        row.before or "none",
        f"{row.overlap:.2f}",
        row.label or "unresolved",
        row.label_before or "unresolved",
        row.change.value.replace("_", " "),
        "" if change is None else f"{change:+.0f}",
    )
