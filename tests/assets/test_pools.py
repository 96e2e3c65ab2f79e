"""What steps share: places with a provider, and memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

pytest.importorskip("dagster_k8s", reason="dagster-k8s is not installed: uv sync --extra k8s")

from dagster_k8s.job import get_user_defined_k8s_config

from assets.pools import LARGEST, MATRIX, memory_tags, pool_of, pools_of_models
from cassia_dagster.definitions import ANALYSES, ASSETS
from cassia_dagster.errors import ConfigurationError
from cassia_dagster.singlecell.memory import memory_needed

PROJECT = Path(__file__).parents[2]
MADE = [asset for asset in (*ASSETS, *ANALYSES) if isinstance(asset, dg.AssetsDefinition)]


def memory(tags):
    tags = {name: said if isinstance(said, str) else json.dumps(said) for name, said in tags.items()}
    resources = get_user_defined_k8s_config(tags).container_config["resources"]
    assert resources["requests"] == resources["limits"]
    return resources["limits"]["memory"]


def test_each_provider_has_a_pool(monkeypatch):
    assert pool_of("annotation") == "llm"
    monkeypatch.setenv("CASSIA_MODEL", "openrouter/anthropic/claude-sonnet-4.5")
    monkeypatch.setenv("CASSIA_SCORE_MODEL", "openai/gpt-5-mini")
    assert pool_of("annotation") == pool_of("merge") == "llm-openrouter"
    assert pool_of("score") == "llm-openai"
    assert pools_of_models() == {"llm-openrouter", "llm-openai"}


def test_steps_that_ask_and_steps_that_hold_a_matrix_have_pools():
    pools = {asset.key.to_user_string(): asset.op.pool for asset in MADE}
    assert {name for name, pool in pools.items() if pool == MATRIX} == {
        "normalized_adata",
        "umap",
        "marker_table",
        "annotated_adata",
    }
    asks = {asset.key.to_user_string() for asset in MADE if "model_store" in asset.required_resource_keys}
    assert {name for name, pool in pools.items() if pool == "llm"} == asks - {"report", "marker_table"}


@pytest.mark.parametrize("asset", MADE, ids=lambda asset: asset.key.to_user_string())
def test_an_asset_that_opens_a_matrix_asks_the_cluster_for_its_memory(asset):
    opens = asset.key.to_user_string() == "normalized_adata" or dg.AssetKey("normalized_adata") in {
        dep.asset_key for spec in asset.specs for dep in spec.deps
    }
    assert memory(asset.op.tags) == memory(memory_tags(matrix=opens)) == ("14687Mi" if opens else "954Mi")


def test_memory_follows_the_rule_and_the_largest_matrix_of_the_project(monkeypatch):
    monkeypatch.setenv(LARGEST, "2000000000")
    assert 2**20 * int(memory(memory_tags(matrix=True)).removesuffix("Mi")) == pytest.approx(
        memory_needed(2_000_000_000), abs=2**20
    )
    monkeypatch.setenv(LARGEST, "large")
    with pytest.raises(ConfigurationError, match="CASSIA_LARGEST_MATRIX: 'large' is no number"):
        memory_tags(matrix=True)


TAGS = """
import json
from cassia_dagster.analysis_jobs import ANALYSIS_JOBS, LOOK_AGAIN, REPORT_AGAIN
from cassia_dagster.automation import JOBS, automatic_runs
jobs = [*JOBS, *ANALYSIS_JOBS.values(), LOOK_AGAIN, REPORT_AGAIN]
print(json.dumps({job.name: dict(job.tags) for job in jobs} | {"automatic": dict(automatic_runs().run_tags or {})}))
"""


def tags_of_runs(**environment: str) -> dict[str, dict[str, str]]:
    told = subprocess.run(
        [sys.executable, "-c", TAGS], env=os.environ | environment, cwd=PROJECT, capture_output=True, check=True
    )
    return json.loads(told.stdout)


def test_a_run_on_kubernetes_has_room_for_each_of_its_steps():
    """A container is of the run: the steps have none of their own. Also what shows labels anew reads genes of cells."""
    runs = tags_of_runs(KUBERNETES_SERVICE_HOST="10.0.0.1")
    assert {"annotate_clusters", "analyse_drift", "look_again", "refresh_report", "automatic"} <= set(runs)
    assert {memory(tags) for tags in runs.values()} == {"14687Mi"}


def test_a_run_elsewhere_bears_no_word_of_kubernetes():
    assert not any(tags_of_runs().values())
