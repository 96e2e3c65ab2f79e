"""How names are read: counted as the page says, and as well as the bars ask."""

from pathlib import Path

from benchmarks.resolver import BARS, Accuracy, Read, accuracy, read_gold, read_synonyms, table
from cassia_dagster.knowledge.resolver import resolve_name

T_CELL = "CL:0000084"


def test_names_are_counted_by_the_first_candidate_and_by_what_is_sure():
    sure, wrong, ambiguous = resolve_name("T cell"), resolve_name("B cell"), resolve_name("dc2")
    read = [Read(T_CELL, sure), Read(T_CELL, wrong), Read(ambiguous.candidates[0].cl_id, ambiguous)]
    found = accuracy(iter(read))
    assert found == Accuracy(n=3, first=2, resolved=2, right=1)
    assert "| some | 3 | 66.7% | 90% | 67% | 50.0% | 95% |" in table({"some": (found, BARS["first"])})


def test_gold_labels_are_read_as_their_curators_did(evaluation_data: Path):
    found = accuracy(read_gold(evaluation_data))
    assert found.first / found.n >= BARS["first"]
    assert found.right / found.resolved >= BARS["resolved"]


def test_a_synonym_that_is_left_out_is_mostly_found_by_the_others():
    found = accuracy(read_synonyms(every=10))
    assert found.first / found.n >= BARS["first of synonyms"]
    assert found.right / found.resolved >= BARS["resolved"]
