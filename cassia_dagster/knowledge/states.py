"""What cells are doing, apart from what they are: read from the genes that tell no identity."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from cassia_dagster.knowledge.tables import read_toml
from cassia_dagster.records import Annotation, Marker, Record

STATES = {"cycle": "cycling", "interferon": "interferon response", "stress": "stressed", "hypoxia": "hypoxic"}
"""Groups of genes in ``data/judgement.toml`` to the state that they tell."""

_N_MARKERS = 50
_LEAST_GENES = 5  # one or two of a group are among the best markers of many a resting type


class CellState(Record):
    """A gene programme that is on in a cluster."""

    name: str
    genes: tuple[str, ...]
    """The markers that tell it, best first."""


def cell_states(markers: Sequence[Marker]) -> tuple[CellState, ...]:
    """The states that at least five of the best markers agree on, those with most genes first."""
    best = [marker.gene for marker in markers[:_N_MARKERS]]
    found = (
        CellState(name=state, genes=tuple(gene for gene in best if _pattern(group).search(gene.upper())))
        for group, state in STATES.items()
    )
    return tuple(sorted((one for one in found if len(one.genes) >= _LEAST_GENES), key=lambda one: -len(one.genes)))


def cell_state(markers: Sequence[Marker]) -> str | None:
    """The state that most of the best markers tell, or ``None`` where fewer than five of them agree on one."""
    return next((state.name for state in cell_states(markers)), None)


def state_of(annotation: Annotation | None, markers: Sequence[Marker]) -> str | None:
    """The state of a cluster as its annotation names it, else as its markers tell it.

    A cluster that got no name, or no answer, may have a state all the same.
    """
    return (annotation.cell_state if annotation else None) or cell_state(markers)


@cache
def _pattern(group: str) -> re.Pattern[str]:
    return re.compile("|".join(read_toml("judgement.toml")["genes"]["no_identity"][group]))
