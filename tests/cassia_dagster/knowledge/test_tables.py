from __future__ import annotations

from cassia_dagster.knowledge.tables import read_rows, versions


def test_comments_and_the_header_are_no_rows() -> None:
    first = next(read_rows("lineages.csv"))
    assert first[:2] == ["CL:0000542", "lymphocyte"]


def test_every_source_has_a_version() -> None:
    assert {"cell-ontology", "cellconsensus", "celltypepilot", "celltypist"} <= versions().keys()
