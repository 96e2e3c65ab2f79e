"""Whole data sets, from what the product writes."""

import csv
from importlib.resources import files

from benchmarks.cells import CLUSTERING_HEADINGS, LABEL_HEADINGS, Sample, _run, rows_of


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
    (lines,) = rows_of("demo", demo.output / "demo", terms, ("0.4",))
    said = dict(zip(LABEL_HEADINGS, lines.labels.strip("| ").split(" | "), strict=True))
    assert (said["data set"], said["resolution"], said["contradicted clusters"]) == ("demo", "0.4", "0")
    assert said["cells in lineage"] == "100%"
    measured = dict(zip(CLUSTERING_HEADINGS, lines.clustering.strip("| ").split(" | "), strict=True))
    assert float(measured["hF1 by cluster"]) > 0.9
