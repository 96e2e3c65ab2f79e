"""The sections of the report, in reading order. Another one is a partial template and a line here, or in the caller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cassia_dagster.outputs.attention import concerns
from cassia_dagster.outputs.confusion import confusion
from cassia_dagster.outputs.dotplot import dot_plot
from cassia_dagster.outputs.groupings import group_tree
from cassia_dagster.outputs.maps import draw_maps
from cassia_dagster.outputs.result import ResolutionResult
from cassia_dagster.outputs.spending import spending

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from cassia_dagster.evaluation.agreement import Agreement
    from cassia_dagster.llm.ledger import Call
    from cassia_dagster.outputs.maps import CellMap


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report with a heading of its own, which the navigation leads to."""

    anchor: str
    """Letters and hyphens; unique on the page."""
    title: str
    template: str
    """Name of a file in ``templates/``; it sees ``value``, and ``result``, ``anchors``, ``colours`` and the filters."""
    value: object = None


def sections_of(
    result: ResolutionResult,
    cells: pd.DataFrame | None,
    gold: pd.DataFrame | None,
    agreements: Mapping[str, Agreement],
    expression: AnnData | None,
    calls: Sequence[Call],
    more: Sequence[Section],
    maps: Sequence[CellMap] | None = None,
) -> list[Section]:
    """List the sections that there is something to say in; what they are made from is as in `render_report`."""
    found = [Section("summary", "Summary", "summary.html.j2", concerns(result))]
    if cells is not None:
        drawn = draw_maps(result, cells, gold) if maps is None else maps
        found.append(Section("map", "Map", "map.html.j2", drawn))
    found.append(Section("clusters", "All clusters", "clusters.html.j2"))
    if cells is not None and expression is not None:
        found.append(Section("dots", "Marker genes", "dots.html.j2", dot_plot(result, cells["cluster"], expression)))
    found.append(Section("groups", "Groups", "groups.html.j2", group_tree(result)))
    if agreements:
        tables = {
            column: confusion(result, cells["cluster"], gold[column])
            for column in agreements
            if cells is not None and gold is not None and column in gold
        }
        found.append(Section("agreement", "Agreement", "agreement.html.j2", tables))
    return [
        *found,
        *more,
        Section("each", "Cluster by cluster", "each.html.j2"),
        Section("spending", "Cost", "spending.html.j2", spending(calls)),
        Section("downloads", "Downloads", "downloads.html.j2"),
        Section("about", "How to read this", "about.html.j2"),
    ]
