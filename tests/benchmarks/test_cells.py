"""Whole data sets, from what the product writes."""

import csv
from importlib.resources import files

from benchmarks.cells import HEADINGS, Sample, _run, rows_of


def test_a_file_that_is_refused_says_why_in_one_cell_of_the_table(tmp_path):
    file = tmp_path / "no|cells.h5ad"
    file.write_text("nothing")
    said = _run(file, Sample("human", "blood"), tmp_path)
    assert said.startswith("refused: Error: no/cells.h5ad cannot be read")
    assert "|" not in said
    assert str(tmp_path) not in said


def test_what_the_demo_wrote_is_compared_with_its_known_labels(demo):
    with (files("cassia_dagster") / "data" / "islets_labels.csv").open() as stream:
        terms = {row["label"]: row["cl_id"] for row in csv.DictReader(stream)}
    (line,) = rows_of("demo", demo.output / "demo", terms, ("0.4",))
    cells = dict(zip(HEADINGS, line.strip("| ").split(" | "), strict=True))
    assert (cells["data set"], cells["resolution"], cells["contradicted clusters"]) == ("demo", "0.4", "0")
    assert float(cells["hF1 by cluster"]) > 0.9
    assert cells["cells in lineage"] == "100%"
