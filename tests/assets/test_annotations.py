"""The labels as an asset: the strategy that the launchpad chooses is the one that is played."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from cassia_dagster.agents import embedded
from cassia_dagster.records import AnnotatedCluster, Strategy


@pytest.mark.parametrize("strategy", list(Strategy))
def test_the_chosen_strategy_is_played_and_kept(
    materialize: Any, monkeypatch: pytest.MonkeyPatch, strategy: Strategy
) -> None:
    # Of the islets the embedded model is so sure that it would ask for nothing.
    monkeypatch.setattr(embedded, "SURE", 1.01)
    rows = materialize("annotations", AnnotatedCluster, strategy=strategy.value)
    assert {row.strategy for row in rows} == {strategy}
    roles = {exchange.role for row in rows for exchange in row.history}
    assert roles == ({"annotate", "validate"} if strategy is Strategy.VALIDATED else {"annotate"})
    asked = [row for row in rows if row.lookups]
    assert bool(asked) == (strategy is Strategy.FUSED)
    # A mean is known from the matrix only, so it was the matrix that answered.
    assert all(any(one.mean is not None for one in row.lookups) for row in asked)


def test_a_strategy_that_does_not_exist_is_refused(materialize: Any) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match="two_shots"):
        materialize("annotations", AnnotatedCluster, strategy="two_shots")


def test_the_catalog_chooses_a_strategy_and_the_launchpad_goes_before_it(materialize: Any, artifacts: Path) -> None:
    catalog = artifacts / "datasets.yaml"
    before = catalog.read_text()
    catalog.write_text(before.replace("- name: islets", "- strategy: one_shot\n  name: islets"))
    try:
        listed = materialize("annotations", AnnotatedCluster)
        chosen = materialize("annotations", AnnotatedCluster, strategy="validated")
    finally:
        catalog.write_text(before)
    assert {row.strategy for row in listed} == {Strategy.ONE_SHOT}
    assert {row.strategy for row in chosen} == {Strategy.VALIDATED}
