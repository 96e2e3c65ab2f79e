from __future__ import annotations

from cassia_dagster.knowledge.names import Named, index_of

index = index_of(
    [
        ("A", "dorsal root ganglion neuron"),
        ("A", "DRG neuron"),
        ("B", "dorsal root ganglion satellite cell"),
        ("B", "DRG satellite cell"),
        ("C", "DRG type 1 glial cell"),
        ("D", "dorsal root ganglion type 2 glial cell"),
    ]
)


def test_the_order_of_words_does_not_matter() -> None:
    assert index.with_words("satellite cells of the DRG") == {"B"}


def test_a_name_that_is_left_out_is_not_found() -> None:
    assert index.with_words("DRG satellite", Named("B", "DRG satellite cell")) == frozenset()


def test_phrases_that_two_terms_use_for_each_other_are_exchanged() -> None:
    assert "dorsal root ganglion type 1 glial cell" in index.rewrites("DRG type 1 glial cell")
    assert index.rewrites("DRG neuron", Named("A", "DRG neuron")) == []


def test_a_number_that_differs_weighs_more_than_its_letters() -> None:
    assert index.most_alike("dorsal root ganglion type 1 glial cell", 1)[0].term == "C"


def test_letters_that_no_name_has_are_like_nothing() -> None:
    assert index.most_alike("xyz", 5) == ()
