"""The options by which the command line describes a dataset; `run` and `datasets add` share them."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cassia_dagster.commands.model_options import (
    AnnotationModelOption,
    BoostModelOption,
    MaxUsdOption,
    MaxWorkersOption,
    MergeModelOption,
    ModelOption,
    NamesakesOption,
    ScoreModelOption,
    ThresholdOption,
    ValidationModelOption,
    said_of_models,
)
from cassia_dagster.errors import InputError
from cassia_dagster.llm.choice import ModelChoice

if TYPE_CHECKING:
    from resources.catalog import DatasetEntry

type Said = dict[str, Any]
"""What a user says of a dataset: the fields of a catalog entry, not yet checked, without those that were not said."""

Several = list[str] | None

OUTPUT = Path("output")

_FOLDER = "Folder for reports, tables and the annotated file."
OutputOption = Annotated[Path, typer.Option("--output", help=_FOLDER)]


def _option(text: str, default: str = "") -> Any:
    return typer.Option(help=text + (f"  [default: {default}]" if default else ""), show_default=False)


def _described(
    file: Annotated[
        Path,
        typer.Argument(
            help="Cells: .h5ad, 10x .h5 or folder, .loom, .zarr, .csv or .tsv. Or marker genes: see --kind."
        ),
    ],
    species: Annotated[str, _option("human or mouse.")],
    tissue: Annotated[str | None, _option("Where the cells are from, such as 'pancreas'.")] = None,
    tissue_column: Annotated[
        str | None, _option("Instead of --tissue: column of obs with the tissue of each cell.")
    ] = None,
    name: Annotated[str | None, _option("Name of the dataset.", "the file's")] = None,
    kind: Annotated[
        Literal["cells", "markers"] | None,
        _option("cells, or markers: a table of marker genes alone (.csv, .tsv, .parquet, .h5ad).", "told by the file"),
    ] = None,
    context: Annotated[str, _option("What else a model should know, such as 'biopsy of a tumour'.")] = "",
    resolution: Annotated[Several, _option("Resolution of the clustering; repeatable.", "0.4, 0.8, 1.2")] = None,
    clusters: Annotated[
        Several,
        _option(
            "Column of obs with clusters of your own, to be named instead of Leiden's; repeatable. "
            "With --resolution: beside Leiden's."
        ),
    ] = None,
    primary_resolution: Annotated[
        str | None,
        _option("Fills the columns of the annotated file without a resolution in their name.", "the first"),
    ] = None,
    labels: Annotated[Several, _option("Column of obs with known cell types to compare with; repeatable.")] = None,
    label_terms: Annotated[
        Path | None, _option("CSV with columns label, cl_id: the known cell types as Cell Ontology terms.")
    ] = None,
    markers: Annotated[
        Path | None,
        _option("CSV of your own marker genes (columns cell_type, gene), which count beside the shipped knowledge."),
    ] = None,
    batch_key: Annotated[
        str | None, _option("Column of obs with batches; they are aligned by Harmony before cells are clustered.")
    ] = None,
    integrate: Annotated[
        bool | None,
        typer.Option("--integrate/--no-integrate", help="Align batches, or only count them.", show_default=False),
    ] = None,
    counts: Annotated[str | None, _option("Where the raw counts are: X, raw or layers/NAME.", "found")] = None,
    gene_symbols: Annotated[str | None, _option("Column of var with gene symbols.", "the names of var")] = None,
    output: Annotated[Path | None, _option(_FOLDER, str(OUTPUT))] = None,
    notes: Annotated[str, _option("Whatever you want to remember of it; changes no result.")] = "",
    model: ModelOption = None,
    annotation_model: AnnotationModelOption = None,
    validation_model: ValidationModelOption = None,
    score_model: ScoreModelOption = None,
    boost_model: BoostModelOption = None,
    merge_model: MergeModelOption = None,
    score_threshold: ThresholdOption = None,
    namesakes: NamesakesOption = None,
    max_workers: MaxWorkersOption = None,
    max_usd: MaxUsdOption = None,
    max_contradiction: Annotated[
        float | None,
        _option("Share of cells named against their --labels beyond which no annotated file is written.", "0.25"),
    ] = None,
) -> Said:
    models = said_of_models(
        all=model,
        annotation=annotation_model,
        validation=validation_model,
        score=score_model,
        boost=boost_model,
        merge=merge_model,
    )
    said = models | {
        "name": name,
        "path": file.absolute(),
        "kind": kind or kind_of(file),
        "species": species.strip().lower(),
        "tissue": tissue,
        "tissue_column": tissue_column,
        "context": context,
        "labels": tuple(labels or ()),
        "label_terms": label_terms and label_terms.absolute(),
        "markers": markers and markers.absolute(),
        "batch_key": batch_key,
        "integrate": integrate,
        "clusters": tuple(clusters or ()),
        "resolutions": tuple(resolution or ()),
        "primary_resolution": primary_resolution,
        "counts": counts,
        "gene_symbols": gene_symbols,
        "output": output and output.absolute(),
        "notes": notes,
        "score_threshold": score_threshold,
        "namesakes": namesakes,
        "max_workers": max_workers,
        "max_usd": max_usd,
        "max_contradiction": max_contradiction,
    }
    return {field: value for field, value in said.items() if value is not None and value not in ("", (), {})}


def describes_dataset(command: Callable[..., None]) -> Callable[..., None]:
    """Put the options that describe a dataset before a command's own; it gets them as its first argument, `Said`."""
    shared = inspect.signature(_described, eval_str=True).parameters
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        said = _described(**{name: given.pop(name) for name in shared})
        command(said, **given)

    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in (*shared.values(), *own)]
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # what typer reads
    with_options.__annotations__ = {one.name: one.annotation for one in parameters}
    return with_options


def kind_of(file: Path) -> Literal["cells", "markers"]:
    """Tell what a file holds where nobody says it: markers, if its columns are those of a marker table."""
    from cassia_dagster.singlecell.marker_files import has_marker_columns

    return "markers" if has_marker_columns(file) else "cells"


def name_of(said: Said) -> str:
    """Return the name that is said of a dataset, or else its file's.

    Raises
    ------
    InputError
        If the file has no format that can be read.
    """
    from cassia_dagster.singlecell.formats import check_format
    from cassia_dagster.singlecell.marker_files import check_marker_format

    path = Path(said["path"])
    suffix = check_marker_format(path) if said.get("kind") == "markers" else check_format(path)
    stem = path.name[: -len(suffix)] if path.name.lower().endswith(suffix) else path.name
    return said.get("name") or re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("._-")[:100] or "dataset"


def entry_of(said: Said, known: DatasetEntry | None = None) -> DatasetEntry:
    """Check what the user says of a dataset, as far as that goes without its file's content.

    Parameters
    ----------
    said
        What is said now.
    known
        What was said before, and holds where nothing else is said now.

    Raises
    ------
    InputError
        With the option and the value that cannot be.
    """
    from pydantic import ValidationError

    from resources.catalog import DatasetEntry

    below = {"output": OUTPUT.absolute()} if known is None else _left_of(known, said)
    models = _models_over(said.get("models", {}), known)
    try:
        return DatasetEntry.model_validate(below | said | {"name": name_of(said), "models": models})
    except ValidationError as error:
        first = error.errors()[0]
        value = "" if isinstance(first["input"], dict) else f" {first['input']!r}"
        field = ".".join(map(str, first["loc"])) or "dataset"
        raise InputError(f"{field}{value}: {first['msg'].removeprefix('Value error, ')}.") from None


def _left_of(known: DatasetEntry, said: Said) -> Said:
    """Return what was said before and can hold beside what is said now."""
    gone = set()
    if said.keys() & {"tissue", "tissue_column"}:
        gone = {"tissue", "tissue_column"}
    if "clusters" in said:  # they take the place of Leiden's, as long as nobody asks for both
        gone |= {"resolutions"}
    return {field: getattr(known, field) for field in type(known).model_fields if field not in gone}


def _models_over(said: dict[str, str], known: DatasetEntry | None) -> dict[str, ModelChoice]:
    """Lay models over those of an entry, role by role, so that what fits them still holds."""
    models: dict[str, ModelChoice] = dict(known.models.items()) if known else {}
    for role, model in said.items():
        models[role] = ModelChoice.model_validate(model).over(models.get(role, ModelChoice()))
    return models


def changes(before: DatasetEntry, after: DatasetEntry) -> str:
    """Say on one line which fields of an entry are others than before."""
    old, new = (entry.model_dump(mode="json") for entry in (before, after))
    return "; ".join(
        f"{field} {_shown(old[field])} → {_shown(new[field])}" for field in new if old[field] != new[field]
    )


def _shown(value: Any) -> str:
    return "nothing" if value in (None, "", [], {}) else repr(value)
