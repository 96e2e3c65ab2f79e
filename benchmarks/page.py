"""The page that the figures stand on, and the folder that the data are in."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from cassia_dagster.files import replacing

PROJECT = Path(__file__).parent.parent
PAGE = PROJECT / "docs" / "evaluation.md"
FOLDER = "CASSIA_EVALUATION_DATA"


def evaluation_data() -> Path:
    """Return the folder that the environment names, or leave."""
    folder = os.environ.get(FOLDER)
    if not folder:
        sys.exit(f"{FOLDER} does not name the folder of evaluation data.")
    return Path(folder)


def put(page: str, block: str, text: str) -> str:
    """Replace what stands between the marks of a block.

    Examples
    --------
    >>> put("<!-- a -->old<!-- /a -->", "a", "new").splitlines()
    ['<!-- a -->', 'new', '<!-- /a -->']
    """
    pattern = re.compile(rf"(<!-- {block} -->).*?(<!-- /{block} -->)", re.DOTALL)
    if not pattern.search(page):
        raise ValueError(f"The page has no block {block!r} to put figures into.")
    return pattern.sub(lambda marks: f"{marks[1]}\n{text}\n{marks[2]}", page)


def write_blocks(blocks: Mapping[str, str], path: Path = PAGE) -> None:
    """Replace blocks of a page, each by its name."""
    page = path.read_text("utf-8")
    for block, text in blocks.items():
        page = put(page, block, text)
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
