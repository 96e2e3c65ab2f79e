"""The commands about models: who plays the roles, what that will cost, and what was bought already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cassia_dagster.errors import ConfigurationError
from cassia_dagster.llm.choice import MODEL_ROLES, split_title

if TYPE_CHECKING:
    from resources.catalog import DatasetEntry

_WHO = "embedded (no key, no network), or provider/model as LiteLLM names them"

ModelOption = Annotated[
    str | None,
    typer.Option("--model", help=f"Who plays all roles: {_WHO}.  [default: CASSIA_MODEL, else embedded]"),
]


def _who_plays(role: str, verb: str) -> Any:
    return typer.Option(f"--{role}-model", help=f"Who {verb}, if not --model.", show_default=False)


AnnotationModelOption = Annotated[str | None, _who_plays("annotation", "names the clusters")]
ValidationModelOption = Annotated[str | None, _who_plays("validation", "checks the names")]
ScoreModelOption = Annotated[str | None, _who_plays("score", "scores the labels")]
BoostModelOption = Annotated[str | None, _who_plays("boost", "looks again at low scores")]
MergeModelOption = Annotated[str | None, _who_plays("merge", "groups the labels")]
ThresholdOption = Annotated[
    float | None,
    typer.Option("--score-threshold", min=0, max=100, help="Labels that score less get a second look.  [default: 75]"),
]
MaxWorkersOption = Annotated[
    int | None, typer.Option("--max-workers", min=1, max=256, help="Clusters worked on at once.  [default: 6]")
]
MaxUsdOption = Annotated[
    float | None,
    typer.Option("--max-usd", min=0, help="Most US dollars that the dataset may cost, over all its runs."),
]


def said_of_models(**models: str | None) -> dict[str, Any]:
    """Gather what the command line says of models, as a catalog entry takes it.

    Raises
    ------
    ConfigurationError
        If a model has no provider.
    """
    said = {role: model for role, model in models.items() if model is not None}
    for model in said.values():
        try:
            split_title(model)
        except ValueError as error:
            raise ConfigurationError(f"{str(error).capitalize()}.") from None
    return {"models": said}


def check_models(entry: DatasetEntry) -> None:
    """Find out before any work whether the models that a dataset would be given to can be asked.

    Raises
    ------
    ModelError
        With the role's provider, and the way out.
    """
    from resources.llm import ModelResource

    models = {role: ModelResource.from_environment(role).overlaid(entry.model(role)) for role in MODEL_ROLES}
    for model in {model.title: model for model in models.values()}.values():
        model.check()


cache = typer.Typer(help="The replies that were bought.", no_args_is_help=True)


def estimate() -> None:
    """TODO."""
