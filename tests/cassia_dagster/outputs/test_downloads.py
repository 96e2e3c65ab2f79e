import io
import json

import pandas as pd

from cassia_dagster.outputs.downloads import downloads_of
from cassia_dagster.outputs.result import ResolutionResult
from cassia_dagster.outputs.tables import write_tables
from tests.cassia_dagster.outputs.hostile import poisoned


def test_tables_are_those_that_lie_beside_the_report(blood: ResolutionResult, tmp_path) -> None:
    files = {path.name: path.read_bytes() for path in write_tables(blood, tmp_path, "blood").values()}
    tables = [one for one in downloads_of(blood) if one.name.endswith(".csv")]
    assert [one.name for one in tables] == ["blood_summary.csv", "blood_scored.csv"]
    for one in tables:
        assert one.text.encode() == files[one.name]


def test_json_has_all_records_but_the_conversations(blood: ResolutionResult) -> None:
    (text,) = [one.text for one in downloads_of(blood) if one.name == "blood.json"]
    found = json.loads(text)
    assert [row["annotated"]["cluster"] for row in found["clusters"]] == ["0", "2", "3", "10", "T?"]
    assert found["clusters"][1]["boosted"]["rounds"][0]["lookups"][0]["gene"] == "JCHAIN"
    assert "What is it?" not in text


def test_no_cell_of_a_table_is_a_formula(blood: ResolutionResult) -> None:
    evil = poisoned(blood, text="", before="=cmd|' /C calc'!A0")
    table = pd.read_csv(io.StringIO(downloads_of(evil)[0].text), dtype=str)
    assert not table.map(lambda cell: isinstance(cell, str) and cell.startswith("=")).any().any()
