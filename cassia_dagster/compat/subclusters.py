"""The parts of one cluster, by CASSIA's name of the function: subclusters, named as kinds of their parent."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from cassia_dagster.compat.models import cast, chosen_model, note_unused
from cassia_dagster.compat.pipeline import N_GENES, place_of

if TYPE_CHECKING:
    import pandas as pd


def runCASSIA_subclusters(  # noqa: N802 - CASSIA's name
    marker: pd.DataFrame | str | Path,
    major_cluster_info: str,
    output_name: str,
    model: str | None = None,
    temperature: float | None = None,
    provider: str = "openrouter",
    n_genes: int = N_GENES,
    tissue: str | None = None,
    species: str = "human",
    additional_context: str | None = None,
    **others: object,
) -> pd.DataFrame:
    """Name the subclusters of one cluster, and say of each whether its label is a kind of the parent.

    Parameters
    ----------
    marker
        The table of the subclusters' markers.
    major_cluster_info
        What the cluster is, such as ``"cd8 t cell"``; every model is told.
    output_name
        ``<output_name>.csv`` is written.
    model, temperature, provider, n_genes
        As for `runCASSIA_batch`.
    tissue
        Where the cells are from; unknown if not given.
    species
        ``"human"`` or ``"mouse"``.
    additional_context
        What else a model should know.
    others
        Parameters of CASSIA that change nothing here are taken, with a warning that says why.

    Returns
    -------
    pandas.DataFrame
        The columns of ``…_scored.csv``, ``parent``, and ``within_parent``: whether the label is the parent's or a kind
        of it on the Cell Ontology; empty where one of the two is no term.
    """
    from cassia_dagster.annotating import name_marker_table
    from cassia_dagster.knowledge.ontology import Relation, load_ontology
    from cassia_dagster.knowledge.resolver import resolve_name
    from cassia_dagster.outputs.tables import scored_table, write_inert
    from cassia_dagster.records import SPECIES

    note_unused("runCASSIA_subclusters", others)
    folder, name = place_of(output_name)
    chosen = chosen_model(model, provider, temperature=temperature)
    told = f"All are subclusters of one cluster, which is: {major_cluster_info.strip()}."
    result, trouble = name_marker_table(
        marker,
        tissue=tissue or "unknown",
        species=species,
        models=cast(chosen, chosen, chosen, chosen),
        context=f"{told} {additional_context or ''}".strip(),
        name=name,
        n_markers=n_genes,
    )
    if trouble:
        warnings.warn(f"The groupings are the labels themselves: {trouble}", stacklevel=2)
    known = next((one for one in SPECIES if one == species.strip().lower()), None)
    parent = resolve_name(major_cluster_info, tissue or "", known).cl_id
    table = scored_table(result).assign(parent=major_cluster_info)
    within = {Relation.EXACT: True, Relation.FINER: True, Relation.UNMAPPED: None, Relation.UNRESOLVED: None}
    table["within_parent"] = [
        within.get(load_ontology().relation(cl_id or None, parent), False) for cl_id in table["cl_id"]
    ]
    write_inert(table, folder / f"{name}.csv")
    return table
