"""Tests of the values that go through the door."""

from cassia_dagster.llm.question import Usage


def test_the_usage_of_several_calls_adds_up() -> None:
    assert sum([Usage(100, 20, 60, 5), Usage(1, 2, 3, 4)], Usage()) == Usage(101, 22, 63, 9)
