import pytest
from pydantic import ValidationError

from cassia_dagster.evaluation.without_gold import Standing
from cassia_dagster.outputs.result import ResolutionResult, confidence_of, final_label, model_of_label
from cassia_dagster.records import AnnotatedCluster, ClusterResult, Exchange, ScoredCluster


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


def _told_by(result: ClusterResult, annotator: str, scorer: str, score: float) -> ClusterResult:
    """The same result, as if the two providers had annotated and scored it."""
    providers = {"annotate": annotator, "score": scorer}

    def history(stage: AnnotatedCluster | ScoredCluster) -> tuple[Exchange, ...]:
        return tuple(one.model_copy(update={"provider": providers.get(one.role, scorer)}) for one in stage.history)

    stages = {name: getattr(result, name) for name in ("annotated", "scored")}
    update = {name: stage.model_copy(update={"history": history(stage)}) for name, stage in stages.items()}
    return result.model_copy(update=update | {"boosted": result.boosted.model_copy(update={"score": score})})


def test_a_label_of_a_language_model_is_trusted_as_far_as_marker_knowledge_agrees(blood: ResolutionResult) -> None:
    agreed, _, failed, *_ = blood.clusters
    check = agreed.boosted.check
    assert check is not None
    proposed = check.candidates[0].model_copy(update={"cl_id": check.cl_id})
    with_proposal = agreed.boosted.model_copy(update={"check": check.model_copy(update={"candidates": (proposed,)})})
    on_path, off_path = confidence_of(agreed.model_copy(update={"boosted": with_proposal})), confidence_of(agreed)
    assert on_path is not None
    assert off_path is not None
    assert (on_path.standing, off_path.standing) == (Standing.ON_PATH, Standing.CONTRADICTED)
    assert on_path.right is not None
    assert confidence_of(failed) is None


def test_a_label_of_the_embedded_model_is_trusted_as_far_as_its_score(blood: ResolutionResult) -> None:
    label = blood.clusters[0]
    sure, unsure = (confidence_of(_told_by(label, "embedded", "embedded", score)) for score in (95.0, 60.0))
    assert sure is not None
    assert unsure is not None
    assert sure.right is not None
    assert unsure.right is not None
    assert sure.right > unsure.right
    assert confidence_of(_told_by(label, "embedded", "openai", 95.0)) is None
