"""A repetition is a question of its own; the first is the question as it is always asked."""

from cassia_dagster.llm.door import Door
from cassia_dagster.llm.repetition import Repetition


def test_each_repetition_is_bought_once(store, script, question, beta_cell) -> None:
    backend = script(beta_cell, beta_cell)
    door = Door(backend, store)
    for replicate in (0, 1, 0, 1):
        Repetition(door, replicate).ask(question)
    assert len(backend.takes) == 2
    assert [(call.replicate, call.state) for call in store.calls()] == [
        (0, "done"),
        (1, "done"),
        (0, "cached"),
        (1, "cached"),
    ]


def test_the_first_is_what_was_asked_without_repetition(store, script, question, beta_cell) -> None:
    door = Door(script(beta_cell), store)
    bought = door.ask(question)
    assert Repetition(door, 0).ask(question).cached
    assert Repetition(door, 0).ask(question).key == bought.key
