"""What all analyses promise: their cost is told before it is spent, and nothing is spent beyond the budget."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

PRICED = {"model": "openai/gpt-4.1"}

ASKED: dict[str, dict[str, Any]] = {
    "uncertainty": {"clusters": ["3"], "models": [PRICED]},
    "symphony": {"cluster": "2", "candidates": ["alpha cell", "beta cell"], "models": [PRICED]},
    "hypotheses": {"clusters": ["3"], "annotation_llm": PRICED},
    "boosted": {"clusters": ["3"], "boost_llm": PRICED},
    "subclusters": {"clusters": ["0"], "annotation_llm": PRICED},
    "model_comparison": {"labels": "cell_type", "models": [{"provider": "embedded"}, PRICED]},
}


@pytest.mark.parametrize("asset", ASKED)
def test_what_an_analysis_would_cost_is_told_though_the_budget_lets_nothing_be_asked(
    execute: Callable[..., dg.ExecuteInProcessResult],
    final_labels: None,
    asset: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-a-real-key-0123456789")
    done = execute(asset, max_usd_per_run=0.0, **ASKED[asset])
    said = {name: one.value for name, one in done.asset_materializations_for_node(asset)[0].metadata.items()}
    assert said["expected_calls"] >= 1
    assert 0 < said["expected_usd"] < said["expected_usd_at_most"]
    assert said["usd"] == 0
