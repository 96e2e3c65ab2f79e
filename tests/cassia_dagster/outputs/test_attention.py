from cassia_dagster.outputs.attention import Urgency, concerns
from cassia_dagster.outputs.result import ResolutionResult
from cassia_dagster.records import ClusterResult, Finding, ManualOutcome, ManualReview, Verdict


def with_final(row: ClusterResult, **update: object) -> ClusterResult:
    return row.model_copy(update={"boosted": row.boosted.model_copy(update=update)})


def replaced(result: ResolutionResult, row: ClusterResult) -> ResolutionResult:
    rows = [row if one.cluster == row.cluster else one for one in result.clusters]
    return result.model_copy(update={"clusters": tuple(rows)})


def row_of(result: ResolutionResult, cluster: str) -> ClusterResult:
    return next(row for row in result.clusters if row.cluster == cluster)


def test_clusters_without_a_name_come_first_then_doubts_and_good_ones_not(blood: ResolutionResult) -> None:
    found = concerns(blood)
    assert [one.row.cluster for one in found] == ["3", "T?", "10", "2"]
    assert [one.urgency for one in found] == [Urgency.OPEN, Urgency.OPEN, Urgency.DOUBTFUL, Urgency.DOUBTFUL]
    assert found[0].reasons == ("budget exhausted",)
    assert found[1].reasons == ("it has no significant markers",)
    assert found[2].reasons == ("score 72.5, below 75", "cites genes that are not among the markers")
    assert found[3].reasons == ("changed by the second look, from plasma cell",)


def test_a_contradiction_of_lineage_goes_before_everything(blood: ResolutionResult) -> None:
    good = row_of(blood, "0")
    check = good.boosted.check
    assert check is not None
    wrong = with_final(good, check=check.model_copy(update={"findings": (Finding.LINEAGE_CONTRADICTION,)}), score=1.0)
    first, *_ = concerns(replaced(blood, wrong))
    assert (first.row.cluster, first.urgency) == ("0", Urgency.WRONG)
    assert "markers point to another lineage" in first.reasons


def test_mixtures_are_named_by_the_annotator_or_suspected_by_the_validator(blood: ResolutionResult) -> None:
    good = row_of(blood, "0")
    annotation = good.boosted.annotation
    assert annotation is not None
    mixed = with_final(good, annotation=annotation.model_copy(update={"mixed_celltypes": ("T cell", "B cell")}))
    assert ("may mix T cell and B cell",) in [one.reasons for one in concerns(replaced(blood, mixed))]
    rounds = (Verdict(accepted=True, reasons="", mixed=True),)
    suspected = good.model_copy(update={"annotated": good.annotated.model_copy(update={"rounds": rounds})})
    assert ("the validator suspects a mixture",) in [one.reasons for one in concerns(replaced(blood, suspected))]


def test_a_label_that_was_never_accepted_is_said_so(blood: ResolutionResult) -> None:
    good = row_of(blood, "0")
    rounds = (Verdict(accepted=False, reasons="No."),)
    sent_back = good.model_copy(update={"annotated": good.annotated.model_copy(update={"rounds": rounds})})
    assert ("the validator never accepted it",) in [one.reasons for one in concerns(replaced(blood, sent_back))]


def reviewed(outcome: ManualOutcome) -> ManualReview:
    return ManualReview(
        outcome=outcome, label="NK cell", cl_id="CL:0000623", who="Ada", why="I looked.", date="2026-11-01"
    )


def test_what_a_person_has_decided_is_no_matter_of_doubt_any_more(blood: ResolutionResult) -> None:
    low = row_of(blood, "10")
    settled = with_final(low, review=reviewed(ManualOutcome.CONFIRMED))
    assert "10" not in [one.row.cluster for one in concerns(replaced(blood, settled))]
    check = low.boosted.check
    assert check is not None
    wrong = check.model_copy(update={"findings": (Finding.LINEAGE_CONTRADICTION,)})
    first, *_ = concerns(replaced(blood, with_final(settled, check=wrong)))
    assert (first.row.cluster, first.reasons) == ("10", ("markers point to another lineage",))


def test_a_persons_label_that_was_not_applied_is_to_be_given_anew(blood: ResolutionResult) -> None:
    stale = with_final(row_of(blood, "0"), review=reviewed(ManualOutcome.STALE))
    (found,) = [one for one in concerns(replaced(blood, stale)) if one.row.cluster == "0"]
    assert found.reasons == ("Ada's label 'NK cell' was for other cells or markers, and is not applied",)
