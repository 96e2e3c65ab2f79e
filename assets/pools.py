"""What a step needs of others' share: a place with the provider that it asks, and memory."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

from cassia_dagster.errors import ConfigurationError
from cassia_dagster.llm.choice import EMBEDDED, MODEL_ROLES, chosen_in_environment
from cassia_dagster.singlecell.memory import memory_needed

if TYPE_CHECKING:
    from cassia_dagster.llm.choice import ModelRole

MATRIX = "matrix"
"""The pool of the steps that hold a whole matrix in memory."""

LARGEST = "CASSIA_LARGEST_MATRIX"
"""Variable with the values that are not zero in the largest matrix of the project."""


def pool_of(role: ModelRole) -> str:
    """Name the pool of a step that asks the model of a role: one for each provider, ``llm`` for the embedded model.

    The provider is the one that the environment chooses. A dataset whose catalog entry chooses another one still
    takes its place here; what a provider lets through is counted call by call, whoever chose it.
    """
    provider = chosen_in_environment(role).provider or EMBEDDED
    return "llm" if provider == EMBEDDED else f"llm-{provider}"


def pools_of_models() -> frozenset[str]:
    """Name the pools of all steps that ask models, as the environment chooses these now."""
    return frozenset(map(pool_of, MODEL_ROLES))


def memory_tags(*, matrix: bool) -> dict[str, Any]:
    """Say to Kubernetes how much memory a step or a run takes, by the rule of `memory_needed`.

    Parameters
    ----------
    matrix
        Whether it opens a matrix of cells: the largest of the project counts. Tables take what the libraries do.

    Raises
    ------
    ConfigurationError
        If ``CASSIA_LARGEST_MATRIX`` is no number.
    """
    mebibytes = math.ceil(memory_needed(_largest() if matrix else 0) / 2**20)
    memory = {"memory": f"{mebibytes}Mi"}
    return {"dagster-k8s/config": {"container_config": {"resources": {"requests": memory, "limits": memory}}}}


def run_tags() -> dict[str, Any]:
    """Say to Kubernetes how much memory a run takes: it holds a matrix, or reads genes of it.

    Elsewhere a run says nothing of it, for a tag stands beside each run that the user interface lists.
    """
    # Kubernetes sets it in every container.
    return memory_tags(matrix=True) if "KUBERNETES_SERVICE_HOST" in os.environ else {}


def _largest() -> int:
    said = os.environ.get(LARGEST, "").strip() or "600000000"
    if not said.isdecimal():
        raise ConfigurationError(
            f"Environment variable {LARGEST}: {said!r} is no number; say how many values of the largest matrix are "
            "not zero, such as 600000000."
        )
    return int(said)
