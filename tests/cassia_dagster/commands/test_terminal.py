"""What the terminal says of each asset."""

from __future__ import annotations

import dagster as dg
import pytest

from cassia_dagster.commands.terminal import SUMMARIES, as_typed
from cassia_dagster.definitions import ANALYSES, ASSETS


def test_every_asset_that_a_command_makes_has_a_line() -> None:
    made = [asset for asset in (*ASSETS, *ANALYSES) if isinstance(asset, dg.AssetsDefinition)]
    assert {key.to_user_string() for asset in made for key in asset.keys} == set(SUMMARIES)


def test_a_command_is_shown_as_the_shell_finds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV_RUN_RECURSION_DEPTH", raising=False)
    assert as_typed("cassia-dagster ui") == "cassia-dagster ui"
    monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1")
    assert as_typed("cassia-dagster ui") == "uv run cassia-dagster ui"
