"""The section about models that were compared: a board, a picture, and what each called each case."""

import math
from functools import cache

import pytest

from cassia_dagster.evaluation.benchmark import score_given
from cassia_dagster.evaluation.cases import SHIPPED, read_named_cases
from cassia_dagster.evaluation.leaderboard import _absent, _place, digest_of, rank
from cassia_dagster.outputs.analyses import analysis_sections
from cassia_dagster.outputs.cost_plot import APART, CASES, LEAST_STEP, plot_cost
from cassia_dagster.outputs.report import render_report
from tests.cassia_dagster.outputs.hostile import HOSTILE


@cache
def compared(text="", **said):
    """Compare models: a board of three that answered, and one that could not be asked."""
    shipped = read_named_cases(SHIPPED)
    cases = [
        one.model_copy(
            update={
                "given": {
                    "right": one.gold_label,
                    "beta": "type B pancreatic cell",
                    "free": one.gold_label if number % 2 else f"acinar cell{text}",
                },
                "gold_label": f"{one.gold_label}{text}",
            }
        )
        for number, one in enumerate(shipped)
    ]
    priced = {"right": {"usd_when_bought": 0.4}, "beta": {"usd_when_bought": 0.0, "unpriced_calls": 3}, "free": {}}
    board = [
        _place(score_given(cases, column)).model_copy(update={**more, "model": f"openai/{column}{text}"})
        for column, more in priced.items()
    ]
    board[1] = board[1].model_copy(update={"n_unanswered": 2, "reason": f"Too long.{text}"})
    failed = _absent(f"openai/none{text}", f"There is no key.{text}", 0.0, 0)
    return tuple(one.model_copy(update={"cases_from": SHIPPED} | said) for one in rank([*board, failed]))


def best(**said):
    """The first of them, with something else said of it."""
    return compared()[0].model_copy(update=said)


def test_a_board_shows_every_model_with_its_price_or_why_it_has_no_place(page):
    text = page("model_comparison", *compared())
    assert "openai/right comes first, with a mean hierarchical F1 of 1.00 over 13 cases" in text
    assert "those that come with the package" in text
    assert "1 openai/right 1.00 1.00\N{EN DASH}1.00 100 % 100 % 0 % 100 %" in text
    assert "$0.4000" in text
    assert "openai/beta 2 without an answer: Too long." in text
    assert "price unknown" in text
    assert "\N{EN DASH} openai/none no answer There is no key." in text
    assert "What each model called each case" in text


def test_a_board_says_whose_cases_it_is_about(page):
    assert "those of the file gold.csv" in page("model_comparison", *compared(cases_from="gold.csv"))
    text = page("model_comparison", *compared(cases_from="", clusters="x"))
    assert "the clusters of this report most of whose cells have one known label" in text


def test_one_model_is_no_picture_and_none_that_answered_no_table_of_answers(page):
    *_, failed = compared()
    text = page("model_comparison", best())
    assert "comes to a mean hierarchical F1 of 1.00" in text
    assert "price of 100 clusters" not in text
    text = page("model_comparison", failed)
    assert text.startswith("Models No model gave a usable answer.")
    assert "called each" not in text


def test_models_that_so_few_cases_do_not_tell_apart_are_named(page):
    first, second, *_ = compared()
    text = page("model_comparison", first, best(model="openai/twin", rank=2), second)
    assert "Its interval and that of openai/twin overlap" in text


def test_of_very_many_cases_the_answers_are_in_the_table_beside_the_report(page):
    text = page("model_comparison", best(answers=best().answers * 8))
    assert "each of the 104 cases is in blood_model_comparison_answers.csv" in text


def test_a_board_is_about_the_clusters_that_were_named_or_about_none_of_the_dataset(blood):
    clusters = {row.cluster: row for row in blood.clusters}
    cells = {cluster: row.annotated.cells for cluster, row in clusters.items()}
    ours = best(cases_from="", clusters=digest_of(cells))
    assert ours.is_about(clusters)
    assert not ours.is_about({one: row for one, row in clusters.items() if one != "0"})
    assert not best(cases_from="", clusters=digest_of(cells | {"0": "other cells"})).is_about(clusters)
    assert best(clusters="").is_about({})


def plot_of(*prices):
    """Draw models of these prices for a hundred clusters; of None it is unknown. Each is called by its number."""
    n_cases = len(best().answers)
    return plot_cost(
        [
            best(
                model=str(number),
                usd_when_bought=(price or 0.0) * n_cases / CASES,
                unpriced_calls=int(price is None),
            )
            for number, price in enumerate(prices)
        ]
    )


def test_free_models_stand_left_of_priced_ones_and_those_of_unknown_price_right():
    plot = plot_of(None, 0.0, 0.1, 100.0, 100.0)
    assert [dot.place.model for dot in plot.dots] == ["1", "2", "3", "4", "0"]
    assert [dot.priced for dot in plot.dots] == [True, True, True, True, False]
    assert all(right.x - left.x >= APART for left, right in zip(plot.dots, plot.dots[1:], strict=False))
    assert {tick.text for tick in plot.across} >= {"free", "$0.10", "$100", "unknown"}
    assert plot.dots[-1].x < plot.right < plot.width


def test_a_picture_of_many_models_of_one_price_is_as_wide_as_they_need():
    plot = plot_of(*[1.0] * 30)
    assert len({dot.x for dot in plot.dots}) == 30
    assert plot.dots[-1].x < plot.right < plot.width


def test_nearly_equal_prices_stand_near_each_other_in_the_middle():
    near, far = plot_of(1.0, 1.3), plot_of(1.0, 10.0)
    (one, other), (low, high) = ([dot.x for dot in plot.dots] for plot in (near, far))
    assert (one + other) / 2 == pytest.approx((low + high) / 2)
    assert (other - one) / (high - low) == pytest.approx(math.log10(1.3))
    written = sorted((tick.at, tick.text) for tick in near.across)
    assert len(written) > 1, "one price alone is no scale"
    assert near.left <= written[0][0] < written[-1][0] <= near.right


@pytest.mark.parametrize(
    ("price", "text"),
    [
        (0.015, "$0.015"),
        (0.01, "$0.01"),
        (0.0000149, "$0.000015"),
        (0.0996, "$0.10"),
        (0.1, "$0.10"),
        (1.456, "$1.46"),
        (20, "$20"),
        (1234, "$1,234"),
    ],
)
def test_a_price_is_written_with_two_digits_and_no_exponent(price, text):
    assert text in {tick.text for tick in plot_of(price).across}


@pytest.mark.parametrize("n_free", [1, 4, 12])
def test_free_models_leave_the_others_where_their_prices_are(n_free):
    plot = plot_of(*[0.0] * n_free, 1.0, 100.0)
    at = {tick.text: tick.at for tick in plot.across}
    *free, cheap, dear = (dot.x for dot in plot.dots)
    assert (cheap, dear) == pytest.approx((at["$1"], at["$100"]))
    assert cheap - free[-1] >= LEAST_STEP
    assert dear < plot.right < plot.width
    assert plot_of(*[0.0] * 2).width == plot_of(0.0).width, "nothing follows them"


@pytest.mark.parametrize(("n_models", "said"), [(1, {}), (4, {"cases_from": HOSTILE})])
def test_no_text_of_a_board_is_markup(blood, n_models, said):
    board = compared(HOSTILE, **said)[:n_models]
    html = render_report(blood, None, more=analysis_sections({"model_comparison": board}))
    assert HOSTILE not in html
    assert "<img" not in html
