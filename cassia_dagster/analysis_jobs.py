"""The analyses that run by name, for one dataset at one resolution; nothing starts them by itself."""

from __future__ import annotations

import dagster as dg

from cassia_dagster.automation import MEMORY

_DESCRIPTIONS = {
    "uncertainty": "Name every cluster of a dataset at one resolution several times, and see how far the names agree.",
    "subclusters": "Cluster the cells of a cluster among themselves, and name its parts.",
    "drift": "Compare a dataset's labels at one resolution with those of an earlier version.",
    "symphony": "Let a panel of models decide between candidate cell types of one cluster.",
    "model_comparison": "Let several models name clusters whose labels are known, and rank them with what they cost.",
    "hypotheses": "Rank what each cluster could be besides its label, with the genes that would tell.",
}

ANALYSIS_JOBS = {
    asset: dg.define_asset_job(
        f"analyse_{asset}", selection=dg.AssetSelection.assets(asset), tags=MEMORY, description=description
    )
    for asset, description in _DESCRIPTIONS.items()
}
"""By the asset that they make."""

LOOK_AGAIN = dg.define_asset_job(
    "look_again",
    selection=dg.AssetSelection.assets("boosted", "reviewed", "merged", "report"),
    tags=MEMORY,
    description="Take a second look at clusters of a dataset at one resolution; group and report what came of it.",
)
"""The second look on demand, and what shows it."""

REPORT_AGAIN = dg.define_asset_job(
    "refresh_report",
    selection=dg.AssetSelection.assets("report"),
    tags=MEMORY,
    description=(
        "Write the report and tables of a dataset at one resolution anew, with what analyses have found out: nobody is "
        "asked, nothing is spent."
    ),
)
