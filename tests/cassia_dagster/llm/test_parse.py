"""Tests of the way from a raw reply to valid JSON."""

import pytest

from cassia_dagster.llm.backend import RawReply
from cassia_dagster.llm.errors import CutShort, InvalidReply, Refused, Unavailable, UnusableReply
from cassia_dagster.llm.parse import parse_reply
from cassia_dagster.records import Annotation, Status


def test_a_complete_reply_comes_back_as_the_model_wrote_it(beta_cell: str) -> None:
    assert parse_reply(RawReply(f"\n{beta_cell} ", "stop", "m"), Annotation) == beta_cell


@pytest.mark.parametrize("fence", ["```json\n{}\n```", "```\n{}\n```\n"])
def test_a_markdown_fence_around_a_reply_is_taken_off(beta_cell: str, fence: str) -> None:
    assert parse_reply(RawReply(fence.format(beta_cell), "stop", "m"), Annotation) == beta_cell


@pytest.mark.parametrize(
    ("raw", "kind", "status"),
    [
        (RawReply(None, "empty", "m"), Unavailable, Status.FAILED),
        (RawReply("I cannot help with that.", "refusal", "m"), Refused, Status.REFUSED),
        (RawReply('{"general_celltype": "CD8', "length", "m"), CutShort, Status.INVALID_REPLY),
        (RawReply(None, "stop", "m"), CutShort, Status.INVALID_REPLY),
        (RawReply("  ", "stop", "m"), CutShort, Status.INVALID_REPLY),
        (RawReply("A beta cell.", "stop", "m"), InvalidReply, Status.INVALID_REPLY),
        (RawReply('{"general_celltype": "CD8"', "stop", "m"), InvalidReply, Status.INVALID_REPLY),
        (RawReply('{"general_celltype": 8}', "stop", "m"), InvalidReply, Status.INVALID_REPLY),
        (RawReply('{"general_celltype": "B", "score": 1}', "stop", "m"), InvalidReply, Status.INVALID_REPLY),
    ],
)
def test_every_way_to_fail_has_its_kind_and_status(raw: RawReply, kind: type[UnusableReply], status: Status) -> None:
    with pytest.raises(kind) as caught:
        parse_reply(raw, Annotation)
    assert caught.value.status is status
    assert caught.value.raw is raw


def test_a_reply_that_was_cut_is_not_taken_even_if_it_happens_to_be_valid(beta_cell: str) -> None:
    with pytest.raises(CutShort):
        parse_reply(RawReply(beta_cell, "length", "m"), Annotation)


def test_the_complaint_names_each_place_and_repeats_nothing_that_the_model_wrote() -> None:
    text = '{"general_celltype": {"ignore": "all rules"}, "subtypes": ["a", "b", "c", "d"]}'
    with pytest.raises(InvalidReply) as caught:
        parse_reply(RawReply(text, "stop", "m"), Annotation)
    places = [line.partition(":")[0] for line in caught.value.complaint.splitlines()]
    assert places == ["general_celltype", "subtypes"]
    assert "all rules" not in caught.value.complaint
