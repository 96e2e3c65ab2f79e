"""The whole method as its users run it: one dataset through all partitions of Dagster, in one process."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.direct import NAME, SPECIES, TISSUE
from benchmarks.stages import Clock
from benchmarks.synthetic import TRUTH

if TYPE_CHECKING:
    from cassia_dagster.walk import Step

BETWEEN = "between assets"
"""Stage in which no asset is made: Dagster's own work, before the first asset and after each."""


def run(clock: Clock, path: Path, folder: Path, resolutions: list[str], *, finish: bool) -> None:
    """Do what the command ``cassia-dagster run`` does; parameters as for `plain_scanpy.run`, and all is made."""
    del finish
    from cassia_dagster.commands.datasets import register
    from cassia_dagster.project import prepare_home
    from resources.dataset_entry import DatasetEntry

    home = prepare_home(folder / "home")
    entry = DatasetEntry(
        name=NAME,
        path=path.absolute(),
        species=SPECIES,
        tissue=TISSUE,
        labels=(TRUTH,),
        resolutions=tuple(resolutions),
        output=(folder / "output").absolute(),
    )
    register(home, entry, replace=True)
    # Only now: the assets read the catalog's resolutions when they are imported.
    from cassia_dagster.walk import materialize_dataset, open_instance

    with open_instance(home) as instance:
        watch = _Watch(clock)
        materialize_dataset(entry, home, instance, watch.tell, fresh=True)
        watch.lap(BETWEEN)


class _Watch:
    """Takes the times of assets from what a run tells of its steps."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def tell(self, step: Step) -> None:
        if step.state == "started":
            self.lap(BETWEEN)
        elif step.state == "done":
            self.lap(f"{step.asset} {step.resolution}" if step.resolution else step.asset)

    def lap(self, name: str) -> None:
        cpu, wall = time.process_time(), time.perf_counter()
        self._clock.add(name, cpu - self._cpu, wall - self._wall)
        self._cpu, self._wall = cpu, wall
