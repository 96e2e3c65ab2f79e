"""The command that looks inside clusters: their cells are clustered among themselves, and every part is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cassia_dagster.agents.subclusters import Subcluster
from cassia_dagster.commands.analysing import (
    BudgetOption,
    EstimateOption,
    ResolutionOption,
    Target,
    configured,
    make,
    open_store,
    show_expected,
    show_table,
    target_of,
)
from cassia_dagster.commands.datasets import HomeOption, NameArgument

if TYPE_CHECKING:
    from assets.subclusters import SubclustersConfig
    from cassia_dagster.agents.estimate import Expected


def subclusters(
    name: NameArgument,
    cluster: Annotated[
        list[str] | None,
        typer.Option(
            help="Id of a cluster; repeatable.  [default: those that are mixed, unresolved, scored low, or told apart "
            "at a finer resolution]",
            show_default=False,
        ),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="A cell type, all clusters of which are one compartment; repeatable.", show_default=False),
    ] = None,
    resolution: ResolutionOption = None,
    *,
    together: Annotated[bool, typer.Option("--together", help="Take all that is named as one compartment.")] = False,
    inner_resolution: Annotated[
        float, typer.Option(min=0.01, max=10, help="Resolution of the clustering inside.")
    ] = 0.4,
    max_usd: BudgetOption = None,
    estimate: EstimateOption = False,
    home: HomeOption = None,
) -> None:
    """What is inside this cluster? Cluster its cells among themselves, and name the parts as kinds of their parent."""
    target = target_of(name, resolution, home)
    from assets.subclusters import SubclustersConfig

    config = configured(
        SubclustersConfig,
        clusters=cluster or [],
        labels=label or [],
        together=together,
        inner_resolution=inner_resolution,
        max_usd_per_run=max_usd,
    )
    target.entry.require_cells()
    show_expected(_expected_naming(target, config), "Expected, with the parts that the cells fall into")
    if estimate:
        return
    make(target, "subclusters", config, then_write=True)
    show_table(
        ("part", "cells", "label", "score", "parent", "relation", "against its siblings"),
        map(_row, target.rows("subclusters", Subcluster)),
    )


def _expected_naming(target: Target, config: SubclustersConfig) -> list[Expected]:
    """Cluster the cells inside to see how many parts there are to ask about; only where asking costs something."""
    from assets.on_demand import final_words
    from assets.parts import ROLES, expected_naming, find_parts
    from cassia_dagster.commands.models import cast_of
    from cassia_dagster.llm.choice import EMBEDDED
    from resources.storage import stored_cells

    cast = cast_of(target.entry)
    models = {role: cast[role.name] for role in ROLES}
    if {model.title for model in models.values()} == {EMBEDDED}:
        return []
    rows = target.annotated([])
    final = final_words(target.table("reviewed"), target.table("scores"), rows)
    labels = target.table("leiden_clusters").read().set_index("cell_id")["cluster"]
    cells = stored_cells(target.home.artifacts, target.entry.name)
    parents = config.parents(target.entry, target.resolution, rows, final, labels, target.made)
    parts = find_parts(target.entry, config.inside, parents, cells, labels)
    with open_store(target) as store:
        return expected_naming(parts, final, models, store)


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
