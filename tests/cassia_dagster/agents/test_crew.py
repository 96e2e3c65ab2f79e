import threading

import pytest

from cassia_dagster.agents.crew import for_each


def test_results_keep_the_order_of_the_items():
    gate = threading.Event()

    def slow_first(number):
        if number == 0:
            gate.wait(10)
        else:
            gate.set()
        return number * 10

    assert for_each([0, 1, 2], slow_first, max_workers=2) == [0, 10, 20]


def test_the_first_error_stops_what_had_not_begun():
    begun = []

    def fail(number):
        begun.append(number)
        raise ValueError(number)

    with pytest.raises(ValueError, match="0"):
        for_each(range(1000), fail, max_workers=1)
    assert len(begun) < 1000


def test_no_items_are_no_work():
    assert for_each([], str, max_workers=3) == []
