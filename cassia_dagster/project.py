"""Makes ready what a run needs to be found again: the project's home, and Dagster's place in it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from cassia_dagster.datasets import home_of
from cassia_dagster.files import make_folder
from resources.home import VARIABLE, Home

PROJECT = Path(__file__).parent.parent
"""Where dagster.yaml and workspace.yaml stand."""


def prepare_home(given: Path | None) -> Home:
    """Make the project's home, and tell Dagster and the assets where it is."""
    home = home_of(given)
    make_folder(home.dagster, "The project's home")
    if not (home.dagster / "dagster.yaml").exists():
        shutil.copy(PROJECT / "dagster.yaml", home.dagster)
    os.environ[VARIABLE] = str(home.root)
    os.environ["DAGSTER_HOME"] = str(home.dagster)
    return home
