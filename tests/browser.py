"""A real browser for the tests of what people look at: Debian's Chromium, driven by Playwright.

A test that wants it imports the fixtures `browser` and `visit` into its module or conftest. Playwright's own browsers
are not used: they would have to be downloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.chromium import DESKTOP, PHONE, chromium, is_installed

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["DESKTOP", "PHONE", "Visit", "browser", "visit"]

_PATIENCE = 10_000
"""Milliseconds that an element may take to be there."""

_AXE = Path(__file__).parent / "servers" / "node_modules" / "axe-core" / "axe.min.js"
_GRAVE = ("moderate", "serious", "critical")


@dataclass(slots=True)
class Visit:
    """A page that is open, and what happened on it so far."""

    page: Page
    errors: list[str] = field(default_factory=list)
    """Errors and warnings of the console, and exceptions that nobody caught."""
    requests: list[str] = field(default_factory=list)
    """Addresses that were asked for, the page's own first; ``data:`` and ``blob:`` are inside of it."""

    def barriers(self) -> list[str]:
        """List what axe-core finds that keeps people out or in the dark: all but its minor violations."""
        if not _AXE.exists():
            pytest.skip("axe-core is not installed: npm ci --prefix tests/servers")
        # Evaluated by the debugger, so that the page's own policy may forbid strange scripts.
        self.page.evaluate(_AXE.read_text(encoding="utf-8"))
        found: dict[str, Any] = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{one['id']}: {node['html'][:200]} ({node['failureSummary']})"
            for one in found["violations"]
            if one["impact"] in _GRAVE
            for node in one["nodes"]
        ]

    def overflow(self) -> int:
        """Tell by how many pixels the page is wider than the window."""
        width: int = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return width


# Not for the whole session: while Playwright runs, no other test of this thread could run an event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start the browser for the tests of one module."""
    if not is_installed():
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with chromium() as running:
        yield running


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Open addresses or files, each in a context of its own; what is not a name here goes to the context."""
    contexts = []

    def go(target: str | Path, *, width: dict[str, int] | None = None, **options: Any) -> Visit:
        context = browser.new_context(viewport=width or DESKTOP, **options)
        context.set_default_timeout(_PATIENCE)
        contexts.append(context)
        seen = Visit(context.new_page())
        seen.page.on("console", lambda said: said.type in ("error", "warning") and seen.errors.append(said.text))
        seen.page.on("pageerror", lambda error: seen.errors.append(str(error)))
        seen.page.on(
            "request",
            lambda asked: asked.url.startswith(("data:", "blob:")) or seen.requests.append(asked.url),
        )
        seen.page.goto(target.as_uri() if isinstance(target, Path) else target)
        return seen

    yield go
    for context in contexts:
        context.close()
