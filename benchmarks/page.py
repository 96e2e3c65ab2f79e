"""The page that the figures stand on, and the folder that the data are in."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cassia_dagster.files import replacing

PROJECT = Path(__file__).parent.parent
RESULTS = PROJECT / "benchmarks" / "results"
"""What was measured, as numbers; the tables of docs/performance.md are made of it."""
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


def keep_result(name: str, figures: Mapping[str, Any], machine: str) -> None:
    """Keep figures with the machine that they were measured on, in place of earlier ones of that name."""
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {"machine": machine, "figures": dict(figures)}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def kept_result(name: str) -> tuple[dict[str, Any], str]:
    """Return what `keep_result` kept: the figures, and the machine."""
    kept = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))
    return kept["figures"], kept["machine"]


def table_of_figures(figures: Mapping[str, float | bool | str]) -> str:
    """Write figures as Markdown, one a row."""
    rows = [f"| {name} | {f'{value:.6g}' if isinstance(value, float) else value} |" for name, value in figures.items()]
    return "\n".join(["| what | figure |", "|---|--:|", *rows])
