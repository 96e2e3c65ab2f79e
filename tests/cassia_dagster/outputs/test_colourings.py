import pandas as pd

from cassia_dagster.outputs import palette
from cassia_dagster.outputs.colourings import NOT_GIVEN, colourings
from cassia_dagster.outputs.result import ResolutionResult


def test_cells_are_coloured_by_cluster_by_label_and_by_each_given_label(
    blood: ResolutionResult, blood_cells: pd.DataFrame, blood_gold: pd.DataFrame
) -> None:
    by_cluster, by_label, by_author = colourings(blood, blood_cells, blood_gold)
    assert [one.title for one in (by_cluster, by_label, by_author)] == [
        "Cells by cluster",
        "Cells by label",
        "Cells by author",
    ]
    for one in (by_cluster, by_label, by_author):
        assert set(one.of_cell) == set(one.colours) == set(one.keys) == set(one.lines)
        assert one.of_cell.index.equals(blood_cells.index)


def test_what_has_no_name_is_grey_and_nothing_else_is(
    blood: ResolutionResult, blood_cells: pd.DataFrame, blood_gold: pd.DataFrame
) -> None:
    _, by_label, by_author = colourings(blood, blood_cells, blood_gold)
    grey = [
        [name for name, colour in one.colours.items() if colour == palette.NEUTRAL] for one in (by_label, by_author)
    ]
    assert grey == [["unresolved"], [NOT_GIVEN]]
