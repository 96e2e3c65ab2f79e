"""The options by which the command line describes a dataset; `run` and `datasets add` share them."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cassia_dagster.errors import InputError
from cassia_dagster.model_options import (
    AnnotationModelOption,
    BoostModelOption,
    MaxUsdOption,
    MaxWorkersOption,
    MergeModelOption,
    ModelOption,
    ScoreModelOption,
    ThresholdOption,
    ValidationModelOption,
    said_of_models,
)

if TYPE_CHECKING:
    from resources.catalog import DatasetEntry

type Said = dict[str, Any]
"""What a user says of a dataset: the fields of a catalog entry, not yet checked."""

Several = list[str] | None

OutputOption = Annotated[Path, typer.Option("--output", help="Folder for reports, tables and the annotated file.")]


def _option(text: str, default: str = "") -> Any:
    return typer.Option(help=text + (f"  [default: {default}]" if default else ""), show_default=False)


def _described(
    file: Annotated[Path, typer.Argument(help="Counts: .h5ad, 10x .h5 or folder, .zarr, .csv or .tsv.")],
    species: Annotated[str, _option("human or mouse.")],
    tissue: Annotated[str | None, _option("Where the cells are from, such as 'pancreas'.")] = None,
    tissue_column: Annotated[
        str | None, _option("Instead of --tissue: column of obs with the tissue of each cell.")
    ] = None,
    name: Annotated[str | None, _option("Name of the dataset.", "the file's")] = None,
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
        str | None, _option("Column of obs with batches; they are counted, and not corrected for yet.")
    ] = None,
    counts: Annotated[str | None, _option("Where the raw counts are: X, raw or layers/NAME.", "found")] = None,
    gene_symbols: Annotated[str | None, _option("Column of var with gene symbols.", "the names of var")] = None,
    output: OutputOption = Path("output"),
    notes: Annotated[str, _option("Whatever you want to remember of it; changes no result.")] = "",
    model: ModelOption = None,
    annotation_model: AnnotationModelOption = None,
    validation_model: ValidationModelOption = None,
    score_model: ScoreModelOption = None,
    boost_model: BoostModelOption = None,
    merge_model: MergeModelOption = None,
    score_threshold: ThresholdOption = None,
    max_workers: MaxWorkersOption = None,
    max_usd: MaxUsdOption = None,
) -> Said:
    chosen = {"resolutions": tuple(resolution)} if resolution else {}
    models = said_of_models(
        all=model,
        annotation=annotation_model,
        validation=validation_model,
        score=score_model,
        boost=boost_model,
        merge=merge_model,
    )
    return (
        chosen
        | models
        | {
            "name": name,
            "path": file.absolute(),
            "species": species.strip().lower(),
            "tissue": tissue,
            "tissue_column": tissue_column,
            "context": context,
            "labels": tuple(labels or ()),
            "label_terms": label_terms and label_terms.absolute(),
            "markers": markers and markers.absolute(),
            "batch_key": batch_key,
            "clusters": tuple(clusters or ()),
            "primary_resolution": primary_resolution,
            "counts": counts,
            "gene_symbols": gene_symbols,
            "output": output.absolute(),
            "notes": notes,
            "score_threshold": score_threshold,
            "max_workers": max_workers,
            "max_usd": max_usd,
        }
    )


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


def entry_of(said: Said) -> DatasetEntry:
    """Check what the user says of a dataset, as far as that goes without its file's content.

    Raises
    ------
    InputError
        With the option and the value that cannot be.
    """
    from pydantic import ValidationError

    from cassia_dagster.singlecell.formats import check_format
    from resources.catalog import DatasetEntry

    path = Path(said["path"])
    suffix = check_format(path)
    if said["name"] is None:
        stem = path.name[: -len(suffix)] if path.name.lower().endswith(suffix) else path.name
        said = said | {"name": re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("._-")[:100] or "dataset"}
    try:
        return DatasetEntry.model_validate(said)
    except ValidationError as error:
        first = error.errors()[0]
        value = "" if isinstance(first["input"], dict) else f" {first['input']!r}"
        field = ".".join(map(str, first["loc"])) or "dataset"
        raise InputError(f"{field}{value}: {first['msg'].removeprefix('Value error, ')}.") from None
