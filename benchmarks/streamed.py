"""The functions of this package for cells that do not fit into memory: what `ours` does, by blocks from the file."""

from __future__ import annotations

from pathlib import Path

from benchmarks.stages import Clock


def run(clock: Clock, path: Path, folder: Path, resolutions: list[str], *, finish: bool) -> None:
    """Do what `plain_scanpy.run` does, up to the marker tables."""
    del finish
    from cassia_dagster.singlecell.cluster import leiden
    from cassia_dagster.singlecell.frame import read_frame
    from cassia_dagster.singlecell.markers import rank_markers
    from cassia_dagster.singlecell.stored import open_cells
    from cassia_dagster.singlecell.streaming import CountsFile, prepare_by_blocks

    with clock.stage("cells"):
        bounds = {"min_mean": 0.0125, "max_mean": 3.0, "min_disp": 0.5}
        prepared = prepare_by_blocks(read_frame(path).cells, CountsFile(path, None), bounds)
    with clock.stage("write"):
        prepared.write(folder / "cells.h5ad")
    for resolution in resolutions:
        with clock.stage(f"clusters {resolution}"):
            labels = leiden(prepared.tables, float(resolution)).labels
        with clock.stage(f"markers {resolution}"), open_cells(folder / "cells.h5ad") as cells:
            markers = rank_markers(cells, labels)
        markers.to_parquet(folder / f"markers_{resolution}.parquet")
        labels.rename("cluster").to_frame().to_parquet(folder / f"labels_{resolution}.parquet")
