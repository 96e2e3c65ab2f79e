"""Tests of the content address, and of the table of replies."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from cassia_dagster.llm.backend import JSON, RawReply
from cassia_dagster.llm.cache import canonical_json, question_key
from cassia_dagster.llm.door import Question
from cassia_dagster.llm.question import Usage
from cassia_dagster.llm.store import Store
from cassia_dagster.records import Annotation, Verdict

KEY_IN_ANOTHER_PROCESS = """
from cassia_dagster.llm.cache import question_key
from cassia_dagster.llm.door import Question
from cassia_dagster.records import Annotation, Verdict

question = Question("annotate", "s", Verdict(accepted=True, reasons=""), "", "", Annotation, "t")
identity = {"model": "m", "genes": ["INS", "Pecam1"], "parameters": {"seed": 1, "über": 0.5}}
print(question_key(question, dict(ORDER(identity.items()))))
"""


def test_a_key_is_the_same_in_every_process_and_for_every_order_of_a_dict() -> None:
    keys = {
        subprocess.run(
            [sys.executable, "-c", KEY_IN_ANOTHER_PROCESS.replace("ORDER", order)],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, order in [("1", "list"), ("2", "reversed"), ("random", "sorted")]
    }
    assert len(keys) == 1
    assert len(keys.pop().strip()) == 64


def test_a_key_depends_on_what_decides_the_answer_and_on_nothing_else(question: Question[Annotation]) -> None:
    identity: dict[str, JSON] = {"model": "m"}
    key = question_key(question, identity)
    assert question_key(replace(question, subject="other/1.0/0", template="annotate.v1@000000"), identity) == key
    others = {
        question_key(question, {"model": "n"}),
        question_key(replace(question, role="validate"), identity),
        question_key(replace(question, replicate=1), identity),
        question_key(replace(question, reply_type=Verdict), identity),  # type: ignore[arg-type]
    }
    assert len(others | {key}) == 5


def test_json_has_one_spelling() -> None:
    assert canonical_json({"b": [1, 2.5, None], "a": "β"}) == '{"a":"β","b":[1,2.5,null]}'


def test_a_number_that_json_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        canonical_json({"avg_log2FC": float("nan")})


def test_a_stored_reply_comes_back_with_what_it_took(store: Store) -> None:
    raw = RawReply("{}", "stop", "gpt-4.1-2025-04-14", Usage(100, 20, 60, 5), usd=0.25)
    store.replies.keep("key", "{}", raw, provider="openai", model="gpt-4.1")
    kept = store.replies.find("key")
    assert kept is not None
    assert (kept.text, kept.model, kept.usage, kept.usd) == ("{}", raw.model, raw.usage, 0.25)


def test_the_first_of_two_replies_to_a_question_stays(store: Store) -> None:
    for text in ("first", "second"):
        kept = store.replies.keep("key", text, RawReply(text, "stop", "m"), provider="p", model="m")
        assert kept.text == "first"


def test_a_reply_of_unknown_price_stays_of_unknown_price(store: Store) -> None:
    assert store.replies.keep("key", "{}", RawReply("{}", "stop", "m"), provider="p", model="m").usd is None
