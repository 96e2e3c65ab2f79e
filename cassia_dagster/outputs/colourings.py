"""What cells can be coloured by: a value and a colour for each, with short keys that stand on a map."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cassia_dagster.agents.merge import UNRESOLVED
from cassia_dagster.outputs import palette
from cassia_dagster.outputs.result import ResolutionResult, final_label
from cassia_dagster.records import natural_order

if TYPE_CHECKING:
    import pandas as pd

LONGEST_KEY = 5
"""Letters that a cluster id may have to stand on the map; longer ones would hide each other."""

NOT_GIVEN = "not given"
"""What a cell without a given label is said to have."""


@dataclass(frozen=True)
class Colouring:
    """One property of all cells."""

    name: str
    """What it is, such as ``"cluster"`` or a column of given labels."""
    of_cell: pd.Series[Any]
    """Of each cell, in the order of the cells."""
    colours: Mapping[str, str]
    """Value to colour, in the order of the legend."""
    keys: Mapping[str, str]
    """Value to the short text that stands for it on the map."""
    lines: Mapping[str, str]
    """Value to what follows its key in the legend."""
    placed: tuple[pd.Series[Any], Mapping[str, str]]
    """Where keys stand: at the middle of the cells of each value of a series, with its text."""

    @property
    def title(self) -> str:
        """The heading of a map."""
        return f"Cells by {self.name}"


def colourings(result: ResolutionResult, cells: pd.DataFrame, gold: pd.DataFrame | None = None) -> list[Colouring]:
    """Colour the cells by cluster, by label, and by each gold label.

    Parameters
    ----------
    result
        A dataset at one resolution.
    cells
        Indexed by cell id: ``cluster`` as strings.
    gold
        Indexed by cell id: labels that others gave, a column each.

    Returns
    -------
    list of Colouring
        A label has the colour of its first cluster, a gold label that of the label that most of its cells
        bear, so that equal colours mean agreement.
    """
    clusters = cells["cluster"].astype(str)
    names = {row.cluster: final_label(row) for row in result.clusters}
    labels = clusters.map(names)
    of_cluster = palette.assign(names)
    of_label: dict[str, str] = {}
    for cluster, label in names.items():
        of_label.setdefault(label, palette.NEUTRAL if label == UNRESOLVED else of_cluster[cluster])
    marks, lines = {cluster: cluster for cluster in names}, dict(names)
    if max(map(len, names)) > LONGEST_KEY:
        marks = {cluster: _letters(position) for position, cluster in enumerate(names)}
        lines = {cluster: f"{cluster}: {label}" for cluster, label in names.items()}
    of_marks = {label: ", ".join(marks[c] for c in names if names[c] == label) for label in of_label}
    by_cluster = (clusters, marks)
    found = [
        Colouring("cluster", clusters, of_cluster, marks, lines, by_cluster),
        Colouring("label", labels, of_label, of_marks, {label: label for label in of_label}, by_cluster),
    ]
    for column, given in () if gold is None else gold.items():
        theirs = given.reindex(cells.index).astype("string").fillna(NOT_GIVEN).astype(str)
        of_gold = _gold_colours(theirs, labels, of_label)
        letters = {name: _letters(position) for position, name in enumerate(of_gold)}
        same = {name: name for name in of_gold}
        found.append(Colouring(str(column), theirs, of_gold, letters, same, (theirs, letters)))
    return found


def _gold_colours(gold: pd.Series[Any], labels: pd.Series[Any], of_label: Mapping[str, str]) -> dict[str, str]:
    """Colour gold labels, the most frequent first, like the labels that they mostly coincide with."""
    by_size = list(gold.value_counts().index)
    taken = {NOT_GIVEN: palette.NEUTRAL} if NOT_GIVEN in by_size else {}
    for name in by_size:
        colour = of_label[labels[gold == name].mode().iloc[0]]
        if name not in taken and colour not in (palette.NEUTRAL, *taken.values()):
            taken[name] = colour
    others = {f"label {label}": colour for label, colour in of_label.items()}
    given = palette.assign(by_size, taken | others)
    return {name: given[name] for name in natural_order(by_size)}


def _letters(position: int) -> str:
    """Count a, b, … z, aa, ab, and so on."""
    text = ""
    position += 1
    while position:
        position, letter = divmod(position - 1, 26)
        text = string.ascii_lowercase[letter] + text
    return text
