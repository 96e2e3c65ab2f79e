import pytest
from pydantic import ValidationError

from cassia_dagster.outputs.result import ResolutionResult, final_label, model_of_label


def test_clusters_stand_in_natural_order_whichever_order_they_came_in(blood: ResolutionResult) -> None:
    again = ResolutionResult(**dict(blood))
    assert [row.cluster for row in again.clusters] == ["0", "2", "3", "10", "T?"]


def test_a_cluster_that_comes_twice_is_refused(blood: ResolutionResult) -> None:
    with pytest.raises(ValidationError, match="unique"):
        ResolutionResult(**dict(blood) | {"clusters": blood.clusters + blood.clusters[:1]})


def test_rows_of_different_clusters_are_never_joined(blood: ResolutionResult) -> None:
    mixed = blood.clusters[0].model_copy(update={"grouping": blood.clusters[1].grouping})
    with pytest.raises(ValidationError, match="rows of other clusters"):
        ResolutionResult(**dict(blood) | {"clusters": (mixed, *blood.clusters[1:])})


def test_a_label_is_the_final_one_and_comes_from_the_model_that_gave_it(blood: ResolutionResult) -> None:
    kept, changed, failed, *_ = blood.clusters
    assert (final_label(kept), model_of_label(kept)) == (
        "CD8-positive, alpha-beta T cell",
        ("openai", "gpt-4o"),
    )
    assert (final_label(changed), model_of_label(changed)) == ("B cell", ("openai", "o3"))
    assert (final_label(failed), model_of_label(failed)) == ("unresolved", ("", ""))
