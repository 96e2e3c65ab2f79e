"""Tests of when and how a question is put again."""

import pytest

from cassia_dagster.llm.backend import RawReply, Take
from cassia_dagster.llm.errors import CutShort, InvalidReply, Refused, Rejected, Unavailable, UnusableReply
from cassia_dagster.llm.retry import LONGEST_PAUSE, MOST_WAITS, next_take, pause_before

INVALID = InvalidReply("not what was asked for", RawReply("{}", "stop", "m"), complaint="subtypes: missing")


def test_a_reply_that_was_cut_gets_twice_the_room_once() -> None:
    again = next_take(Take(), CutShort("cut"))
    assert again == Take(attempt=2, room=2)
    assert next_take(again, CutShort("cut")) is None


def test_an_invalid_reply_is_shown_to_the_model_with_the_complaint_once() -> None:
    again = next_take(Take(), INVALID)
    assert again == Take(attempt=2, rejected="{}", complaint="subtypes: missing")
    assert next_take(again, INVALID) is None


@pytest.mark.parametrize("error", [Refused("no"), Rejected("too long")])
def test_what_would_fail_again_is_not_asked_again(error: UnusableReply) -> None:
    assert next_take(Take(), error) is None


def test_no_order_of_failures_goes_on_for_ever() -> None:
    failures = [Unavailable("busy"), CutShort("cut"), INVALID]
    open_takes = [Take()]
    for _ in range(MOST_WAITS + 2):
        open_takes = [again for take in open_takes for error in failures if (again := next_take(take, error))]
        assert open_takes
    assert not [take for take in open_takes for error in failures if next_take(take, error)]


def test_a_provider_is_left_alone_for_as_long_as_it_asked() -> None:
    error = Unavailable("busy", retry_after=30)
    again = next_take(Take(), error)
    assert again is not None
    assert pause_before(again, error) == 30


def test_a_provider_that_asks_for_too_long_a_pause_is_given_up_on() -> None:
    assert next_take(Take(), Unavailable("come back tomorrow", retry_after=LONGEST_PAUSE + 1)) is None


def test_pauses_grow() -> None:
    error = Unavailable("busy")
    assert 0.5 <= pause_before(Take(waits=1), error) <= 1.5
    assert 2.0 <= pause_before(Take(waits=3), error) <= 6.0
    assert pause_before(Take(room=2), CutShort("cut")) == 0
