"""Makes the pictures in the documentation, from the demo as it is today.

uv run python -m benchmarks.pictures
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from benchmarks.chromium import DESKTOP, PHONE, chromium
from benchmarks.interface import take_views
from benchmarks.page import PROJECT
from cassia_dagster.errors import ConfigurationError
from cassia_dagster.files import replacing

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FOLDER = PROJECT / "docs" / "pictures"
COLOURS = 256
"""Of a picture: few enough to be small; chosen so that also the rare ones, of small marks, stay what they are."""
BAR = "nav.bar-of-sections"


def _nothing(page: Page) -> None:
    pass


def _gene(page: Page) -> None:
    page.evaluate("report.show('PECAM1')")


def _gene_from_the_top(page: Page) -> None:
    _gene(page)
    page.evaluate("document.getElementById('map').scrollIntoView()")


def _cluster(page: Page) -> None:
    page.evaluate("report.select(['3'])")


class Picture(NamedTuple):
    """What is shown of the report, and how."""

    name: str
    part: str | None
    """A selector; ``None`` for what the window holds."""
    window: dict[str, int] = DESKTOP
    scheme: Literal["light", "dark"] = "light"
    act: Callable[[Page], None] = _nothing


PICTURES = (
    Picture("report-desktop-light", None, {"width": 1280, "height": 1200}),
    Picture("report-desktop-dark", None, DESKTOP, "dark", _gene_from_the_top),
    Picture("report-phone-light", None, PHONE),
    Picture("report-phone-dark", None, PHONE, "dark", _gene_from_the_top),
    Picture("report-map", "#explorer", act=_cluster),
    Picture("report-gene", "#explorer", act=_gene),
    Picture("report-table", "#clusters"),
    Picture("report-dots", "#dots"),
    Picture("report-groups", "#groups"),
    Picture("report-agreement", "#agreement .heat"),
    Picture("report-cluster", "#cluster-0"),
)


REVIEW = Picture("review-across-resolutions", None, {"width": 1280, "height": 1500})
"""Of the page that compares the resolutions."""


INSIDE = Picture("report-inside", "#subclusters")
"""Of the report, after `look_inside`."""


def take(browser: Browser, report: Path, picture: Picture) -> bytes:
    """Return a PNG of a few colours."""
    context = browser.new_context(
        viewport=picture.window,  # type: ignore[arg-type]
        color_scheme=picture.scheme,
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto(report.as_uri())
    picture.act(page)
    page.wait_for_function("document.fonts.status === 'loaded'")
    # A frame for what was asked, and one for what follows from it.
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    if picture.part is None:
        taken = page.screenshot()
    else:
        # The bar sticks to the window, and would lie across what is higher than that.
        page.evaluate(f"document.querySelector('{BAR}').hidden = true")
        taken = page.locator(picture.part).first.screenshot()
    context.close()
    return _small(taken)


def _small(taken: bytes) -> bytes:
    from PIL import Image

    small = (
        Image.open(io.BytesIO(taken))
        .convert("RGB")
        .quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    )
    file = io.BytesIO()
    small.save(file, "PNG", optimize=True)
    return file.getvalue()


@contextmanager
def project() -> Iterator[Path]:
    """Make a folder for the demo, whose name is the same each time: the interface shows it.

    Raises
    ------
    ConfigurationError
        If there is one already.
    """
    folder = Path(tempfile.gettempdir()) / "atlas"
    try:
        folder.mkdir()
    except FileExistsError:
        raise ConfigurationError(f"{folder} is there already; move it away, the demo is to be run in it.") from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def run_demo(folder: Path) -> Path:
    """Run the demo as a user would, and return its report."""
    _call(folder, "demo", "--output", str(folder / "output"))
    return folder / "output" / "demo" / "leiden_res_0.4" / "demo_report.html"


def look_inside(folder: Path) -> None:
    """Look into the endocrine cells of the demo, taken together."""
    clusters = [option for cluster in ("0", "1", "2", "7") for option in ("--cluster", cluster)]
    _call(folder, "subclusters", "demo", *clusters, "--together", "--resolution", "0.4")


def _call(folder: Path, *command: str) -> None:
    options = ["--home", str(folder / "home")]
    subprocess.run([sys.executable, "-m", "cassia_dagster.cli", *command, *options], check=True, cwd=folder)  # noqa: S603


def main() -> None:
    """Make all pictures anew."""
    with project() as folder, chromium() as browser:
        report = run_demo(folder)
        for picture in PICTURES:
            _keep(picture.name, take(browser, report, picture))
        _keep(REVIEW.name, take(browser, report.parents[1] / "demo_review.html", REVIEW))
        look_inside(folder)
        _keep(INSIDE.name, take(browser, report, INSIDE))
        for name, taken in take_views(browser, folder / "home"):
            _keep(name, _small(taken))


def _keep(name: str, picture: bytes) -> None:
    with replacing(FOLDER / f"{name}.png") as file:
        file.write_bytes(picture)


if __name__ == "__main__":
    main()
