"""Pictures of Dagster's interface, as it shows what the demo left behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from cassia_dagster.errors import ConfigurationError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FloatRect, Page

WINDOW = {"width": 1360, "height": 820}
MARGIN = 12
PATIENCE = 180
"""Seconds that the interface may take to start, or to show something, on a busy machine."""
STILL = 2_000
"""Milliseconds after which what moves has come to rest."""
CONFIG = "ops:\n  run_levels:\n    config:\n      dataset: demo\n      fresh: false\n"
JOBS = "/locations/__repository__@cassia-dagster/jobs"


def _groups(page: Page) -> None:
    page.locator("foreignObject").filter(has_text="results").first.wait_for()


def _assets(page: Page) -> None:
    page.locator("foreignObject").filter(has_text="annotation").first.wait_for()
    page.keyboard.press("Alt+e")
    page.locator("foreignObject").filter(has_text="boosted").first.wait_for()


def _map(page: Page) -> None:
    page.get_by_text("[Show Markdown]").first.click()
    page.get_by_role("img", name="cells by label").wait_for()


def _dots(page: Page) -> None:
    page.get_by_text("[Show Markdown]").nth(1).click()
    page.get_by_role("img", name="markers of the clusters").wait_for()


def _columns(page: Page) -> None:
    page.get_by_text("log2 fold change of mean expression against all other cells.").first.wait_for()


def _checks(page: Page) -> None:
    page.get_by_text("Passed", exact=True).first.wait_for()


def _launchpad(page: Page) -> None:
    page.get_by_text("Launch Run").first.wait_for()


class View(NamedTuple):
    """A page of the interface, and what is done there until it shows what is wanted."""

    name: str
    address: str
    act: Callable[[Page], None]
    window: dict[str, int] = WINDOW
    around: str | None = None
    """A selector: only what lies around all of these is shown; ``None`` for what the window holds."""


VIEWS = (
    View("dagster-groups", "/asset-groups", _groups),
    View("dagster-graph", f"{JOBS}/annotate_clusters", _assets, {"width": 3000, "height": 1500}, "foreignObject"),
    View("dagster-columns", "/assets/marker_table", _columns),
    View("dagster-map", "/assets/report?view=partitions&partition=demo%7C0.4", _map),
    View("dagster-dots", "/assets/report?view=partitions&partition=demo%7C0.4", _dots),
    View("dagster-checks", "/assets/report?view=checks&checkDetail=agrees_with_known_labels", _checks),
    View("dagster-launchpad", f"{JOBS}/annotate_dataset/playground/setup?config={quote(CONFIG)}", _launchpad),
)


def take_views(browser: Browser, home: Path) -> Iterator[tuple[str, bytes]]:
    """Open the interface on a project, and yield each picture with its name."""
    with serving(home) as address:
        context = browser.new_context(viewport=WINDOW, reduced_motion="reduce")  # type: ignore[arg-type]
        context.set_default_timeout(1000 * PATIENCE)
        page = context.new_page()
        page.goto(f"{address}/assets")
        page.get_by_text("Hide navigation").first.click()
        for view in VIEWS:
            page.set_viewport_size(view.window)  # type: ignore[arg-type]
            page.goto(f"{address}{view.address}")
            view.act(page)
            page.wait_for_timeout(STILL)
            yield view.name, page.screenshot(clip=_around(page, view.around) if view.around else None)
        context.close()


def _around(page: Page, selector: str) -> FloatRect:
    boxes = [box for one in page.locator(selector).all() if (box := one.bounding_box())]
    left, top = (min(box[axis] for box in boxes) - MARGIN for axis in ("x", "y"))
    right = max(box["x"] + box["width"] for box in boxes) + MARGIN
    bottom = max(box["y"] + box["height"] for box in boxes) + MARGIN
    return {"x": left, "y": top, "width": right - left, "height": bottom - top}


@contextmanager
def serving(home: Path) -> Iterator[str]:
    """Serve Dagster's interface of a project while it is looked at; gives its address.

    Raises
    ------
    ConfigurationError
        If it does not come up, with what it said.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "cassia_dagster.cli", "ui", "--port", address.rpartition(":")[2]],
            env=os.environ | {"CASSIA_HOME": str(home)},
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        try:
            if not _is_up(address, process):
                said.seek(0)
                raise ConfigurationError(f"Dagster's interface did not start:\n{said.read()[-2000:]}")
            yield address
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE)


def _is_up(address: str, process: subprocess.Popen[bytes]) -> bool:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/server_info", timeout=5):  # noqa: S310 - our own
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(1)
    return False
