"""The code location: what it holds, and what it costs to load."""

import json
import subprocess
import sys

import dagster as dg
import pytest

from assets.model_calls import code_version
from cassia_dagster.agents import role
from cassia_dagster.agents.annotate import ANNOTATOR
from cassia_dagster.agents.boost import BOOSTER
from cassia_dagster.agents.compare import COMPARER
from cassia_dagster.agents.hypothesize import HYPOTHESIZER
from cassia_dagster.agents.merge import MERGER
from cassia_dagster.agents.score import SCORER
from cassia_dagster.agents.validate import VALIDATOR
from cassia_dagster.definitions import ANALYSES, ASSETS, build_defs
from cassia_dagster.knowledge.versions import knowledge_version
from resources.llm import ModelResource

NAMES = {
    "raw_adata",
    "normalized_adata",
    "umap",
    "leiden_clusters",
    "marker_table",
    "annotations",
    "scores",
    "boosted",
    "manual_labels",
    "reviewed",
    "merged",
    "report",
    "annotated_adata",
    "review",
}

EXTERNAL = {"raw_adata", "manual_labels"}
"""What users make: files."""

ON_DEMAND = {"uncertainty", "symphony", "hypotheses", "subclusters", "drift", "model_comparison"}


@pytest.fixture(scope="module")
def specs():
    return {spec.key.to_user_string(): spec for spec in build_defs().resolve_all_asset_specs()}


def test_the_graph_holds_the_assets_of_the_method_and_no_other(specs):
    assert set(specs) == NAMES | ON_DEMAND
    assert len(ASSETS) == len(NAMES)
    assert len(ANALYSES) == len(ON_DEMAND)


def test_what_is_made_on_demand_is_requested_by_nothing_and_part_of_no_other_job(specs):
    assert not any(specs[name].automation_condition for name in ON_DEMAND)
    assert all(specs[name].automation_condition for name in NAMES - EXTERNAL)
    others = [job for job in build_defs().resolve_all_job_defs() if not job.name.startswith(("__", "analyse_"))]
    assert others
    assert not {key.to_user_string() for job in others for key in job.asset_layer.executable_asset_keys} & ON_DEMAND


@pytest.mark.parametrize("name", sorted(NAMES | ON_DEMAND))
def test_an_asset_says_what_it_is(specs, name):
    spec = specs[name]
    assert len(spec.description) > 100
    assert spec.group_name in {"cells", "clusters", "annotation", "results", "analyses"}
    assert 1 <= len(spec.kinds) <= 3
    assert spec.code_version is not None or name in EXTERNAL


def test_datasets_come_and_go_and_resolutions_are_configured(specs):
    by_cluster = specs["annotations"].partitions_def
    assert isinstance(by_cluster, dg.MultiPartitionsDefinition)
    assert isinstance(by_cluster.get_partitions_def_for_dimension("dataset"), dg.DynamicPartitionsDefinition)
    assert by_cluster.get_partitions_def_for_dimension("resolution").get_partition_keys() == ["0.4", "0.8", "1.2"]
    assert isinstance(specs["umap"].partitions_def, dg.DynamicPartitionsDefinition)


def test_every_check_and_job_has_a_description():
    repository = build_defs().get_repository_def()
    checks = [spec for node in repository.assets_defs_by_key.values() for spec in node.check_specs]
    assert checks
    assert all(check.description for check in checks)
    assert all(job.description for job in repository.get_all_jobs() if not job.name.startswith("__"))


def test_a_test_swaps_a_model_in_one_line():
    mine = ModelResource(provider="openai", model="gpt-test")
    resources = build_defs(resources={"boost_llm": mine}).resources
    assert resources["boost_llm"] is mine
    assert resources["score_llm"].provider == "embedded"


@pytest.mark.parametrize(
    ("asset", "roles"),
    [
        ("annotations", [ANNOTATOR, VALIDATOR]),
        ("scores", [SCORER]),
        ("boosted", [BOOSTER, SCORER]),
        ("merged", [MERGER]),
        ("uncertainty", [ANNOTATOR, VALIDATOR]),
        ("symphony", [COMPARER]),
        ("hypotheses", [HYPOTHESIZER]),
    ],
)
def test_a_changed_prompt_or_knowledge_is_a_changed_code_version(specs, asset, roles):
    assert specs[asset].code_version == code_version(specs[asset].code_version.split()[0], *roles)
    assert all(role.template in specs[asset].code_version for role in roles)
    assert knowledge_version() in specs[asset].code_version


def test_a_changed_template_has_another_hash(monkeypatch):
    before = code_version("1", SCORER)
    role._template_hash.cache_clear()
    monkeypatch.setattr(role.hashlib, "sha256", lambda _: role.hashlib.md5(b"other", usedforsecurity=False))
    assert code_version("1", SCORER) != before
    role._template_hash.cache_clear()


def test_loading_the_definitions_imports_no_heavy_library():
    heavy = ["scanpy", "anndata", "litellm", "pandas", "scipy", "sklearn", "matplotlib", "pyarrow", "igraph"]
    code = (
        "import sys, json, cassia_dagster.definitions;"
        f"print(json.dumps([name for name in {heavy!r} if name in sys.modules]))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert json.loads(out.stdout) == []
