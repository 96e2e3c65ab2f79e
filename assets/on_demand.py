"""What analyses on demand share: which clusters are asked about, who is asked, and what was found out before."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import dagster as dg

from assets.evidence import know_lab_markers
from assets.failures import fatal_errors
from assets.model_calls import AskConfig, Cast, describe_expected, say_expected, settings_of
from assets.partitions import dataset_and_resolution
from assets.results import refuse_earlier_words
from cassia_dagster.agents.estimate import Expected
from cassia_dagster.agents.role import Role
from cassia_dagster.errors import InputError
from cassia_dagster.files import replacing
from cassia_dagster.llm.store import Limits
from cassia_dagster.records import (
    AnnotatedCluster,
    BoostedCluster,
    ClusterFinding,
    Record,
    ScoredCluster,
    natural_order,
)
from cassia_dagster.singlecell.cluster import digest_clusters
from cassia_dagster.singlecell.lookup import LookUp, look_up_markers, sum_expression
from cassia_dagster.singlecell.resolutions import folder_of
from resources.catalog import CatalogResource, DatasetEntry
from resources.llm import ModelOverride, ModelResource
from resources.settings import AnnotationSettings
from resources.storage import AdataFile, TableFile, TableIOManager

GROUP = "analyses"
"""The group of the assets that are made only where a user asks for them."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What every analysis of annotated clusters begins with, and how it ends.

    Parameters
    ----------
    analysis
        The asset's name.
    dataset, resolution, entry
        Whose clusters.
    settings
        Workers, thresholds and budgets.
    cast
        Who plays which role.
    annotated
        All clusters as they are annotated now.
    asked
        Those of them that are asked about.
    """

    analysis: str
    dataset: str
    resolution: str
    entry: DatasetEntry
    settings: AnnotationSettings
    cast: Cast
    annotated: Sequence[AnnotatedCluster]
    asked: Sequence[AnnotatedCluster]

    @classmethod
    def opened(
        cls,
        context: dg.AssetExecutionContext,
        config: AskConfig,
        catalog: CatalogResource,
        settings: AnnotationSettings,
        models: Mapping[Role, ModelResource],
        tables: tuple[TableFile, TableFile],
        clusters: Sequence[str] = (),
    ) -> "Inquiry":
        """Read what is asked of which clusters, and by whom; ``tables`` are `annotations` and `leiden_clusters`.

        Raises
        ------
        InputError
            If a cluster that is named does not exist, or the annotations are about other clusters than those of now.
        """
        dataset, resolution = dataset_and_resolution(context)
        entry = catalog.entry(dataset)
        know_lab_markers(entry)
        annotated = chosen_rows(*tables, [])
        return cls(
            analysis=context.asset_key.to_user_string(),
            dataset=dataset,
            resolution=resolution,
            entry=entry,
            settings=settings_of(settings, entry, config),
            cast=Cast.of(models, entry, config),
            annotated=annotated,
            asked=_named(annotated, clusters),
        )

    @property
    def subject(self) -> str:
        """What the ledger calls the clusters."""
        return f"{self.dataset}/{self.resolution}"

    @property
    def limits(self) -> Limits:
        """What may be spent."""
        return self.settings.limits(self.dataset)

    def announce(
        self, context: dg.AssetExecutionContext, rows: Sequence[Expected], what: str = "Expected"
    ) -> dict[str, dg.MetadataValue]:
        """Write into the log what asking is expected to take, before anybody is asked; return it as metadata."""
        expected = describe_expected(rows)
        context.log.info(say_expected(expected, what))
        return expected

    def keep[R: ClusterFinding](
        self,
        new: Sequence[R],
        record: type[R],
        storage: TableIOManager,
        still_holds: Callable[[R], bool] | None = None,
    ) -> tuple[list[R], Path]:
        """Put new rows beside those found out before that still hold, and write all beside the report.

        Parameters
        ----------
        new
            Rows of this run; they take the place of older ones that do not hold.
        record
            The type of a row.
        storage
            Where the older ones are.
        still_holds
            Tells of an older row whether it is about clusters of now and not asked about anew; if not given, those
            hold that are about the same cells and another cluster.

        Returns
        -------
        rows
            By cluster, in natural order.
        path
            The JSON file.
        """
        present = {row.cluster: row.cells for row in self.annotated}
        again = {row.cluster for row in new}
        holds = still_holds or (lambda row: row.cluster not in again and present.get(row.cluster) == row.cells)
        table = storage.made_before(self.analysis, self.dataset, self.resolution)
        rows = [*new, *(row for row in (table.records(record) if table else ()) if holds(row))]
        place = {cluster: rank for rank, cluster in enumerate(natural_order({row.cluster for row in rows}))}
        rows.sort(key=lambda row: place[row.cluster])
        with fatal_errors():
            return rows, write_beside_report(self.entry, self.resolution, self.analysis, rows)


def panel_of(
    usual: ModelResource, models: Sequence[ModelOverride], temperature: float | None = None
) -> list[ModelResource]:
    """Lay each of several models over the usual one, which stands alone where none is named."""
    members = [usual.overlaid(one.choice()) for one in models] or [usual]
    warmth = ModelOverride(temperature=temperature).choice()
    return [member.overlaid(warmth) for member in members]


def chosen_rows(annotations: TableFile, leiden_clusters: TableFile, clusters: Sequence[str]) -> list[AnnotatedCluster]:
    """Return the annotated clusters that are asked about: those that are named, else all.

    Raises
    ------
    InputError
        If there is no such cluster, or if the annotations are about other clusters than those of now.
    """
    rows = annotations.records(AnnotatedCluster)
    chosen = _named(rows, clusters)
    if {row.cluster: row.cells for row in rows} != digest_clusters(leiden_clusters.read()):
        raise InputError(
            "The annotations are about other clusters than those that leiden_clusters holds now. "
            "Materialize annotations and what follows it again."
        )
    return chosen


def _named(rows: Sequence[AnnotatedCluster], clusters: Sequence[str]) -> list[AnnotatedCluster]:
    known = [row.cluster for row in rows]
    if strangers := sorted(set(clusters) - set(known)):
        raise InputError(f"There is no cluster {strangers[0]!r}; the clusters are {', '.join(known)}.")
    return [row for row in rows if row.cluster in clusters or not clusters]


def final_words(reviewed: TableFile, scores: TableFile, rows: Sequence[AnnotatedCluster]) -> dict[str, BoostedCluster]:
    """Return the final word on each cluster.

    Raises
    ------
    InputError
        If one has none yet, or if it is about an earlier annotation or score than those of now.
    """
    final = {row.cluster: row for row in reviewed.records(BoostedCluster)} if reviewed.path.exists() else {}
    if lacking := [row.cluster for row in rows if row.cluster not in final]:
        raise InputError(
            f"There is no final word on cluster {lacking[0]} yet. Materialize scores, boosted and reviewed."
        )
    refuse_earlier_words(rows, {row.cluster: row for row in scores.records(ScoredCluster)}, final)
    return final


def look_ups(
    entry: DatasetEntry, rows: Sequence[AnnotatedCluster], normalized_adata: AdataFile, leiden_clusters: TableFile
) -> Mapping[str, LookUp]:
    """Read the matrix, if there is one, and return for each cluster what answers for its genes."""
    if not entry.has_cells:
        return {row.cluster: partial(look_up_markers, row.evidence) for row in rows}
    labels = leiden_clusters.read().set_index("cell_id")["cluster"]
    with normalized_adata.expression() as cells:
        sums = sum_expression(cells, labels)
    return {row.cluster: partial(sums.look_up, row.evidence) for row in rows}


def write_beside_report(entry: DatasetEntry, resolution: str, analysis: str, rows: Sequence[Record]) -> Path:
    """Write rows as JSON beside the report, without conversations and cell ids, which the asset has."""
    path = entry.folder / folder_of(resolution) / f"{entry.name}_{analysis}.json"
    text = json.dumps(
        [row.model_dump(mode="json", exclude={"history", "members"}) for row in rows], indent=1, ensure_ascii=False
    )
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return path
