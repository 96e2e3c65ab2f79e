"""The whole method on a marker table, by CASSIA's names of the function, its parameters and its files."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cassia_dagster.compat.models import cast, chosen_model, note_unused
from cassia_dagster.errors import ConfigurationError

if TYPE_CHECKING:
    import pandas as pd

    from cassia_dagster.llm.choice import ModelChoice, ModelRole
    from cassia_dagster.outputs.result import ResolutionResult

N_GENES = 50
"""Markers of a cluster that CASSIA shows its models."""


def runCASSIA_pipeline(  # noqa: N802 - CASSIA's name
    output_file_name: str,
    tissue: str,
    species: str,
    marker: pd.DataFrame | str | Path,
    max_workers: int = 4,
    overall_provider: str = "openrouter",
    annotation_model: str | None = None,
    annotation_provider: str | None = None,
    score_model: str | None = None,
    score_provider: str | None = None,
    annotationboost_model: str | None = None,
    annotationboost_provider: str | None = None,
    score_threshold: float = 75,
    additional_info: str | None = None,
    merge_model: str | None = None,
    merge_provider: str | None = None,
    output_dir: str | None = None,
    n_genes: int = N_GENES,
    **others: object,
) -> pd.DataFrame:
    """Annotate, validate, score, look again at and group the clusters of a marker table.

    Parameters
    ----------
    output_file_name
        How the files' names begin; it may lead into a folder. Written are ``…_summary.csv``, ``…_full.csv``,
        ``…_scored.csv`` and ``…_report.html``.
    tissue, species
        Of the sample; species in any case ("Human").
    marker
        The table, or the path of a file that holds it; see `cassia_dagster.annotate_markers`.
    max_workers
        Clusters that are worked on at once.
    overall_provider
        The provider of all roles for which no other is named.
    annotation_model, annotation_provider, score_model, score_provider
        Who names (and checks the names), and who scores. Where no model is named, the environment's choice
        (``CASSIA_MODEL`` and its like) holds, else the embedded model; the provider ``"embedded"`` asks for that one.
    annotationboost_model, annotationboost_provider, merge_model, merge_provider
        Who looks again, and who groups.
    score_threshold
        Labels that score less get a second look; what it finds is in all files.
    additional_info
        What else a model should know.
    output_dir
        Folder for the files; the working directory if not given.
    n_genes
        Markers of a cluster that are shown, at most.
    others
        Parameters of CASSIA that change nothing here are taken, with a warning that says why.

    Returns
    -------
    pandas.DataFrame
        What is in ``…_scored.csv``: a row for every cluster, also for one that could not be named.

    Raises
    ------
    InputError
        If the table cannot be read.
    ModelError
        If a model cannot be asked at all.
    """
    from cassia_dagster.outputs.tables import scored_table

    note_unused("runCASSIA_pipeline", others)
    result = _written(
        output_file_name,
        marker,
        tissue,
        species,
        output_dir=output_dir,
        additional_info=additional_info,
        models=cast(
            chosen_model(annotation_model, annotation_provider or overall_provider),
            chosen_model(score_model, score_provider or overall_provider),
            chosen_model(annotationboost_model, annotationboost_provider or overall_provider),
            chosen_model(merge_model, merge_provider or overall_provider),
        ),
        n_genes=n_genes,
        max_workers=max_workers,
        score_threshold=score_threshold,
    )
    return scored_table(result)


def runCASSIA_batch(  # noqa: N802 - CASSIA's name
    marker: pd.DataFrame | str | Path,
    output_name: str = "cell_type_analysis_results",
    n_genes: int = N_GENES,
    model: str | None = None,
    temperature: float | None = None,
    tissue: str = "lung",
    species: str = "human",
    additional_info: str | None = None,
    max_workers: int = 10,
    provider: str = "openrouter",
    **others: object,
) -> pd.DataFrame:
    """Do as `runCASSIA_pipeline` does, with one model in all roles; scores and groupings come with the labels.

    Returns
    -------
    pandas.DataFrame
        What is in ``…_summary.csv``.
    """
    from cassia_dagster.outputs.tables import summary_table

    note_unused("runCASSIA_batch", others)
    chosen = chosen_model(model, provider, temperature=temperature)
    result = _written(
        output_name,
        marker,
        tissue,
        species,
        output_dir=None,
        additional_info=additional_info,
        models=cast(chosen, chosen, chosen, chosen),
        n_genes=n_genes,
        max_workers=max_workers,
    )
    return summary_table(result)


def place_of(output: str, folder: str | Path | None = None) -> tuple[Path, str]:
    """Split what CASSIA calls an output name into a folder and how the files' names begin.

    Raises
    ------
    ConfigurationError
        If no file can be called so.
    """
    from resources.catalog import check_name

    path = Path(folder or ".") / output
    name = path.name.removesuffix(".csv").removesuffix(".json")
    try:
        check_name(name)
    except ValueError as error:
        raise ConfigurationError(f"The output name {output!r} cannot be used: {error}.") from error
    return path.parent, name


def _written(
    output: str,
    marker: pd.DataFrame | str | Path,
    tissue: str,
    species: str,
    *,
    output_dir: str | None,
    additional_info: str | None,
    models: Mapping[ModelRole, ModelChoice],
    n_genes: int,
    max_workers: int,
    score_threshold: float | None = None,
) -> ResolutionResult:
    from cassia_dagster.annotating import name_marker_table, write_results

    folder, name = place_of(output, output_dir)
    said = "" if additional_info in {None, "None"} else str(additional_info)
    result, trouble = name_marker_table(
        marker,
        tissue=tissue,
        species=species,
        models=models,
        context=said,
        name=name,
        n_markers=n_genes,
        max_workers=max_workers,
        score_threshold=score_threshold,
    )
    if trouble:
        warnings.warn(f"The groupings are the labels themselves: {trouble}", stacklevel=3)
    if not any(row.evidence.markers for row in result.clusters):
        warnings.warn(
            "No gene of any cluster is a significant marker that is up, so no cluster can be named. Were the genes "
            "ranked on scaled values? Keep the log-normalised ones (adata.raw = adata after log1p), and rank again.",
            stacklevel=3,
        )
    write_results(result, folder, transcripts=False)  # they are in the full table; a folder may hold many results
    return result
