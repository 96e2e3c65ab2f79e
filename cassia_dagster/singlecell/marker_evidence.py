"""Gathers what a marker table alone says of each cluster: its ranked markers, and nothing of its cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cassia_dagster.records import ClusterEvidence, Species, natural_order
from cassia_dagster.singlecell.markers import to_markers

if TYPE_CHECKING:
    import pandas as pd

MAX_P_VAL_ADJ = 0.05
N_MARKERS = 100


def evidence_from_markers(
    table: pd.DataFrame, *, species: Species, tissue: str, context: str = "", n_markers: int = N_MARKERS
) -> list[ClusterEvidence]:
    r"""Profile every cluster of a marker table, also one whose genes are all down or not significant.

    Parameters
    ----------
    table
        As `marker_files.read_marker_table` returns it.
    species, tissue, context
        What the user says of the sample.
    n_markers
        Markers to keep, at most.

    Returns
    -------
    list of ClusterEvidence
        In natural order of the cluster ids, with ``n_cells`` and ``share`` unknown. Genes that are known to be down,
        or not significant (adjusted p above 0.05), are left out. The best come first: by score; where there is none,
        by p-value, and where those are equal (0, often) by the fold change times the difference of the fractions, so
        that a gene of few cells does not lead; where nothing is known, in the order of the table.
    """
    rows = {str(cluster): part for cluster, part in table.groupby("cluster", sort=False)}
    return [
        ClusterEvidence(
            cluster=cluster,
            n_cells=None,
            share=None,
            markers=tuple(to_markers(_ranked(rows[cluster]).head(n_markers))),
            species=species,
            tissue=tissue,
            context=context,
        )
        for cluster in natural_order(rows)
    ]


def _ranked(part: pd.DataFrame) -> pd.DataFrame:
    down = (part["avg_log2FC"] <= 0) | (part["score"] <= 0)
    markers = part[~down & ~(part["p_val_adj"] > MAX_P_VAL_ADJ)]
    if markers["score"].notna().all():
        keys = {"first": -markers["score"]}
    else:
        p_value = markers["p_val"].fillna(markers["p_val_adj"])
        detected = (markers["pct.1"] - markers["pct.2"]).clip(lower=0).fillna(1.0)
        keys = {"first": p_value, "second": -(markers["avg_log2FC"] * detected)}
    ranked = markers.assign(**keys).sort_values(list(keys), kind="stable", na_position="last")
    return ranked[part.columns]
