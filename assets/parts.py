"""The parts that clusters fall into when their cells are clustered among themselves, and what naming them takes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assets.evidence import evidence_of
from cassia_dagster.agents.annotate import ANNOTATOR
from cassia_dagster.agents.estimate import Expected, rehearsal
from cassia_dagster.agents.role import Role
from cassia_dagster.agents.score import SCORER
from cassia_dagster.agents.subclusters import Subcluster, markers_of_part, name_part
from cassia_dagster.agents.validate import VALIDATOR
from cassia_dagster.llm.choice import EMBEDDED
from cassia_dagster.llm.door import Door
from cassia_dagster.llm.store import Store
from cassia_dagster.records import BoostedCluster, ClusterEvidence
from cassia_dagster.singlecell.markers import as_markers
from cassia_dagster.singlecell.subset import Subclustering, recluster
from resources.catalog import DatasetEntry
from resources.llm import ModelResource
from resources.storage import AdataFile

if TYPE_CHECKING:
    import pandas as pd

N_MARKERS = 100

ROLES = (ANNOTATOR, VALIDATOR, SCORER)


@dataclass(frozen=True, slots=True)
class Inside:
    """How finely the cells are clustered among themselves; see the launchpad's `SubclustersConfig`."""

    resolution: float
    n_neighbors: int
    n_pcs: int
    seed: int


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a parent, before anybody was asked about it."""

    parent: tuple[str, ...]
    """The clusters that were taken together."""
    n_parent: int
    members: tuple[str, ...]
    """Ids of its cells."""
    evidence: ClusterEvidence
    """With the markers against its siblings first."""


def find_parts(
    entry: DatasetEntry,
    inside: Inside,
    parents: Iterable[tuple[str, ...]],
    normalized_adata: AdataFile,
    labels: "pd.Series",
) -> list[Part]:
    """Cluster the cells of each parent among themselves, and gather what the data says of the parts; asks nobody.

    Parameters
    ----------
    entry
        The dataset.
    inside
        How finely.
    parents
        The clusters that are taken together; each is in one of them.
    normalized_adata, labels
        The cells, and the cluster of each.

    Raises
    ------
    InputError
        If a parent is too small, or has no genes that vary.
    """
    with normalized_adata.expression() as values:
        found = {
            parent: recluster(
                values,
                labels,
                list(parent),
                resolution=inside.resolution,
                n_neighbors=inside.n_neighbors,
                n_pcs=inside.n_pcs,
                seed=inside.seed,
            )
            for parent in parents
        }
    return [
        Part(
            parent=parent,
            n_parent=len(within.labels),
            members=tuple(within.labels.index[within.labels == one.cluster]),
            evidence=one,
        )
        for parent, within in found.items()
        for one in _evidence(entry, normalized_adata, labels, within)
    ]


def name_one(
    part: Part, final: Mapping[str, BoostedCluster], doors: tuple[Door, Door, Door], subject: str
) -> Subcluster:
    """Name one part; ``doors`` lead to the `ROLES`, ``subject`` is what the ledger calls the dataset's clusters."""
    return name_part(
        part.evidence,
        part.members,
        [final[cluster] for cluster in part.parent],
        part.n_parent,
        doors,
        f"{subject}/{part.evidence.cluster}",
    )


def expected_naming(
    parts: Sequence[Part], final: Mapping[str, BoostedCluster], models: Mapping[Role, ModelResource], store: Store
) -> list[Expected]:
    """Say what naming the parts would take; nobody is asked."""
    if {models[role].title for role in ROLES} == {EMBEDDED}:
        return []  # free
    annotator, validator, scorer = (rehearsal(models[role].backends()[0], store, role) for role in ROLES)
    for part in parts:
        name_one(part, final, (annotator, validator, scorer), "rehearsal")
    return [row for door in (annotator, validator, scorer) for row in door.expected.values()]


def _evidence(
    entry: DatasetEntry, cells: AdataFile, labels: "pd.Series", within: Subclustering
) -> list[ClusterEvidence]:
    """Gather what the data says of the parts, with the markers against siblings first."""
    refined = labels.copy()
    refined.loc[within.labels.index] = within.labels
    parts = set(within.labels)
    siblings = dict(iter(within.against_siblings.groupby("cluster", observed=True)))
    gathered = evidence_of(entry, cells.read("obsm/X_pca"), refined, within.against_all)
    return [
        one.model_copy(
            update={
                "markers": markers_of_part(
                    as_markers(siblings[one.cluster], N_MARKERS) if one.cluster in siblings else (), one.markers
                )
            }
        )
        for one in gathered
        if one.cluster in parts
    ]
