"""Whole data sets, from what the product writes."""

import csv
from importlib.resources import files

import pandas as pd
import pytest

from benchmarks.cells import (
    Sample,
    _run,
    compare_output,
    table_of_bars,
    table_of_clusterings,
    table_of_labels,
    table_of_totals,
)
from cassia_dagster.evaluation.agreement import compare_with_gold


def test_a_file_that_is_refused_says_why_in_one_cell_of_the_table(tmp_path):
    file = tmp_path / "no|cells.h5ad"
    file.write_text("nothing")
    said = _run(file, Sample("human", "blood"), tmp_path)
    assert said.startswith("refused: Error: no/cells.h5ad cannot be read")
    assert "|" not in said
    assert str(tmp_path) not in said


@pytest.fixture(scope="module")
def measured(demo):
    with (files("cassia_dagster") / "data" / "islets_labels.csv").open() as stream:
        terms = {row["label"]: row["cl_id"] for row in csv.DictReader(stream)}
    return compare_output("demo", demo.output / "demo", terms, ("0.4", "0.8"))


def read_rows(table):
    head, _, *rows = (line.strip("| ").split(" | ") for line in table.splitlines())
    return [dict(zip(head, row, strict=True)) for row in rows]


def test_what_the_demo_wrote_is_compared_with_its_known_labels(measured):
    said, other = read_rows(table_of_labels(measured))
    assert (said["data set"], said["resolution"], said["contradicted clusters"]) == ("demo", "0.4", "0")
    assert said["cells in lineage"] == "100%"
    assert sorted((said["recommended"].strip(), other["recommended"].strip())) == ["", "yes"]
    assert float(read_rows(table_of_clusterings(measured))[0]["hF1 by cluster"]) > 0.9


def test_all_sets_are_counted_cell_by_cell_each_at_its_recommended_resolution(measured):
    few = measured[0]._replace(
        name="other",
        recommended=True,
        agreement=compare_with_gold({"0": "CL:0000236"}, ["0"] * 1065, ["T"] * 1065, {"T": "CL:0000084"}),
        scores=pd.Series({"0": 80.0}),
    )
    recommended, coarse, fine = read_rows(table_of_totals([*measured, few]))
    assert (recommended["sets"], recommended["cells"]) == ("2", "2,130")
    # Every islet cell is in a cluster of its lineage, and none of the others.
    assert (recommended["cells in lineage"], recommended["contradicted clusters"]) == ("50%", "1")
    assert (coarse["resolution"], fine["resolution"], fine["sets"]) == ("0.4", "0.8", "1")


def test_cells_that_are_in_two_sets_are_counted_once(measured):
    part = measured[0]._replace(name="pancreas_baron_demo", recommended=True)
    assert read_rows(table_of_totals([*measured, part])) == read_rows(table_of_totals(measured))


def held(measured, labels, clusters, gold, scores):
    ids = {"T": "CL:0000084", "CD4": "CL:0000624", "CD8": "CL:0000625"}
    one = measured[0]._replace(
        agreement=compare_with_gold(labels, list(clusters), gold, ids), scores=pd.Series(scores, dtype=float)
    )
    # Two pairs of columns have the same heading: all clusters, and those above the floor.
    return [cell.strip() for cell in table_of_bars([one]).splitlines()[2].strip("|").split("|")]


def test_bars_are_held_by_all_clusters_and_by_those_above_the_purity_floor(measured):
    """The cluster of T cells is half CD4 and half CD8: its label is right for neither, and cannot be."""
    gold = ["T"] * 4 + ["CD4"] * 3 + ["CD8"] * 3
    cells = held(measured, {"0": "CL:0000084", "1": "CL:0000084"}, "0000111111", gold, {"0": 80, "1": 90})
    _, _, _, in_lineage, right, above, in_lineage_above, right_above, high = cells
    assert (in_lineage, right) == ("100%, met", "40%, **missed**")
    assert (above, in_lineage_above, right_above) == ("40%", "100%, met", "100%, met")
    assert high == "1 of 1, met"


def test_half_of_the_right_labels_must_score_high(measured):
    cells = held(
        measured, {"0": "CL:0000624", "1": "CL:0000625"}, "0011", ["CD4"] * 2 + ["CD8"] * 2, {"0": 74, "1": 90}
    )
    assert cells[-1] == "1 of 2, met"
    cells = held(
        measured, {"0": "CL:0000624", "1": "CL:0000625"}, "0011", ["CD4"] * 2 + ["CD8"] * 2, {"0": 74, "1": 60}
    )
    assert cells[-1] == "0 of 2, **missed**"


def test_no_label_of_cells_without_a_normal_type_may_score_high(measured):
    one = measured[0]._replace(agreement=compare_with_gold({"0": None}, ["0"], ["A549"], {}))
    for scores, said in ((70.0, "0 of 1 labels, met"), (75.0, "1 of 1 labels, **missed**")):
        row = table_of_bars([one._replace(scores=pd.Series({"0": scores}))]).splitlines()[2]
        assert row.endswith(f"| {said} |")
