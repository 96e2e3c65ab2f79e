import pytest

from cassia_dagster.outputs.plotting import BUNDLE, LICENSES, build

pytestmark = pytest.mark.skipif(
    not (build.HERE / "node_modules").exists(),
    reason="ECharts is not installed: npm ci --prefix cassia_dagster/outputs/plotting",
)


def test_the_plotting_library_in_the_report_is_what_its_makers_published() -> None:
    assert build.bundle() == BUNDLE.read_text(encoding="utf-8")


def test_the_licences_are_those_that_came_with_it() -> None:
    assert build.licenses() == LICENSES.read_text(encoding="utf-8")


def test_it_can_stand_in_a_page_and_makes_no_code_of_text() -> None:
    script = BUNDLE.read_text(encoding="utf-8")
    assert script.isascii()
    for dangerous in ("</script", "<!--", "eval(", "new Function"):
        assert dangerous not in script
