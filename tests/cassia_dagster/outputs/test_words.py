from enum import StrEnum

import pytest

from cassia_dagster.knowledge.ontology import Relation
from cassia_dagster.outputs import words
from cassia_dagster.outputs.result import ResolutionResult
from cassia_dagster.records import BoostOutcome, ClusterResult, Expression, Finding, Status, Unresolved


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


def label_of(blood: ResolutionResult, label: str, cl_id: str | None) -> ClusterResult:
    (row,) = [row for row in blood.clusters if row.cluster == "0"]
    assert row.boosted.annotation is not None
    assert row.boosted.check is not None
    annotation = row.boosted.annotation.model_copy(update={"subtypes": (label,)})
    check = row.boosted.check.model_copy(update={"cl_id": cl_id})
    return row.model_copy(update={"boosted": row.boosted.model_copy(update={"annotation": annotation, "check": check})})


@pytest.mark.parametrize(
    ("label", "cl_id", "daily"),
    [
        ("type B pancreatic cell", "CL:0000169", ("pancreatic beta cell",)),
        ("CD4-positive, alpha-beta memory T cell", "CL:0000897", ("memory CD4+ T cell",)),
        ("beta cell", "CL:0000169", ()),  # as a person called it
        ("pancreatic ductal cell", "CL:0002079", ()),  # "ductal cell of pancreas" says no more
        ("endothelial cell", "CL:0000115", ()),  # a pancreatic one is a kind of it
        ("plasmacytoid dendritic cell", "CL:0000784", ("pDC",)),  # DC2 may be another
        ("macrophage", "CL:0000235", ()),
        ("something else", None, ()),
    ],
)
def test_a_type_is_also_called_as_in_daily_use(
    blood: ResolutionResult, label: str, cl_id: str | None, daily: tuple[str, ...]
) -> None:
    assert words.also_called(label_of(blood, label, cl_id), daily=True) == daily


def test_the_ontology_s_own_names_follow_those_of_daily_use(blood: ResolutionResult) -> None:
    names = words.also_called(label_of(blood, "type B pancreatic cell", "CL:0000169"))
    assert names[0] == "pancreatic beta cell"
    assert "insulin-secreting cell" in names
    (unresolved,) = [row for row in blood.clusters if row.cluster == "T?"]
    assert words.also_called(unresolved) == ()


def test_a_number_is_not_parted_from_its_per_cent() -> None:
    assert words.glued("87 % of 5 % are 100% sure") == "87\N{NO-BREAK SPACE}% of 5\N{NO-BREAK SPACE}% are 100% sure"


def test_the_embedded_model_is_said_to_be_none_of_language() -> None:
    assert words.model_words("embedded/knowledge-0123456789ab") == "embedded (no language model)"
    assert words.model_words("openai/gpt-5") == "openai/gpt-5"
