"""Figures for a paper or a talk: maps of the cells and a dot plot of markers, as PNG or SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cassia_dagster.files import replacing

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.figure import Figure

DPI = 200


def write_figures(
    cells: AnnData,
    columns: Sequence[str],
    sample: AnnData,
    cluster_column: str,
    markers: Mapping[str, Sequence[str]],
    folder: Path,
    formats: Sequence[str],
) -> list[Path]:
    """Draw a map for each column, and the dot plot.

    Parameters
    ----------
    cells
        ``obsm["X_umap"]`` and the columns in ``obs``; no matrix is needed.
    columns
        Of ``obs``, each for a map of its own.
    sample
        Cells for the dot plot, with log-normalised values of the markers in ``X``.
    cluster_column
        Of its ``obs``: the rows of the dot plot.
    markers
        Cluster → its best genes, the groups of the dot plot's columns.
    folder
        Where to; made if needed.
    formats
        What to write each figure as, ``png`` or ``svg``. In an SVG the cells are a picture and all else is vectors.

    Returns
    -------
    list of Path
        The files; each is replaced whole or not at all.
    """
    import matplotlib as mpl

    mpl.use("Agg")  # there may be no screen
    import matplotlib.pyplot as plt

    written = []
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "cassia-dagster", "font.size": 9}):
        drawn: dict[str, Figure] = {f"umap_{column}": _map(cells, column) for column in columns}
        if shown := {cluster: list(genes) for cluster, genes in markers.items() if genes}:
            drawn["markers"] = _dots(sample, cluster_column, shown)
        for name, figure in drawn.items():
            for kind in formats:
                path = folder / f"{name}.{kind}"
                with replacing(path) as temporary:
                    figure.savefig(temporary, format=kind, dpi=DPI, bbox_inches="tight", metadata=_undated(kind))
                written.append(path)
            plt.close(figure)
    return written


def _undated(kind: str) -> dict[str, Any]:
    return {"Date": None} if kind == "svg" else {}


def _map(cells: AnnData, column: str) -> Figure:
    import scanpy as sc

    figure: Figure = sc.pl.umap(cells, color=column, title=column, frameon=False, show=False, return_fig=True)
    for axes in figure.axes:
        for points in axes.collections:
            points.set_rasterized(True)
    return figure


def _dots(cells: AnnData, column: str, markers: dict[str, list[str]]) -> Figure:
    import scanpy as sc

    plot = sc.pl.dotplot(
        cells, markers, groupby=column, standard_scale="var", use_raw=False, return_fig=True, show=False
    )
    plot.make_figure()
    figure: Figure = plot.fig
    return figure
