"""Tests of the shared store on a real PostgreSQL server: it keeps the promises that the file keeps."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from cassia_dagster.errors import ConfigurationError
from cassia_dagster.llm.door import Door
from cassia_dagster.llm.errors import BudgetExhausted
from cassia_dagster.llm.question import Question
from cassia_dagster.llm.store import Limits, Store
from tests.cassia_dagster.llm.conftest import BETA_CELL, Script
from tests.cassia_dagster.llm.test_budget import COST, Priced


def test_a_reply_is_bought_once_and_known_to_the_next_process(postgres: str, question: Question[Any]) -> None:
    with Store.open(postgres, run="first") as store:
        answer = Door(Script(BETA_CELL), store).ask(question)
        assert not answer.cached
    with Store.open(postgres, run="second") as store:
        answer = Door(Script(), store).ask(question)
        assert answer.cached
        assert [(call.run, call.state) for call in store.calls()] == [("first", "done"), ("second", "cached")]
        totals = store.totals()
        assert (totals.calls, totals.cached, totals.failed) == (1, 1, 0)
        (holding,) = store.replies.holdings()
        assert holding.replies == 1


def test_twenty_calls_at_once_from_two_stores_stay_within_the_budget(postgres: str, question: Question[Any]) -> None:
    backend = Priced(BETA_CELL)

    def ask(number: int) -> bool:
        with Store.open(postgres, run="run", limits=Limits(usd_per_run=5.5 * COST)) as store:
            try:
                Door(backend, store).ask(replace(question, user=f"cluster {number}"))
            except BudgetExhausted:
                return False
            return True

    with ThreadPoolExecutor(20) as threads:
        asked = list(threads.map(ask, range(20)))
    with Store.open(postgres) as store:
        totals = store.totals(run="run")
    assert totals.usd <= 5.5 * COST
    assert 1 <= sum(asked) == totals.calls == backend.calls < 6


def test_replies_are_forgotten_and_the_account_stays(postgres: str, question: Question[Any]) -> None:
    with Store.open(postgres) as store:
        Door(Script(BETA_CELL), store).ask(question)
        assert store.replies.count() == 1
        store.replies.clear()
        assert store.replies.count() == 0
        assert store.totals().calls == 1


def test_what_fails_inside_a_transaction_never_happened(postgres: str, question: Question[Any]) -> None:
    with Store.open(postgres) as store:
        Door(Script(BETA_CELL), store).ask(question)

        def break_off() -> None:
            with store.transaction():
                store.replies.clear()
                raise RuntimeError("killed")

        with pytest.raises(RuntimeError, match="killed"):
            break_off()
        assert store.replies.count() == 1


def test_a_text_with_a_nul_is_kept_without_it(postgres: str, question: Question[Any]) -> None:
    with Store.open(postgres) as store:
        with pytest.raises(ValueError, match="bad"):
            Door(Script(ValueError("bad\0 reply")), store).ask(question)
        (call,) = store.calls()
        assert (call.state, call.error_message) == ("failed", "bad\ufffd reply")


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigurationError, match="PGPASSWORD") as refused:
        Store.open("postgresql://cassia:s3cret@127.0.0.1/cassia")
    assert "s3cret" not in str(refused.value)


def test_a_server_that_is_not_there_is_named_with_the_way_out() -> None:
    pytest.importorskip("psycopg2", reason="psycopg2 is not installed: uv sync --extra postgres")
    with pytest.raises(ConfigurationError, match=r"cannot be opened.*CASSIA_MODEL_STORE"):
        Store.open("postgresql://cassia@127.0.0.1:1/cassia")


def test_a_store_of_a_newer_version_is_refused(postgres: str) -> None:
    with Store.open(postgres) as store:
        store._database.run("INSERT INTO schema_version VALUES (99)")
    with pytest.raises(ConfigurationError, match="schema version 99"):
        Store.open(postgres)
