"""Recommends one of a dataset's resolutions, by a rule that a person can follow, and says why in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cassia_dagster.records import Record

if TYPE_CHECKING:
    from cassia_dagster.evaluation.review import Level

AS_SOUND = 0.05
"""Share of cells that a resolution may have less under sound labels than the best one, and count as equally sound."""

LEAST_STABILITY = 0.6
"""Below this a clustering is a matter of chance (Hennig 2007 calls clusters under 0.6 not to be trusted). To be worth
choosing is less than to be called stable, which takes `cassia_dagster.singlecell.stability.STABLE`."""


class Recommendation(Record):
    """The resolution that says most of what the data bears out."""

    resolution: str
    reason: str


def recommend(levels: Sequence[Level]) -> Recommendation:
    """Choose among the Leiden resolutions; known labels have no say, so that they can judge the choice.

    Those count whose share of cells under sound labels (scored well, nothing found against them; here, or for the same
    cells at another resolution) is nearly the best, and which are no matter of chance, where that was measured. Of
    these it is the one that tells the most types apart; of several, the one with the fewest clusters.

    Parameters
    ----------
    levels
        Clusterings of the user's own are chosen only where there are no others.
    """
    ours = [level for level in levels if not level.is_given] or list(levels)
    if len(ours) == 1:
        return Recommendation(resolution=ours[0].resolution, reason=f"{_title(ours[0])} is the only one to choose.")
    no_chance = settled(ours)
    candidates = no_chance or ours
    best = max(level.sound_share for level in candidates)
    sound = [level for level in candidates if level.sound_share >= best - AS_SOUND]
    chosen = min(sound, key=lambda level: (-level.sound_types, len(level.clusters)))
    return Recommendation(resolution=chosen.resolution, reason=_reason(chosen, ours, sound, no_chance))


def settled(levels: Sequence[Level]) -> list[Level]:
    """Return those that are no matter of chance, as far as that was measured."""
    return [level for level in levels if level.stability is None or level.stability >= LEAST_STABILITY]


def _reason(chosen: Level, ours: Sequence[Level], sound: Sequence[Level], no_chance: Sequence[Level]) -> str:
    if not any(level.sound_share for level in ours):
        among = " of those that are no matter of chance" if 0 < len(no_chance) < len(ours) else ""
        return (
            f"No resolution has a label that the markers bear out, so nothing speaks for one of them; "
            f"{chosen.title} has the fewest clusters{among}."
        )
    share, types = f"{100 * chosen.sound_share:.0f} %", _count(chosen.sound_types, "type")
    sentences = [f"At {chosen.title}, {share} of the cells are in clusters with a sound label, and these name {types}."]
    if elsewhere := sum(one.borne_out is not None for one in chosen.clusters):
        counts = "counts" if elsewhere == 1 else "count"
        sentences.append(
            f"{elsewhere:,} of the labels scored low here, and {counts} as far as the same cells are soundly called so "
            "at another resolution."
        )
    if chosen.repeats:
        bear = "bears" if chosen.repeats == 1 else "bear"
        sentences.append(f"{chosen.repeats} of its clusters {bear} the label of another one.")
    others = (level for level in ours if level is not chosen)
    sentences += [f"{_title(level)} {_why_not(level, chosen, sound, no_chance)}." for level in others]
    if not no_chance:
        sentences.append(
            "Each of the clusterings is a matter of chance: look at the clusters before you believe in any of them."
        )
    return " ".join(sentences)


def _why_not(level: Level, chosen: Level, sound: Sequence[Level], no_chance: Sequence[Level]) -> str:
    if no_chance and level not in no_chance:
        return f"is a matter of chance (stability {level.stability:.2f})"
    if level not in sound:
        return f"has only {100 * level.sound_share:.0f} % of the cells under such labels"
    if level.sound_types < chosen.sound_types:
        return f"tells only {level.sound_types} apart"
    if len(level.clusters) == len(chosen.clusters):
        return "tells as many apart by as many clusters"
    return f"needs {_count(len(level.clusters), 'cluster')} for the same number, not {len(chosen.clusters)}"


def _title(level: Level) -> str:
    return level.title[:1].upper() + level.title[1:]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
