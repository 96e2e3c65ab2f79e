import pandas as pd

from cassia_dagster.outputs.confusion import MOST_LABELS, NONE_GIVEN, OTHERS, confusion
from cassia_dagster.outputs.result import ResolutionResult


def test_every_cell_is_counted_once_and_agreement_lies_on_the_diagonal(
    blood: ResolutionResult, blood_cells: pd.DataFrame, blood_gold: pd.DataFrame
) -> None:
    table = confusion(blood, blood_cells["cluster"], blood_gold["author"])
    assert sum(map(sum, table.counts)) == len(blood_cells)
    named = [row for row, cluster in enumerate(table.clusters) if cluster != "T?"]
    homes = [table.counts[row].index(max(table.counts[row])) for row in named]
    assert homes == sorted(homes)
    assert table.labels[-1] == NONE_GIVEN
    assert table.shares(table.clusters.index("0"))[table.labels.index("Tc")] == 1


def test_rare_labels_beyond_what_fits_share_a_column(blood: ResolutionResult, blood_cells: pd.DataFrame) -> None:
    gold = pd.Series([f"type {place % 60}" for place in range(len(blood_cells))], index=blood_cells.index)
    table = confusion(blood, blood_cells["cluster"], gold)
    assert len(table.labels) == MOST_LABELS + 1
    assert table.labels[-1] == OTHERS
    assert sum(map(sum, table.counts)) == len(blood_cells)


def test_cells_are_matched_by_their_ids_and_not_by_their_order(
    blood: ResolutionResult, blood_cells: pd.DataFrame, blood_gold: pd.DataFrame
) -> None:
    straight = confusion(blood, blood_cells["cluster"], blood_gold["author"])
    assert confusion(blood, blood_cells["cluster"], blood_gold["author"][::-1]) == straight
