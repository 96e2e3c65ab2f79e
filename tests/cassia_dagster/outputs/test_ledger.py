"""Tests of the ledger as a file."""

from pathlib import Path

import pyarrow.parquet as pq

from cassia_dagster.llm.ledger import Call
from cassia_dagster.llm.store import Store
from cassia_dagster.outputs.ledger import write_ledger


def test_a_ledger_without_a_row_has_its_columns_and_their_types(tmp_path: Path) -> None:
    assert write_ledger([], tmp_path / "ledger.parquet") == 0
    schema = pq.read_schema(tmp_path / "ledger.parquet")
    assert schema.names == [*Call.__dataclass_fields__]
    assert {str(schema.field(name).type) for name in ("input_tokens", "usd", "error_message")} == {
        "int64",
        "double",
        "string",
    }


def test_what_a_row_does_not_know_stays_unknown(tmp_path: Path) -> None:
    with Store.open(tmp_path / "models.sqlite") as store:
        store._database.run(
            "INSERT INTO calls (run, host, process, started, state, attempt, role, subject, template, replicate, key,"
            " provider_name, request_model) VALUES ('r', 'h', 'p', 1, 'lost', 1, 'score', 's', 't', 0, 'k', 'p', 'm')"
        )
        assert write_ledger(store.calls(), tmp_path / "ledger.parquet") == 1
    (row,) = pq.read_table(tmp_path / "ledger.parquet").to_pylist()
    assert (row["state"], row["usd"], row["response_model"], row["input_tokens"]) == ("lost", None, None, 0)
