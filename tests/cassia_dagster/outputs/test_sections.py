import pandas as pd
from anndata import AnnData

from cassia_dagster.evaluation.agreement import compare_with_gold
from cassia_dagster.outputs.maps import draw_maps
from cassia_dagster.outputs.result import ResolutionResult
from cassia_dagster.outputs.sections import Section, sections_of


def anchors(found: list[Section]) -> list[str]:
    return [section.anchor for section in found]


def test_sections_follow_a_reader_from_the_summary_to_the_fine_print(
    blood: ResolutionResult, blood_cells: pd.DataFrame, blood_gold: pd.DataFrame, blood_expression: AnnData
) -> None:
    clusters = blood_cells["cluster"].tolist()
    agreement = compare_with_gold({row.cluster: None for row in blood.clusters}, clusters, clusters, {})
    more = [Section("more", "More", "more.html.j2")]
    found = sections_of(blood, blood_cells, blood_gold, {"author": agreement}, blood_expression, (), more)
    assert " ".join(anchors(found)) == ("summary map clusters dots groups agreement more each spending downloads about")


def test_maps_that_were_drawn_already_are_not_drawn_again(blood: ResolutionResult, blood_cells: pd.DataFrame) -> None:
    maps = draw_maps(blood, blood_cells)[:1]
    found = sections_of(blood, blood_cells, None, {}, None, (), (), maps)
    assert [section.value for section in found if section.anchor == "map"] == [maps]


def test_there_is_no_section_about_what_is_not_known(blood: ResolutionResult) -> None:
    found = sections_of(blood, None, None, {}, None, (), ())
    assert anchors(found) == ["summary", "clusters", "groups", "each", "spending", "downloads", "about"]
