"""The command that looks inside clusters: their cells are clustered among themselves, and every part is named."""

from __future__ import annotations

from typing import Annotated

import typer

from cassia_dagster.agents.subclusters import Subcluster
from cassia_dagster.analysing import BudgetOption, ResolutionOption, configured, make, show_table, target_of
from cassia_dagster.datasets import HomeOption, NameArgument


def subclusters(
    name: NameArgument,
    cluster: Annotated[
        list[str] | None,
        typer.Option(
            help="Id of a cluster; repeatable.  [default: those that are mixed, unresolved or scored low]",
            show_default=False,
        ),
    ] = None,
    resolution: ResolutionOption = None,
    *,
    together: Annotated[bool, typer.Option("--together", help="Take the named clusters as one compartment.")] = False,
    inner_resolution: Annotated[
        float, typer.Option(min=0.01, max=10, help="Resolution of the clustering inside.")
    ] = 0.4,
    max_usd: BudgetOption = None,
    home: HomeOption = None,
) -> None:
    """What is inside this cluster? Cluster its cells among themselves, and name the parts as kinds of their parent."""
    # First of all, for the assets read at import which resolutions this home has.
    target = target_of(name, resolution, home)
    from assets.model_calls import as_in_launchpad
    from assets.subclusters import SubclustersConfig

    config = configured(
        SubclustersConfig,
        clusters=cluster or [],
        together=together,
        inner_resolution=inner_resolution,
        max_usd_per_run=max_usd,
    )
    make(target, "subclusters", as_in_launchpad(config))
    show_table(
        ("part", "cells", "label", "score", "parent", "relation", "against its siblings"),
        map(_row, target.rows("subclusters", Subcluster)),
    )


def _row(row: Subcluster) -> tuple[str, ...]:
    annotation = row.annotation
    return (
        row.cluster,
        f"{row.n_cells:,}",
        (annotation.label if annotation and not annotation.unresolved else None) or "unresolved",
        "" if row.score is None else f"{row.score:.0f}",
        row.parent_label or "unresolved",
        row.relation.value.replace("_", " ") if row.relation else "",
        ", ".join(row.markers_against_siblings[:5]),
    )
