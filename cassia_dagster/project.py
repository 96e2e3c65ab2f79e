"""Makes ready what a run needs to be found again: the project's home, and Dagster's place in it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from cassia_dagster.errors import ConfigurationError
from cassia_dagster.files import make_folder
from resources.home import ARTIFACTS, MANUAL_LABELS_VARIABLE, MODEL_STORE, VARIABLE, Home, home_of, named_place

PROJECT = Path(__file__).parent.parent
"""Where dagster.yaml and workspace.yaml stand."""

SECONDS_TO_MAKE = 120
"""What another command gets to make the home that this one waits for."""


def prepare_home(given: Path | None) -> Home:
    """Make the project's home, and tell Dagster and the assets where it is.

    Raises
    ------
    ConfigurationError
        If it cannot be made.
    """
    home = home_of(given)
    make_folder(home.dagster, "The project's home")
    os.environ[VARIABLE] = str(home.root)
    os.environ["DAGSTER_HOME"] = str(home.dagster)
    for variable in (MANUAL_LABELS_VARIABLE, ARTIFACTS, MODEL_STORE):
        if place := named_place(variable):
            os.environ[variable] = place  # the web server and the daemon are started in another folder than this
    if not (home.dagster / "dagster.yaml").exists():
        _make_instance(home)
    return home


def _make_instance(home: Home) -> None:
    """Make Dagster's databases, and then the file by which others see that they are there.

    Dagster makes them when they are first used, and fails where two processes do that at once: two commands in a new
    home, or the web server and the daemon of one.
    """
    from filelock import FileLock, Timeout

    try:
        with FileLock(home.dagster / "making.lock", timeout=SECONDS_TO_MAKE):
            if (home.dagster / "dagster.yaml").exists():
                return  # another command was faster
            unfinished = home.dagster / "dagster.yaml.new"
            shutil.copy(PROJECT / "dagster.yaml", unfinished)
            import dagster as dg

            with dg.DagsterInstance.from_config(str(home.dagster), config_filename=unfinished.name) as instance:
                instance.get_runs_count()
                instance.all_asset_keys()
                instance.all_instigator_state()
            unfinished.replace(home.dagster / "dagster.yaml")
    except Timeout:
        raise ConfigurationError(
            f"Another command has been making the project's home {home.dagster} for {SECONDS_TO_MAKE} seconds. "
            "Wait for it or end it, and run this again."
        ) from None
    except OSError as error:
        raise ConfigurationError(f"The project's home {home.dagster} cannot be used: {error}.") from error
