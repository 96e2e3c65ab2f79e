"""What a run made, as one JSON object for scripts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cassia_dagster.commands.terminal import read_result
from cassia_dagster.outputs.result import ResolutionResult, final_label, reviewer_of
from cassia_dagster.records import ClusterResult
from cassia_dagster.singlecell.resolutions import folder_of

if TYPE_CHECKING:
    from resources.catalog import DatasetEntry
    from resources.home import Home


def tell_json(entry: DatasetEntry, home: Home) -> str:
    """Return dataset, files, cost, and every cluster of every resolution as JSON.

    Parameters
    ----------
    entry
        The dataset, all of whose assets are made.
    home
        Where they are kept.
    """
    from cassia_dagster.llm.store import Store

    with Store.open(home.model_store) as store:
        spent = store.totals(subject=entry.name)
    results = [read_result(entry, home, resolution)[0] for resolution in entry.clusterings]
    told = {
        "dataset": entry.name,
        "primary_resolution": entry.primary,
        "calls": spent.calls,
        "cached_calls": spent.cached,
        "usd": spent.usd,
        "unpriced_calls": spent.unpriced,
        "review": str(entry.folder / f"{entry.name}_review.html") if entry.has_cells else None,
        "cells": str(entry.folder / f"{entry.name}_annotated.h5ad") if entry.has_cells else None,
        "resolutions": [_resolution(entry, result) for result in results],
    }
    return json.dumps(told, ensure_ascii=False, allow_nan=False)


def _resolution(entry: DatasetEntry, result: ResolutionResult) -> dict[str, Any]:
    return {
        "resolution": result.resolution,
        "report": str(entry.folder / folder_of(result.resolution) / f"{entry.name}_report.html"),
        "clusters": [_cluster(row) for row in result.clusters],
    }


def _cluster(row: ClusterResult) -> dict[str, Any]:
    final = row.boosted
    return {
        "cluster": row.cluster,
        "n_cells": row.evidence.n_cells,
        "label": final_label(row),
        "cl_id": final.check.cl_id if final.check else None,
        "score": final.score,
        "status": final.status.value,
        "findings": [finding.value for finding in final.check.findings] if final.check else [],
        "reviewed_by": reviewer_of(row) or None,
    }
