"""The plotting library that is embedded in the report, and how it is made."""

from pathlib import Path

BUNDLE = Path(__file__).parent / "echarts.min.js"
LICENSES = Path(__file__).parent / "LICENSES.txt"
