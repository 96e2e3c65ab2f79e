"""Models on a board: who is first, who agrees with whom, and who could not be asked."""

from dataclasses import replace

import pandas as pd
import pytest

from cassia_dagster.agents.embedded import EmbeddedBackend
from cassia_dagster.errors import ModelError
from cassia_dagster.evaluation.benchmark import score_given
from cassia_dagster.evaluation.cases import read_named_cases
from cassia_dagster.evaluation.leaderboard import Entrant, _place, rank, run_models
from cassia_dagster.llm.door import Door
from cassia_dagster.method import Doors
from cassia_dagster.outputs.leaderboard import answer_rows, board_rows, draw_board, write_board


def test_one_that_cannot_be_asked_stays_on_the_board_and_the_others_keep_their_results(cases, door, store):
    def no_key():
        raise ModelError("There is no key.")

    entrants = [Entrant("a/broken", no_key), Entrant("embedded", lambda: Doors.of(door))]
    board = run_models(cases, entrants, store)
    assert [(one.model, one.rank, one.reason) for one in board] == [
        ("embedded", 1, ""),
        ("a/broken", None, "There is no key."),
    ]
    assert board[0].summary.coverage == 1
    assert board[0].agreement is None
    assert (board[0].n_unanswered, board[0].cached_calls) == (0, 0)
    again = run_models(cases, entrants, store)[0]
    assert again.cached_calls == again.calls == board[0].calls
    assert again.answers == board[0].answers
    assert again.model_seconds == board[0].model_seconds > 0


def test_a_model_without_a_known_price_is_not_free_when_its_answers_are_used_again(cases, store):
    class Unpriced(EmbeddedBackend):
        def answer(self, question):
            return replace(super().answer(question), usd=None)

    entrants = [Entrant("unpriced", lambda: Doors.of(Door(Unpriced(), store)))]
    ((first,), (second,)) = (run_models(cases, entrants, store) for _ in range(2))
    assert second.cached_calls == second.calls
    assert first.unpriced_calls == second.unpriced_calls > 0
    assert first.usd_per_case is second.usd_per_case is None


def test_an_error_of_the_program_is_no_place_on_the_board(cases, store):
    def wrong():
        raise KeyError("a defect")

    with pytest.raises(KeyError):
        run_models(cases, [Entrant("defective", wrong)], store)


def test_the_better_comes_first_and_agreement_is_that_of_the_labels(cases):
    good, bad = (_place(score_given(cases, column)) for column in ("good", "bad"))
    board = rank([bad, good])
    assert [(one.model, one.rank) for one in board] == [("good", 1), ("bad", 2)]
    # Of four cases one label is the same in both (1), one is missing in one of them (0), one is of another lineage,
    # and one, whose gold label is no term, is called the same.
    assert board[0].agreement == board[1].agreement
    assert 0.5 <= board[0].agreement < 0.75


def test_the_cases_that_come_with_the_package_are_named_by_a_word():
    cases = read_named_cases("shipped")
    assert len(cases) == 13
    assert all(case.gold_id for case in cases)


def test_tables_are_inert_and_a_name_with_signs_of_formulas_can_be_drawn(cases, tmp_path):
    place = _place(score_given(cases, "good")).model_copy(update={"model": "=cmd()/$x_{^$"})
    paths = write_board(rank([place, _place(score_given(cases, "bad"))]), tmp_path, "islets_model_comparison")
    board = pd.read_csv(paths["leaderboard"])
    assert board["model"].tolist() == ["'=cmd()/$x_{^$", "bad"]
    assert board["mean_hf1"].is_monotonic_decreasing
    answers = pd.read_csv(paths["answers"])
    assert answers["gold_label"].tolist() == [case.gold_label for case in cases]
    assert paths["plot"].read_bytes().startswith(b"\x89PNG")


def test_a_picture_shows_free_priced_and_unpriced_models(cases):
    free = _place(score_given(cases, "good"))
    priced = free.model_copy(update={"model": "priced", "usd_when_bought": 0.4})
    unknown = free.model_copy(update={"model": "unknown", "unpriced_calls": 3})
    assert (free.usd_per_case, priced.usd_per_case, unknown.usd_per_case) == (0.0, 0.1, None)
    assert draw_board([free]) != draw_board([free, priced, unknown])
    assert len(board_rows([free, priced])) == 2
    assert answer_rows([]) == []


def test_cases_without_a_reply_are_counted_and_named(cases, store):
    class Silent(EmbeddedBackend):
        def answer(self, question):
            from cassia_dagster.llm.errors import Rejected

            if question.subject.endswith("/2"):
                raise Rejected("Too long.")
            return super().answer(question)

    (place,) = run_models(cases, [Entrant("silent", lambda: Doors.of(Door(Silent(), store)))], store)
    assert (place.rank, place.n_unanswered, place.reason) == (1, 1, "Too long.")
    assert place.summary.coverage < 1
