"""Debian's Chromium, for what must be seen as readers see it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cassia_dagster.errors import ConfigurationError

if TYPE_CHECKING:
    from playwright.sync_api import Browser

COMMAND = "chromium"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


def is_installed() -> bool:
    """Tell whether there is a browser to start."""
    return shutil.which(COMMAND) is not None


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser, and end it at last.

    Raises
    ------
    ConfigurationError
        If it is not installed.
    """
    path = shutil.which(COMMAND)
    if path is None:
        raise ConfigurationError("Chromium is not installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield running
        running.close()
