from enum import StrEnum

import pytest

from cassia_dagster.knowledge.ontology import Relation
from cassia_dagster.outputs import words
from cassia_dagster.outputs.result import ResolutionResult
from cassia_dagster.records import BoostOutcome, Expression, Finding, Status, Unresolved


@pytest.mark.parametrize(
    ("codes", "spoken"),
    [
        (Finding, words.FINDING_TEXTS),
        (Status, words.STATUSES),
        (Unresolved, words.UNRESOLVED_REASONS),
        (BoostOutcome, words.OUTCOMES),
        (Expression, words.EXPRESSIONS),
        (Relation, words.RELATIONS),
    ],
)
def test_every_code_has_words(codes: type[StrEnum], spoken: dict[StrEnum, str]) -> None:
    assert set(codes) == set(spoken)


def test_the_summary_tells_what_became_of_every_cluster(blood: ResolutionResult) -> None:
    assert words.summarise(blood) == (
        "3 of 5 clusters were named. Cluster T? stayed unresolved. "
        "Cluster 3 got no label (budget exhausted). "
        "Cluster 10 (72.5) scored below 75 and should be looked at first. "
        "Marker knowledge raises doubts about cluster 10. A second look changed the label of cluster 2."
    )


def test_only_a_term_of_the_cell_ontology_gets_a_page() -> None:
    assert words.ontology_url("CL:0000084") == "https://purl.obolibrary.org/obo/CL_0000084"
    assert words.ontology_url("CL:1/../../evil") is None
    assert words.ontology_url(None) is None


@pytest.mark.parametrize(
    ("value", "written"), [(0, "< 10⁻³⁰⁰"), (3.21e-45, "3.2 × 10⁻⁴⁵"), (0.04321, "0.043"), (1, "1")]
)
def test_a_p_value_is_written_for_people(value: float, written: str) -> None:
    assert words.scientific(value) == written


@pytest.mark.parametrize(
    ("usd", "written"), [(None, "price unknown"), (0, "no cost"), (0.0123, "$0.0123"), (1234.5, "$1,234.50")]
)
def test_an_unknown_price_is_not_taken_for_none(usd: float | None, written: str) -> None:
    assert words.money(usd) == written


def test_parts_are_joined_as_in_a_sentence() -> None:
    written = [words.listing(parts) for parts in ([], ["a"], ["a", "b"], ["a", "b", "c"])]
    assert written == ["", "a", "a and b", "a, b and c"]
