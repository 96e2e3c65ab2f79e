"""Colours: the same one for the same name everywhere, and told apart by as many eyes as possible."""

from __future__ import annotations

from collections.abc import Iterable

# Six colours of Okabe & Ito (2008), then 34 more, each the farthest from all before it in Oklab: mean of the
# distance as it is and the smaller one of protanopia and deuteranopia as simulated by Machado et al. (2009).
# All have a middle lightness, to show on white and on near-black. Colour never stands alone: maps bear keys.
CATEGORICAL = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#a80060", "#00e090",
    "#007000", "#a068f8", "#f888f8", "#8028a8", "#f8a0a0", "#a04008", "#906878", "#28b830",
    "#c040b0", "#0098b8", "#d82860", "#00c0a8", "#788800", "#206860", "#3048d0", "#c09068",
    "#90d000", "#0088e8", "#705080", "#f85078", "#a888e0", "#c0c078", "#90c8d0", "#707040",
    "#8850d0", "#288088", "#c0a0d0", "#805050", "#f87040", "#8870c0", "#e860d0", "#a87858",
)  # fmt: skip

NEUTRAL = "#8a8f98"
"""For what has no name."""


def assign(names: Iterable[str], taken: dict[str, str] | None = None) -> dict[str, str]:
    """Give each name a colour.

    Parameters
    ----------
    names
        Names in the order in which colours are given; repeated ones count once.
    taken
        Names that have a colour already; they keep it, and no other name gets it while unused ones are left.

    Returns
    -------
    dict
        Name to colour, for ``names`` only. Beyond forty names, colours repeat.
    """
    taken = taken or {}
    free = [colour for colour in CATEGORICAL if colour not in taken.values()] or list(CATEGORICAL)
    distinct = list(dict.fromkeys(names))
    fresh = [name for name in distinct if name not in taken]
    given = {name: free[position % len(free)] for position, name in enumerate(fresh)}
    return {name: taken.get(name) or given[name] for name in distinct}
