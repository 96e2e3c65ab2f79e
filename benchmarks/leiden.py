"""Two engines of the Leiden algorithm on the same graphs: what they reach, from several seeds, and for how much."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import as_file, files
from itertools import combinations
from pathlib import Path
from statistics import mean, median
from typing import TYPE_CHECKING, NamedTuple

from cassia_dagster.singlecell.cluster import MOST_BY_REFERENCE, N_TRIES, LeidenEngine, leiden, neighbour_graph

if TYPE_CHECKING:
    from anndata import AnnData

    from cassia_dagster.singlecell.cluster import Clustering

RESOLUTIONS = (0.4, 1.0, 2.0)
SEEDS = (0, 100, 200, 300, 400)
"""So far apart that the tries of one do not meet those of another."""
RESOLUTIONS_OF_MANY = (1.0,)
FEW_SEEDS = 3
PUBLISHED = ("pancreas_baron_h1", "pbmc3k", "pbmc_facs_garnett800", "pbmc1200_3batch_symphony", "mouseimmune1000_tm")

ENGINES = (LeidenEngine.leidenalg, LeidenEngine.igraph)
HEADINGS = (
    "cells of", "n", "resolution", "seeds", "quality: leidenalg", "quality: igraph", "difference",
    "CPU s: leidenalg", "CPU s: igraph", "ARI between seeds: leidenalg", "ARI between seeds: igraph", "ARI of the two",
)  # fmt: skip


class Tried(NamedTuple):
    """What one engine found from all seeds."""

    found: list[Clustering]
    cpu: float
    """Median seconds of one clustering, with all its tries."""

    @property
    def quality(self) -> float:
        """Median of what the algorithm makes as large as it can: modularity at the resolution."""
        return median(one.quality for one in self.found)

    @property
    def agreement(self) -> float:
        """Mean adjusted Rand index between seeds."""
        return mean(_agreement(one, other) for one, other in combinations(self.found, 2))


def graphs(evaluation_data: Path | None, runs: Path | None) -> Iterator[tuple[str, AnnData]]:
    """Make the neighbour graphs: of the demo, of published cells and of made cells, as far as they are at hand."""
    from cassia_dagster.singlecell.embed import embed
    from cassia_dagster.singlecell.load import load_counts
    from cassia_dagster.singlecell.normalize import normalize

    with as_file(files("cassia_dagster") / "data" / "islets.h5ad") as path:
        yield "the demo", embed(normalize(load_counts(path)))
    for name in PUBLISHED if evaluation_data else ():
        yield name, embed(normalize(load_counts(Path(evaluation_data or "") / name / f"{name}.h5ad")))
    for path in sorted(runs.glob("*/*-1/graph.npz"), key=lambda one: int(one.parts[-3])) if runs else ():
        if path.parent.name.startswith("ours"):
            yield "the generator", _stored(path)


def _stored(path: Path) -> AnnData:
    import anndata
    import numpy as np
    from scipy import sparse

    graph = sparse.load_npz(path)
    cells = anndata.AnnData(sparse.csr_matrix((graph.shape[0], 1), dtype=np.float32))
    cells.obsp["connectivities"] = graph
    return cells


def measure(evaluation_data: Path | None, runs: Path | None) -> Iterator[dict[str, str]]:
    """Try both engines on each graph; of many cells at one resolution and from fewer seeds, for it takes minutes."""
    for name, cells in graphs(evaluation_data, runs):
        many = cells.n_obs > MOST_BY_REFERENCE
        seeds = SEEDS[:FEW_SEEDS] if many else SEEDS
        for resolution in RESOLUTIONS_OF_MANY if many else RESOLUTIONS:
            slow, fast = (_try(cells, resolution, engine, seeds) for engine in ENGINES)
            figures = (
                name, f"{cells.n_obs:,}", f"{resolution:g}", f"{len(seeds)}",
                f"{slow.quality:.4f}", f"{fast.quality:.4f}", f"{fast.quality - slow.quality:+.4f}",
                f"{slow.cpu:.2f}", f"{fast.cpu:.2f}", f"{slow.agreement:.2f}", f"{fast.agreement:.2f}",
                f"{mean(_agreement(one, other) for one in slow.found for other in fast.found):.2f}",
            )  # fmt: skip
            yield dict(zip(HEADINGS, figures, strict=True))


def table_of(rows: Iterable[Mapping[str, str]]) -> str:
    """Write the figures as Markdown."""
    lines = [f"| {' | '.join(HEADINGS)} |", f"|---|--:{'|--:' * (len(HEADINGS) - 2)}|"]
    lines += [f"| {' | '.join(row.values())} |" for row in rows]
    return "\n".join([*lines, "", f"Medians over the seeds; igraph keeps the best of {N_TRIES} tries of each."])


def _try(cells: AnnData, resolution: float, engine: LeidenEngine, seeds: Sequence[int]) -> Tried:
    graph, found, costs = neighbour_graph(cells, directed=engine == LeidenEngine.leidenalg), [], []
    for seed in seeds:
        before = time.process_time()
        found.append(leiden(graph, resolution, seed=seed, engine=engine))
        costs.append(time.process_time() - before)
    return Tried(found, median(costs))


def _agreement(one: Clustering, other: Clustering) -> float:
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(one.labels, other.labels))
