"""The options by which the command line chooses models, and what they may cost."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cassia_dagster.llm.choice import said_of_model

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
NamesakesOption = Annotated[
    bool | None,
    typer.Option(
        "--namesakes/--no-namesakes",
        help="Look again at clusters that share a name, to tell which kind of it each is.  [default: namesakes]",
        show_default=False,
    ),
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
    return {"models": {role: said_of_model(model) for role, model in models.items() if model is not None}}
