"""Which assets a changed prompt makes stale: those whose code version names it, and no other."""

import pytest

from cassia_dagster.agents import role
from cassia_dagster.agents.annotate import ANNOTATOR, ASKING_ANNOTATOR
from cassia_dagster.agents.boost import BOOSTER, CONCLUDING_BOOSTER
from cassia_dagster.agents.compare import COMPARER
from cassia_dagster.agents.hypothesize import HYPOTHESIZER
from cassia_dagster.agents.merge import MERGER
from cassia_dagster.agents.score import SCORER
from cassia_dagster.agents.validate import VALIDATOR
from cassia_dagster.definitions import build_defs

READERS = {
    ANNOTATOR: {"annotations", "uncertainty", "subclusters", "model_comparison"},
    ASKING_ANNOTATOR: {"annotations", "uncertainty", "subclusters", "model_comparison"},
    VALIDATOR: {"annotations", "uncertainty", "subclusters", "model_comparison"},
    SCORER: {"scores", "boosted", "subclusters", "model_comparison"},
    BOOSTER: {"boosted", "model_comparison"},
    CONCLUDING_BOOSTER: {"boosted", "model_comparison"},
    MERGER: {"merged"},
    COMPARER: {"symphony"},
    HYPOTHESIZER: {"hypotheses"},
}


@pytest.fixture(scope="module")
def versions():
    specs = build_defs().resolve_all_asset_specs()
    return {spec.key.to_user_string(): spec.code_version or "" for spec in specs}


@pytest.mark.parametrize("one", READERS, ids=lambda one: f"{one.name}-{one.reply.__name__}")
def test_a_changed_template_makes_exactly_the_assets_stale_that_use_it(versions, one):
    assert {asset for asset, version in versions.items() if one.template in version.split()} == READERS[one]


def test_every_template_belongs_to_a_role():
    folder = role.files("cassia_dagster.agents").joinpath("prompts")
    assert {file.name for file in folder.iterdir()} == {one._file for one in READERS}


@pytest.mark.parametrize("one", READERS, ids=lambda one: f"{one.name}-{one.reply.__name__}")
def test_a_template_stands_alone_so_that_its_hash_is_all_of_it(one):
    source = role.files("cassia_dagster.agents").joinpath("prompts", one._file).read_text()
    assert not [word for word in ("include", "import", "extends") if f"{{% {word}" in source]
