"""The whole method from a marker table alone, without any cells: as a function, and in its parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cassia_dagster.errors import ConfigurationError, InputError
from cassia_dagster.records import SPECIES, ClusterResult, Species
from cassia_dagster.singlecell.marker_evidence import N_MARKERS
from cassia_dagster.singlecell.resolutions import GIVEN, MARKER_TABLE
from resources.home import Home, home_of

if TYPE_CHECKING:
    import pandas as pd

    from cassia_dagster.llm.budget import Limits
    from cassia_dagster.llm.choice import ModelChoice, ModelRole
    from cassia_dagster.llm.ledger import Totals
    from cassia_dagster.llm.store import Store
    from cassia_dagster.method import Doors
    from cassia_dagster.outputs.result import ResolutionResult

LIBRARIES = ("pandas", "litellm")


def annotate_markers(
    markers: pd.DataFrame | Path | str,
    *,
    tissue: str,
    species: str,
    model: str | None = None,
    context: str = "",
    name: str = "markers",
    max_usd: float | None = None,
    home: Path | None = None,
) -> ResolutionResult:
    """Name the clusters of a marker table: annotate, validate, score, look again, group.

    Parameters
    ----------
    markers
        A table as Seurat's FindAllMarkers, Scanpy's ``get.rank_genes_groups_df`` or presto give it, or with two
        columns, cluster and its genes with commas between them; or the path of a file that holds one
        (``.csv``, ``.tsv``, also ``.gz``; ``.parquet``; ``.h5ad`` with ``uns["rank_genes_groups"]``).
    tissue
        Where the cells are from, such as ``"bone marrow"``.
    species
        ``"human"`` or ``"mouse"``.
    model
        ``"embedded"`` (no key, no network), or ``provider/model`` as LiteLLM names it; if not given, what
        ``CASSIA_MODEL`` and its like say, else the embedded one.
    context
        What else a model should know, such as ``"biopsy of a tumour"``.
    name
        What the ledger and the tables call the dataset.
    max_usd
        Most US dollars that it may cost, over all runs under this name.
    home
        Folder of the project's state, whose replies and ledger are used; ``CASSIA_HOME`` or ``.cassia`` if not given.

    Returns
    -------
    ResolutionResult
        A row for every cluster; ``cassia_dagster.scored_table(result)`` makes the table of CASSIA's columns of it.
        What only cells can tell (their number, maps, expression beyond the table) is not in it.

    Warns
    -----
    UserWarning
        If the merger's answer could not be used, so that the groupings are the labels themselves.

    Raises
    ------
    InputError
        If the table cannot be read; with the row and column.
    ModelError
        If the model cannot be asked at all.

    Examples
    --------
    >>> from cassia_dagster import annotate_markers, scored_table
    >>> result = annotate_markers(markers, tissue="blood", species="human")  # doctest: +SKIP
    >>> scored_table(result)[["cluster", "celltype_1", "score"]]  # doctest: +SKIP
    """
    import warnings

    result, trouble = name_marker_table(
        markers,
        tissue=tissue,
        species=species,
        models=all_played_by(model),
        context=context,
        name=name,
        max_usd=max_usd,
        home=home,
    )
    if trouble:
        warnings.warn(trouble, stacklevel=2)
    return result


def name_marker_table(
    markers: pd.DataFrame | Path | str,
    *,
    tissue: str,
    species: str,
    models: Mapping[ModelRole, ModelChoice],
    context: str = "",
    name: str,
    max_usd: float | None = None,
    home: Path | None = None,
    n_markers: int = N_MARKERS,
    **settings: float | None,
) -> tuple[ResolutionResult, str]:
    """Do as `annotate_markers` does, and say why the merger's answer could not be used, if so.

    Parameters
    ----------
    markers, tissue, species, context, name, max_usd, home
        As for `annotate_markers`.
    models
        What is said of the roles' models; the others are those of the environment.
    n_markers
        Markers of a cluster that count, at most.
    settings
        ``score_threshold`` and ``max_workers``, where the environment's are not to hold.
    """
    from cassia_dagster.marker_tables import load_markers_of
    from cassia_dagster.method import annotate_clusters
    from cassia_dagster.singlecell.marker_evidence import evidence_from_markers
    from resources.settings import AnnotationSettings

    known_species, known_tissue = check_sample(species, tissue), tissue.strip()
    table, notes = load_markers_of(markers, known_species)
    evidence = evidence_from_markers(
        table, species=known_species, tissue=known_tissue, context=context, n_markers=n_markers
    )
    place = Home.from_environment() if home is None else home_of(home)
    refuse_namesake(place, name, markers)
    chosen = AnnotationSettings.from_environment().with_choices(max_usd_per_dataset=max_usd, **settings)
    with open_store(place, chosen.limits(name)) as store:
        results, trouble = annotate_clusters(
            evidence,
            open_doors(models, store),
            f"{name}/{GIVEN}",
            score_threshold=chosen.score_threshold,
            max_workers=chosen.max_workers,
        )
        totals = store.totals(store.run)
    return result_of_table(results, name, known_species, known_tissue, totals, notes), trouble


def check_sample(species: str, tissue: str) -> Species:
    """Return the species, or raise `InputError` if it is none that is known, or the tissue is not said."""
    known = next((one for one in SPECIES if one == species.strip().lower()), None)
    if known is None:
        raise InputError(f"species {species!r} is not known; it must be {' or '.join(SPECIES)}.")
    if not tissue.strip() or not tissue.isprintable():
        raise InputError(f"tissue {tissue!r} says nothing; name where the cells are from, such as 'blood'.")
    return known


def refuse_namesake(home: Home, name: str, markers: pd.DataFrame | Path | str) -> None:
    """Raise `InputError` if a dataset of the catalog has the name, unless it is this very file.

    Its results and what they cost are kept under the name, and would mix with those of the marker table.
    """
    from resources.catalog import Catalog

    for entry in Catalog.read_sound(home.catalog)[0].datasets:
        same = isinstance(markers, Path | str) and Path(markers).absolute() == entry.path.absolute()
        if entry.name == name and not (same and not entry.has_cells):
            raise InputError(
                f"{name!r} is the name of a dataset in the catalog ({entry.path}), with whose results and costs these "
                "would mix. Give the marker table another name."
            )


def open_store(home: Home, limits: Limits | None = None) -> Store:
    """Open the project's replies and ledger for one run of its own; a context manager that closes itself."""
    from cassia_dagster.llm.store import Store

    try:
        home.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"The project's home {home.root} cannot be made: {error.strerror}.") from error
    return Store.open(home.model_store, limits=limits)


def all_played_by(model: str | None) -> Mapping[ModelRole, ModelChoice]:
    """Say that one model plays all roles; nothing where none is named."""
    from cassia_dagster.llm.choice import MODEL_ROLES, ModelChoice, said_of_model

    return {} if model is None else dict.fromkeys(MODEL_ROLES, ModelChoice.model_validate(said_of_model(model)))


def open_doors(chosen: Mapping[ModelRole, ModelChoice], store: Store) -> Doors:
    """Return the ways to the models of all roles: those of the environment, or those that are chosen instead.

    What the environment says of the same provider and model (address, key, quota, price) holds also for a chosen one.
    """
    from cassia_dagster.llm.choice import MODEL_ROLES, ModelChoice
    from cassia_dagster.method import Doors
    from resources.llm import ModelResource

    resources = [ModelResource.from_environment(role).overlaid(chosen.get(role, ModelChoice())) for role in MODEL_ROLES]
    for resource in {resource.title: resource for resource in resources}.values():
        resource.check()
    return Doors(*(resource.door(store) for resource in resources))


def result_of_table(
    clusters: tuple[ClusterResult, ...],
    name: str,
    species: Species,
    tissue: str,
    totals: Totals,
    notes: Iterable[str] = (),
) -> ResolutionResult:
    """Put together what is known of a marker table's clusters, and what it took."""
    from cassia_dagster.outputs.result import Spent, result_of

    return result_of(
        clusters,
        dataset=name,
        resolution=GIVEN,
        column=MARKER_TABLE,
        species=species,
        tissue=tissue,
        libraries=LIBRARIES,
        notes=notes,
        spent=Spent(
            usd=totals.usd,
            calls=totals.calls + totals.cached,
            cached_calls=totals.cached,
            unpriced_calls=totals.unpriced,
        ),
    )


def write_results(
    result: ResolutionResult, folder: Path, *, report: str | None = None, transcripts: bool = True
) -> dict[str, Path]:
    """Write what is known of a marker table's clusters; return the files.

    Parameters
    ----------
    result, folder
        What is written, and where to.
    report
        Name of the report's file, if not ``<dataset>_report.html``.
    transcripts
        Whether to write the conversations as text too, in a folder that holds those of one result only.

    Raises
    ------
    ConfigurationError
        If the folder cannot be written.
    """
    from cassia_dagster.files import replacing
    from cassia_dagster.outputs.report import render_report
    from cassia_dagster.outputs.tables import write_tables
    from cassia_dagster.outputs.transcripts import write_transcripts

    page = folder / (report or f"{result.dataset}_report.html")
    text = render_report(result, cells=None)
    try:
        paths = write_tables(result, folder, result.dataset)
        if transcripts:
            write_transcripts(result, folder)
        with replacing(page) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"The folder {folder.absolute()} cannot be written: {error.strerror}.") from error
    return {"report": page, **paths}
