"""The pictures in the documentation."""

import re

import pytest

from benchmarks.interface import VIEWS
from benchmarks.page import PROJECT
from benchmarks.pictures import FOLDER, INSIDE, PICTURES, REVIEW, take
from tests.browser import browser

__all__ = ["browser"]

MOST = 130_000
"""Bytes of a picture that many people load."""


def test_every_picture_is_shown_somewhere_and_every_shown_one_can_be_made_anew():
    pages = [PROJECT / "README.md", *(PROJECT / "docs").glob("*.md")]
    shown = {name for page in pages for name in re.findall(r"pictures/([\w-]+)\.png", page.read_text("utf-8"))}
    made = {picture.name for picture in (*PICTURES, REVIEW, INSIDE, *VIEWS)}
    assert shown == made == {path.stem for path in FOLDER.iterdir()}


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_picture_is_taken_of_the_demo_and_small(demo, browser, picture):
    taken = take(browser, demo.output / "demo" / "leiden_res_0.4" / "demo_report.html", picture)
    assert taken.startswith(b"\x89PNG")
    assert len(taken) < MOST


def test_the_page_about_the_resolutions_is_taken_too(demo, browser):
    taken = take(browser, demo.output / "demo" / "demo_review.html", REVIEW)
    assert taken.startswith(b"\x89PNG")
    assert len(taken) < MOST
