"""Makes ``echarts.min.js`` from what ``npm ci`` has put beside this file; the bytes are the same on every machine.

``npm ci --prefix cassia_dagster/outputs/plotting && uv run python -m cassia_dagster.outputs.plotting.build``
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from cassia_dagster.outputs.plotting import BUNDLE, LICENSES

HERE = Path(__file__).parent
PACKAGES = {
    "echarts": ("LICENSE", "NOTICE", "licenses/LICENSE-d3"),
    "zrender": ("LICENSE",),
    "tslib": ("LICENSE.txt",),
}
"""Package to the files that must travel with what is made of it."""


def bundle() -> str:
    """Return the script: the charts that ``parts.js`` names, behind a line that says what it is."""
    made = subprocess.run(  # noqa: S603 - our own arguments
        [
            str(HERE / "node_modules" / ".bin" / "esbuild"),
            "parts.js",
            "--bundle",
            "--minify",
            "--format=iife",
            "--global-name=echarts",
            "--target=es2020",
            "--charset=ascii",
            "--legal-comments=none",
            '--define:process.env.NODE_ENV="production"',
        ],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=True,
    )
    title = ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    return f"/*! {title}; Apache-2.0, BSD-3-Clause and 0BSD: see LICENSES.txt */\n{made.stdout}"


def licenses() -> str:
    """Return the licences and notices of all that is in the script, one behind the other."""
    parts = [
        f"{'=' * 80}\n{name} {_version(name)}: {file}\n{'=' * 80}\n\n{_text(name, file)}\n"
        for name, files in PACKAGES.items()
        for file in files
    ]
    return "\n".join(parts)


def _version(name: str) -> str:
    return str(json.loads(_text(name, "package.json"))["version"])


def _text(name: str, file: str) -> str:
    text = (HERE / "node_modules" / name / file).read_text(encoding="utf-8")
    return "\n".join(line.rstrip() for line in text.splitlines()).strip()


if __name__ == "__main__":
    BUNDLE.write_text(bundle(), encoding="utf-8")
    LICENSES.write_text(licenses(), encoding="utf-8")
