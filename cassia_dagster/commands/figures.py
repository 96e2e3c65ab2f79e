"""The command that draws figures of a dataset that is annotated already."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cassia_dagster.commands.datasets import HomeOption, NameArgument
from cassia_dagster.errors import InputError
from resources.home import home_of

if TYPE_CHECKING:
    from anndata import AnnData

    from resources.catalog import DatasetEntry
    from resources.home import Home

MARKERS_EACH = 3
"""Genes of each cluster in the dot plot."""

CELLS_EACH = 500
"""Cells of each cluster that the dot plot is made of, so that the matrix is never read whole."""


class Kind(StrEnum):
    """What a figure can be written as."""

    PNG = "png"
    SVG = "svg"


def figures(
    name: NameArgument,
    resolution: Annotated[
        list[str] | None,
        typer.Option(help="Resolution; repeatable.  [default: those of the dataset]", show_default=False),
    ] = None,
    kind: Annotated[
        list[Kind] | None, typer.Option("--format", help="png or svg; repeatable.  [default: png]", show_default=False)
    ] = None,
    home: HomeOption = None,
) -> None:
    """Draw the maps of the cells and a dot plot of the markers, for a paper or a talk."""
    from cassia_dagster.outputs.figures import write_figures
    from cassia_dagster.singlecell.resolutions import canonical_resolution, folder_of, is_given, suffix_of
    from resources.catalog import Catalog

    place = home_of(home)
    entry = Catalog.read_entry(place.catalog, name)
    entry.require_cells()
    annotated = entry.folder / f"{name}_annotated.h5ad"
    if not annotated.exists():
        raise InputError(f"There is no file {annotated} to draw from. `cassia-dagster run` makes it.")
    asked = [key if is_given(key) else canonical_resolution(key) for key in resolution or entry.clusterings]
    for key in asked:
        if key not in entry.clusterings:
            raise InputError(f"{name!r} has no resolution {key}; the catalog lists {', '.join(entry.clusterings)}.")
        clusters = entry.given[key] if is_given(key) else folder_of(key)
        columns = list(dict.fromkeys([clusters, f"CASSIA_annotation_{suffix_of(key)}", *entry.labels]))
        markers = _best_markers(place, entry, key)
        genes = list(dict.fromkeys(gene for best in markers.values() for gene in best))
        cells, sample = _read(annotated, columns, clusters, genes)
        formats = tuple(one.value for one in kind or [Kind.PNG])
        folder = entry.folder / folder_of(key) / "figures"
        for path in write_figures(cells, columns, sample, clusters, markers, folder, formats):
            typer.echo(path)


def _best_markers(place: Home, entry: DatasetEntry, resolution: str) -> dict[str, list[str]]:
    from cassia_dagster.knowledge.markers import tells_identity
    from cassia_dagster.records import natural_order
    from resources.storage import stored_table

    table = stored_table(place.artifacts, "marker_table", entry.name, resolution).read(["cluster", "gene", "score"])
    # Naive T cells lead with their ribosomes, which say nothing in a picture of three genes each.
    table["tells"] = table["gene"].map(tells_identity)
    best = (
        table.sort_values(["tells", "score"], ascending=False).groupby("cluster", sort=False)["gene"].head(MARKERS_EACH)
    )
    genes = {str(cluster): list(of) for cluster, of in best.groupby(table["cluster"])}
    return {cluster: genes[cluster] for cluster in natural_order(genes)}


def _read(path: Path, columns: list[str], clusters: str, genes: list[str]) -> tuple[AnnData, AnnData]:
    """Read what the maps show of all cells, and the expression of some genes in some cells of each cluster."""
    import anndata
    import h5py
    import numpy as np

    with h5py.File(path, "r") as file:
        obs = anndata.io.read_elem(file["obs"])[columns]
        cells = anndata.AnnData(obs=obs, obsm={"X_umap": anndata.io.read_elem(file["obsm/X_umap"])})
        var = anndata.io.read_elem(file["var"])
        members = obs.groupby(clusters, observed=True).indices.values()
        draw = np.random.default_rng(0)
        chosen = np.sort(np.concatenate([draw.permutation(rows)[:CELLS_EACH] for rows in members]))
        matrix = file["X"]
        stored = matrix if isinstance(matrix, h5py.Dataset) else anndata.io.sparse_dataset(matrix)
        values = stored[chosen][:, var.index.get_indexer(genes)]
    sample = anndata.AnnData(values, obs=obs.iloc[chosen].copy(), var=var.loc[genes, []])
    return cells, sample
