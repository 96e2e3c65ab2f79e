"""What analyses on demand found out, as sections of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cassia_dagster.agents.debate import Debate
from cassia_dagster.agents.hypothesize import ClusterHypotheses
from cassia_dagster.agents.uncertainty import UncertainCluster
from cassia_dagster.outputs.sections import Section
from cassia_dagster.records import ClusterFinding

ANALYSES: Mapping[str, type[ClusterFinding]] = {
    "uncertainty": UncertainCluster,
    "hypotheses": ClusterHypotheses,
    "symphony": Debate,
}
"""The assets whose rows have a section, in reading order, and what a row is."""

_TITLES = {"uncertainty": "Certainty", "hypotheses": "Alternatives", "symphony": "Debates"}


def analysis_sections(found: Mapping[str, Sequence[ClusterFinding]]) -> list[Section]:
    """Make a section of each analysis that found something.

    Parameters
    ----------
    found
        Rows by the asset of `ANALYSES` that made them; all about clusters of the report.
    """
    return [Section(name, _TITLES[name], f"{name}.html.j2", found[name]) for name in ANALYSES if found.get(name)]
