"""What the scripts of the report know: clusters, groups, packed cells, and the files that can be saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cassia_dagster.agents.boost import SCORE_THRESHOLD
from cassia_dagster.outputs import palette
from cassia_dagster.outputs.colourings import colourings
from cassia_dagster.outputs.downloads import Download
from cassia_dagster.outputs.groupings import Group, group_tree
from cassia_dagster.outputs.packed import pack_cells
from cassia_dagster.outputs.result import ResolutionResult, final_label
from cassia_dagster.outputs.shown import telling_first
from cassia_dagster.outputs.words import FINDING_TEXTS, listing
from cassia_dagster.records import ClusterResult

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

MARKERS_ON_CARD = 6


def page_data(
    result: ResolutionResult,
    anchors: Mapping[str, str],
    downloads: Sequence[Download],
    cells: pd.DataFrame | None,
    gold: pd.DataFrame | None,
    expression: AnnData | None,
) -> Mapping[str, Any]:
    """Gather what `page.js` reads; the parameters are as in `render_report`."""
    colours = palette.assign(row.cluster for row in result.clusters)
    return {
        "name": result.dataset,
        "threshold": SCORE_THRESHOLD,
        "clusters": [_cluster(row, anchors[row.cluster], colours[row.cluster]) for row in result.clusters],
        "groups": [_group(group) for group in group_tree(result)],
        "downloads": [{key: asdict(one)[key] for key in ("name", "type", "text")} for one in downloads],
        "cells": None if cells is None else pack_cells(cells, colourings(result, cells, gold), expression),
    }


def _cluster(row: ClusterResult, anchor: str, colour: str) -> Mapping[str, Any]:
    final, check = row.boosted, row.boosted.check
    named = final.annotation and not final.annotation.unresolved
    found = "not checked" if not named or not check else listing([FINDING_TEXTS[one] for one in check.findings])
    return {
        "id": row.cluster,
        "anchor": anchor,
        "label": final_label(row),
        "colour": colour,
        "score": final.score,
        "evidence": found or "passed",
        "n_cells": row.evidence.n_cells,
        "markers": telling_first(row.evidence)[:MARKERS_ON_CARD],
    }


def _group(group: Group) -> Mapping[str, Any]:
    clusters = f"cluster{'' if len(group.clusters) == 1 else 's'} {listing(group.clusters)}"
    return {
        "name": group.name,
        "clusters": group.clusters,
        "size": group.size,
        "said": clusters if group.n_cells is None else f"{group.n_cells:,} cells, {clusters}",
        "groups": [_group(inner) for inner in group.groups],
    }
