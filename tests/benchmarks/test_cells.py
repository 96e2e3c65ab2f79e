"""Whole data sets, from what the product writes."""

import csv
from importlib.resources import files

import pandas as pd
import pytest

from benchmarks.cells import (
    Sample,
    _run,
    compare_output,
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
