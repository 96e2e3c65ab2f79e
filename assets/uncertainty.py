"""Asset `uncertainty`: how far independent namings of the same cluster agree."""

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg
from pydantic import Field

from assets.failures import fatal_errors
from assets.model_calls import AskConfig, code_version, describe_calls
from assets.on_demand import GROUP, Inquiry, look_ups, panel_of
from assets.partitions import BY_DATASET_AND_RESOLUTION
from assets.pools import memory_tags, pool_of
from assets.raw_adata import raw_adata
from cassia_dagster.agents.annotate import ANNOTATOR
from cassia_dagster.agents.crew import for_each
from cassia_dagster.agents.estimate import Expected, rehearsal
from cassia_dagster.agents.uncertainty import (
    AGREEMENT,
    FEWEST_RUNS,
    MOST_RUNS,
    USUAL_RUNS,
    RepeatPlan,
    UncertainCluster,
    Voice,
    measure_uncertainty,
)
from cassia_dagster.agents.validate import VALIDATOR
from cassia_dagster.llm.choice import EMBEDDED
from cassia_dagster.llm.store import Store
from cassia_dagster.records import AnnotatedCluster, Strategy
from resources.catalog import CatalogResource
from resources.llm import ModelOverride, ModelResource, ModelStore
from resources.settings import AnnotationSettings
from resources.storage import IF_CELLS, AdataFile, TableFile, TableIOManager
from resources.versions import version_of_records


class UncertaintyConfig(AskConfig):
    """How often the clusters are named, and by whom."""

    runs: int = Field(
        default=USUAL_RUNS,
        ge=FEWEST_RUNS,
        le=MOST_RUNS,
        description="Most independent runs a cluster. The first is the annotation itself, where its model is the same.",
    )
    agreement: float = Field(
        default=AGREEMENT, gt=0.5, le=1, description="Share of the runs that must bear a name for it to be given."
    )
    stop_when_decided: bool = Field(
        default=True, description="Make no more runs of a cluster once none of them could change the consensus."
    )
    clusters: list[str] = Field(default=[], description="Ids of the clusters to ask about; all if none is named.")
    models: list[ModelOverride] = Field(
        default=[], description="Annotators that take turns; the dataset's own if none is named."
    )
    temperature: float | None = Field(
        default=None, ge=0, le=2, description="Of all annotators; as they have it if unset."
    )
    annotation_llm: ModelOverride = Field(default=ModelOverride(), description="Another annotator, for this run.")
    validation_llm: ModelOverride = Field(default=ModelOverride(), description="Another validator, for this run.")

    @property
    def plan(self) -> RepeatPlan:
        """How often, and when to stop."""
        return RepeatPlan(self.runs, self.agreement, self.stop_when_decided)


@dataclass(frozen=True, slots=True)
class Speakers:
    """Who names the clusters again: annotators that take turns, and one validator."""

    annotators: Sequence[ModelResource]
    validator: ModelResource

    @classmethod
    def of(cls, annotator: ModelResource, validator: ModelResource, config: UncertaintyConfig) -> "Speakers":
        """Lay what the launchpad says of the turns over the usual annotator."""
        return cls(panel_of(annotator, config.models, config.temperature), validator)

    def voices(self, store: Store) -> list[Voice]:
        """Open the ways to all of them; two of one identity share theirs."""
        annotators = {one.identity: one.door(store) for one in self.annotators}
        validator = self.validator.door(store)
        return [Voice(one.identity, annotators[one.identity], validator) for one in self.annotators]

    def expect(self, rows: Sequence[AnnotatedCluster], store: Store, plan: RepeatPlan, subject: str) -> list[Expected]:
        """Say what all runs would take if none were saved by stopping early; nobody is asked."""
        if {one.title for one in (*self.annotators, self.validator)} == {EMBEDDED}:
            return []  # free
        annotators = {one.identity: rehearsal(one.backends()[0], store, ANNOTATOR) for one in self.annotators}
        validator = rehearsal(self.validator.backends()[0], store, VALIDATOR)
        voices = [Voice(one.identity, annotators[one.identity], validator) for one in self.annotators]
        every = RepeatPlan(plan.runs, plan.agreement, stop_when_decided=False)
        for row in rows:
            measure_uncertainty(row, voices, f"{subject}/{row.cluster}", plan=every)
        return [row for door in (*annotators.values(), validator) for row in door.expected.values()]


@dg.asset(
    partitions_def=BY_DATASET_AND_RESOLUTION,
    deps=[raw_adata],
    ins={"normalized_adata": IF_CELLS},
    group_name=GROUP,
    op_tags=memory_tags(matrix=True),
    kinds={"llm", "parquet"},
    code_version=code_version("1", ANNOTATOR, VALIDATOR),
    io_manager_key="table_storage",
    dagster_type=dg.Any,
    pool=pool_of("annotation"),
)
def uncertainty(
    context: dg.AssetExecutionContext,
    config: UncertaintyConfig,
    catalog: CatalogResource,
    model_store: ModelStore,
    settings: AnnotationSettings,
    annotation_llm: ModelResource,
    validation_llm: ModelResource,
    table_storage: dg.ResourceParam[TableIOManager],
    normalized_adata: AdataFile,
    leiden_clusters: TableFile,
    annotations: TableFile,
) -> dg.MaterializeResult:
    """How sure the labels are: each cluster is named several times, independently, and the names are compared.

    The consistency (0 to 100) is the agreement to expect of two runs, with credit for what two names share in the
    Cell Ontology; the consensus is the most detailed name that enough runs bear. A model that answers the same
    whenever it is asked, as the embedded one does, shows no uncertainty this way, and its rows say so. Made on
    demand only; a run that was paid for is never paid again.
    """
    with fatal_errors():
        inquiry = Inquiry.opened(
            context,
            config,
            catalog,
            settings,
            {ANNOTATOR: annotation_llm, VALIDATOR: validation_llm},
            (annotations, leiden_clusters),
            config.clusters,
        )
        models = inquiry.cast.models
        speakers = Speakers.of(models[ANNOTATOR], models[VALIDATOR], config)
    with fatal_errors(), model_store.session(context, inquiry.limits) as store:
        expected = inquiry.announce(
            context,
            speakers.expect(inquiry.asked, store, config.plan, inquiry.subject),
            "Expected if every run is made",
        )
        voices = speakers.voices(store)
        fused = [row for row in inquiry.asked if row.strategy is Strategy.FUSED]
        known = look_ups(inquiry.entry, fused, normalized_adata, leiden_clusters) if fused else {}

        def repeat(row: AnnotatedCluster) -> UncertainCluster:
            return measure_uncertainty(
                row, voices, f"{inquiry.subject}/{row.cluster}", plan=config.plan, look_up=known.get(row.cluster)
            )

        new = for_each(inquiry.asked, repeat, inquiry.settings.max_workers)
        calls = describe_calls(store, inquiry.cast)
    rows, path = inquiry.keep(new, UncertainCluster, table_storage)
    return dg.MaterializeResult(
        value=rows,
        data_version=version_of_records(rows),
        metadata={
            **_numbers(rows),
            "voices": dg.MetadataValue.json([one.identity for one in speakers.annotators]),
            "agreement": dg.MetadataValue.table([_shown(row) for row in rows]),
            "json": dg.MetadataValue.path(str(path)),
            **expected,
            **calls,
        },
    )


def _numbers(rows: Sequence[UncertainCluster]) -> dict[str, dg.MetadataValue]:
    measured = [row.consistency for row in rows if row.consistency is not None]
    return {
        "clusters": dg.MetadataValue.int(len(rows)),
        "runs": dg.MetadataValue.int(sum(len(row.runs) for row in rows)),
        "runs_saved": dg.MetadataValue.int(sum(row.planned - len(row.runs) for row in rows if row.decided)),
        "measured": dg.MetadataValue.int(len(measured)),
        "deterministic": dg.MetadataValue.int(sum(row.deterministic for row in rows)),
        "abstained": dg.MetadataValue.int(sum(not row.consensus or row.consensus.label is None for row in rows)),
        **(
            {
                "mean_consistency": dg.MetadataValue.float(round(sum(measured) / len(measured), 2)),
                "lowest_consistency": dg.MetadataValue.float(round(min(measured), 2)),
            }
            if measured
            else {}
        ),
    }


def _shown(row: UncertainCluster) -> dg.TableRecord:
    consensus = row.consensus
    consistency = "deterministic" if row.deterministic else ""
    return dg.TableRecord(
        {
            "cluster": row.cluster,
            "label": row.label or "unresolved",
            "consistency": consistency if row.consistency is None else f"{row.consistency:.0f}",
            "runs": f"{len(row.runs)} of {row.planned}",
            "modal share": f"{consensus.modal_share:.2f}" if consensus else "",
            "entropy": f"{consensus.entropy:.2f}" if consensus else "",
            "consensus": (consensus.label if consensus else None) or "none",
            "status": row.status.value,
        }
    )
