"""What the terminal says of each asset."""

from __future__ import annotations

import dagster as dg

from cassia_dagster.commands.terminal import SUMMARIES
from cassia_dagster.definitions import ANALYSES, ASSETS


def test_every_asset_that_a_command_makes_has_a_line() -> None:
    made = [asset for asset in (*ASSETS, *ANALYSES) if isinstance(asset, dg.AssetsDefinition)]
    assert {key.to_user_string() for asset in made for key in asset.keys} == set(SUMMARIES)
