"""What cells are doing, apart from what they are: read from the genes that tell no identity."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from cassia_dagster.knowledge.tables import read_toml
from cassia_dagster.records import Marker

STATES = {"cycle": "cycling", "interferon": "interferon response", "stress": "stressed", "hypoxia": "hypoxic"}
"""Groups of genes in ``data/judgement.toml`` to the state that they tell."""

_N_MARKERS = 50
_LEAST_GENES = 5  # one or two of a group are among the best markers of many a resting type


def cell_state(markers: Sequence[Marker]) -> str | None:
    """The state that most of the best markers tell, or ``None`` where fewer than five of them agree on one."""
    genes = [marker.gene.upper() for marker in markers[:_N_MARKERS]]
    counts = {state: sum(_pattern(group).search(gene) is not None for gene in genes) for group, state in STATES.items()}
    state = max(counts, key=lambda one: counts[one])
    return state if counts[state] >= _LEAST_GENES else None


@cache
def _pattern(group: str) -> re.Pattern[str]:
    return re.compile("|".join(read_toml("judgement.toml")["genes"]["no_identity"][group]))
