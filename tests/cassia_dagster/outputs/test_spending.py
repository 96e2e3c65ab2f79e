from dataclasses import replace

import pytest

from cassia_dagster.llm.ledger import Call
from cassia_dagster.outputs.spending import spending

PAID = Call(
    id=1,
    run="run",
    host="host",
    process="1",
    started=0.0,
    seconds=1.5,
    state="done",
    attempt=1,
    role="annotate",
    subject="blood/0.4/0",
    template="annotate.v1@0",
    replicate=0,
    key="key",
    provider_name="openai",
    request_model="gpt-4o",
    response_model="gpt-4o-2",
    finish_reason="stop",
    input_tokens=1000,
    output_tokens=100,
    cache_read_input_tokens=0,
    reasoning_output_tokens=0,
    usd=0.01,
    error_type=None,
    error_message=None,
    lane=None,
    expires=None,
    reserved_tokens=0,
    reserved_usd=None,
)


def test_calls_are_summed_by_role_and_model_in_the_order_of_speaking() -> None:
    cached = replace(PAID, state="cached", attempt=0, input_tokens=0, output_tokens=0, usd=None, seconds=None)
    failed = replace(PAID, state="failed", usd=None)
    first, second, third = spending(
        [replace(PAID, role="score"), PAID, cached, failed, replace(PAID, role="score", request_model="o3")]
    )
    assert [(one.role, one.model) for one in (first, second, third)] == [
        ("annotate", "openai/gpt-4o"),
        ("score", "openai/gpt-4o"),
        ("score", "openai/o3"),
    ]
    assert (first.paid, first.cached, first.failed, first.unpriced) == (2, 1, 1, 1)
    assert (first.input_tokens, first.output_tokens, first.seconds) == (2000, 200, 3.0)
    assert first.usd == pytest.approx(0.01)


def test_a_role_of_which_nothing_is_known_comes_last() -> None:
    assert [one.role for one in spending([replace(PAID, role="abacus"), replace(PAID, role="merge")])] == [
        "merge",
        "abacus",
    ]
