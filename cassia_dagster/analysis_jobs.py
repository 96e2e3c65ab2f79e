"""The analyses that run by name, for one dataset at one resolution; nothing starts them by itself."""

from __future__ import annotations

import dagster as dg

_DESCRIPTIONS = {
    "uncertainty": "Name every cluster of a dataset at one resolution several times, and see how far the names agree.",
    "drift": "Compare a dataset's labels at one resolution with those of an earlier version.",
}

ANALYSIS_JOBS = {
    asset: dg.define_asset_job(f"analyse_{asset}", selection=dg.AssetSelection.assets(asset), description=description)
    for asset, description in _DESCRIPTIONS.items()
}
"""By the asset that they make."""
