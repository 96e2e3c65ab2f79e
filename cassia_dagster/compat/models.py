"""Reads the way in which CASSIA names models: a model here, a provider there, or a provider by its address."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from cassia_dagster.compat.keys import OWN_SERVER_KEY, is_address
from cassia_dagster.errors import ConfigurationError
from cassia_dagster.llm.choice import EMBEDDED, ModelChoice, ModelRole

USUAL_PROVIDER = "openrouter"


def chosen_model(model: str | None, provider: str | None, **fields: Any) -> ModelChoice:
    """Return the choice of a model as CASSIA writes it; nothing where no model is named.

    Parameters
    ----------
    model
        The provider's name of the model, such as ``"anthropic/claude-sonnet-4.5"``.
    provider
        LiteLLM's name of the provider, ``"embedded"`` (no key, no network), or the address of a server that speaks
        OpenAI's format.
    fields
        What else is said of it, such as ``temperature``.
    """
    provider = provider or USUAL_PROVIDER
    if provider == EMBEDDED:
        return ModelChoice(provider=EMBEDDED)
    if model is None:
        return ModelChoice()
    said: dict[str, Any] = {"provider": provider, "model": model}
    if is_address(provider):
        said = {"provider": "openai", "model": model, "api_base": provider, "api_key_env": OWN_SERVER_KEY}
    try:
        return ModelChoice.model_validate(said | {name: value for name, value in fields.items() if value is not None})
    except ValidationError as error:
        reason = error.errors(include_input=False)[0]["msg"].removeprefix("Value error, ")
        raise ConfigurationError(f"Model {model!r} of provider {provider!r}: {reason}.") from None


def cast(
    annotation: ModelChoice, score: ModelChoice, boost: ModelChoice, merge: ModelChoice
) -> dict[ModelRole, ModelChoice]:
    """Say who plays which role; the validator is the annotator's model, as in CASSIA."""
    return {"annotation": annotation, "validation": annotation, "score": score, "boost": boost, "merge": merge}


WITHOUT_EFFECT: Mapping[str, str] = {
    "max_retries": "what can be asked again is asked again, as long as it may help",
    "ranking_method": "markers are ranked by their score, or by what the table has in its place",
    "ascending": "markers are ranked by their score, or by what the table has in its place",
    "conversation_history_mode": "the booster sees what was tested in all rounds",
    "report_style": "there is one report",
    "validator_involvement": "there is one validator",
    "validate_api_keys_before_start": "keys are always looked for before the first question",
    "validate_api_key_before_start": "keys are always looked for before the first question",
    "auto_convert_ids": "gene ids are read where they are known",
    "merge_annotations": "labels are always grouped",
    "verbose": "",
    "overall_reasoning": "models think as much as their provider lets them by default",
    "annotation_reasoning": "models think as much as their provider lets them by default",
    "score_reasoning": "models think as much as their provider lets them by default",
    "annotationboost_reasoning": "models think as much as their provider lets them by default",
    "merge_reasoning": "models think as much as their provider lets them by default",
    "reasoning": "models think as much as their provider lets them by default",
    "conversations_json_path": "the table itself holds the conversation",
    "generate_report": "the report is always written",
    "batch_max_workers": "runs follow one another; max_workers says how many clusters are asked about at once",
    "celltype_column": "columns are known by their names",
    "gene_column_name": "columns are known by their names",
    "main_weight": "labels are compared on the Cell Ontology, without weights",
    "sub_weight": "labels are compared on the Cell Ontology, without weights",
    "max_workers": "nobody is asked",
    "model": "nobody is asked",
    "provider": "nobody is asked",
    "temperature": "nobody is asked",
    "consensus_threshold": "two thirds decide",
    "api_key": "say it with set_api_key",
}
"""Parameters of CASSIA that are taken and change nothing, and why."""


def note_unused(function: str, others: Mapping[str, object]) -> None:
    """Warn of parameters of CASSIA that change nothing here; refuse those that CASSIA does not have either."""
    for name in others:
        if name not in WITHOUT_EFFECT:
            raise TypeError(f"{function}() has no parameter {name!r}.")
        if why := WITHOUT_EFFECT[name]:
            warnings.warn(f"{function}: {name} has no effect here: {why}.", stacklevel=3)
