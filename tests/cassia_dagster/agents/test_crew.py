import threading
import time

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


def test_an_error_stops_what_had_not_begun_also_while_an_earlier_item_is_slow():
    begun = []
    failed = threading.Event()

    def work(number):
        begun.append(number)
        if number == 0:
            failed.wait(10)
            time.sleep(0.1)
        elif number == 1:
            failed.set()
            raise ValueError(number)
        else:
            time.sleep(0.05)

    with pytest.raises(ValueError, match="1"):
        for_each(range(1000), work, max_workers=2)
    assert len(begun) < 20


def test_no_items_are_no_work():
    assert for_each([], str, max_workers=3) == []
