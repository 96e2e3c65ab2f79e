"""What analyses on demand found out, as sections of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cassia_dagster.agents.debate import Debate
from cassia_dagster.agents.hypothesize import ClusterHypotheses
from cassia_dagster.agents.subclusters import Subcluster
from cassia_dagster.agents.uncertainty import UncertainCluster
from cassia_dagster.evaluation.drift import Drift
from cassia_dagster.evaluation.leaderboard import Place
from cassia_dagster.outputs.sections import Section

type Found = UncertainCluster | ClusterHypotheses | Debate | Subcluster | Drift | Place
"""What an analysis keeps of one cluster, of all, or of one model that named them."""

ANALYSES: Mapping[str, type[Found]] = {
    "uncertainty": UncertainCluster,
    "hypotheses": ClusterHypotheses,
    "symphony": Debate,
    "subclusters": Subcluster,
    "drift": Drift,
    "model_comparison": Place,
}
"""The assets whose rows have a section, in reading order, and what a row is."""

_TITLES = {
    "uncertainty": "Certainty",
    "hypotheses": "Alternatives",
    "symphony": "Debates",
    "subclusters": "Inside clusters",
    "drift": "Drift",
    "model_comparison": "Models",
}


def analysis_sections(found: Mapping[str, Sequence[Found]]) -> list[Section]:
    """Make a section of each analysis that found something.

    Parameters
    ----------
    found
        Rows by the asset of `ANALYSES` that made them; all about clusters of the report.
    """
    return [
        Section(name.replace("_", "-"), _TITLES[name], f"{name}.html.j2", found[name])
        for name in ANALYSES
        if found.get(name)
    ]
