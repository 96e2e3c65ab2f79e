"""Asset `model_comparison`: which model names clusters best, and what that costs."""

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import dagster as dg
from pydantic import Field

from assets.failures import fatal_errors
from assets.model_calls import AskConfig, code_version, describe_calls
from assets.on_demand import GROUP, Inquiry
from assets.partitions import BY_DATASET_AND_RESOLUTION
from assets.pools import memory_tags, pool_of
from assets.raw_adata import raw_adata
from assets.results import hold_against, sampled_tissue
from cassia_dagster.agents.annotate import ANNOTATOR
from cassia_dagster.agents.boost import BOOSTER
from cassia_dagster.agents.estimate import Expected, rehearsal
from cassia_dagster.agents.role import Role
from cassia_dagster.agents.score import SCORER
from cassia_dagster.agents.validate import VALIDATOR
from cassia_dagster.errors import InputError, ModelError
from cassia_dagster.evaluation.cases import SHIPPED, Case, read_named_cases
from cassia_dagster.evaluation.leaderboard import Entrant, Place, digest_of, run_models
from cassia_dagster.llm.choice import EMBEDDED, ModelChoice
from cassia_dagster.llm.store import Store
from cassia_dagster.method import Doors, name_clusters
from cassia_dagster.outputs.leaderboard import board_rows, write_board
from cassia_dagster.records import AnnotatedCluster, Strategy
from cassia_dagster.singlecell.resolutions import folder_of
from resources.catalog import CatalogResource, DatasetEntry
from resources.llm import ModelOverride, ModelResource, ModelStore
from resources.settings import AnnotationSettings
from resources.storage import IF_CELLS, AdataFile, TableFile
from resources.versions import version_of_records

ROLES = (ANNOTATOR, VALIDATOR, SCORER, BOOSTER)

BOARD = dg.TableSchema(
    [
        dg.TableColumn("rank", "int", "Place by mean hierarchical F1; none where the model answered nothing."),
        dg.TableColumn("model", "string", "Who answered."),
        dg.TableColumn("mean_hf1", "float", "Mean hierarchical F1 with the known labels on the Cell Ontology."),
        dg.TableColumn("exact", "float", "Share of the cases that have the known label."),
        dg.TableColumn("exact_or_finer", "float", "Share that have the known label or a kind of it."),
        dg.TableColumn("contradiction", "float", "Share that were named after another lineage."),
        dg.TableColumn("coverage", "float", "Share that got a label that names a type."),
        dg.TableColumn("agreement", "float", "Mean hierarchical F1 with the labels of the other models."),
        dg.TableColumn("usd", "float", "Price of all its answers, those bought before included."),
        dg.TableColumn("usd_paid_now", "float", "What this run paid."),
        dg.TableColumn("seconds", "float", "Time that its replies took when they were bought, summed over calls."),
        dg.TableColumn("calls", "int", "Questions that were put."),
        dg.TableColumn("cached", "int", "Those of them that were answered before."),
        dg.TableColumn("unanswered", "int", "Cases without a usable reply; they count as unresolved."),
        dg.TableColumn("reason", "string", "Why it answered nothing, or not all."),
    ]
)


class ModelComparisonConfig(AskConfig):
    """Which models are compared, and on what."""

    models: list[ModelOverride] = Field(
        default=[], description="Each plays all roles; those of the dataset stand alone if none is named."
    )
    cases: str = Field(
        default="",
        description="CSV file of clusters whose labels are known (species, tissue, gold_label, markers), or "
        f"'{SHIPPED}' for those that come with the package; the dataset's own clusters if not given.",
    )
    labels: str = Field(
        default="",
        description="Column of obs with known labels, for the dataset's own clusters; the first that the catalog "
        "lists if not given.",
    )
    strategy: Literal["as_listed", "one_shot", "validated", "fused"] = Field(
        default="as_listed", description="How labels are arrived at; as the catalog lists it, else validated."
    )

    def override(self, role: Role) -> ModelChoice:  # noqa: ARG002 - no role is chosen by itself
        """Say nothing: a model that takes part plays all roles."""
        return ModelChoice()


type Cast = Mapping[Role, ModelResource]


def casts_of(usual: Cast, models: Sequence[ModelOverride]) -> dict[str, Cast]:
    """Give each model all roles, over what is usual of these; by a title that no two share."""
    casts = [{role: model.overlaid(one.choice()) for role, model in usual.items()} for one in models] or [dict(usual)]
    taken: Counter[str] = Counter()
    named: dict[str, Cast] = {}
    for cast in casts:
        title = " + ".join(dict.fromkeys(model.title for model in cast.values()))
        taken[title] += 1
        named[f"{title} ({taken[title]})" if taken[title] > 1 else title] = cast
    return named


def strategy_of(config: ModelComparisonConfig, entry: DatasetEntry) -> Strategy:
    """Say how labels are arrived at."""
    return (entry.strategy or Strategy.VALIDATED) if config.strategy == "as_listed" else Strategy(config.strategy)


def cases_of(
    config: ModelComparisonConfig,
    entry: DatasetEntry,
    rows: Sequence[AnnotatedCluster],
    tables: tuple[AdataFile, TableFile],
) -> Sequence[Case]:
    """Read the cases that are named, or make them of the dataset's clusters and the known labels of their cells.

    Those labels are in ``tables``: `normalized_adata`, and `leiden_clusters` beside it. A cluster whose cells are of
    several types, none with most of them, is no case: no label could be right for it.

    Raises
    ------
    InputError
        If there are no known labels, or none of them is a term of the Cell Ontology.
    """
    cases = read_named_cases(config.cases) if config.cases else _own_cases(config.labels, entry, rows, tables)
    if not any(case.gold_id for case in cases):
        raise InputError(
            f"No known label of the cases from {config.cases or entry.name} is a term of the Cell Ontology, so "
            "that nothing can be compared. Say which terms they mean: in the column gold_cl_id of the cases, or in a "
            "file, for a dataset's own labels (--label-terms)."
        )
    return cases


def _own_cases(
    labels: str, entry: DatasetEntry, rows: Sequence[AnnotatedCluster], tables: tuple[AdataFile, TableFile]
) -> Sequence[Case]:
    column = labels or next(iter(entry.labels), "")
    if not column or not entry.has_cells:
        raise InputError(
            f"Dataset {entry.name!r} has no known labels to compare models with. Name a column of obs that has them "
            f"(labels), a file of cases, or '{SHIPPED}' for the cases that come with the package."
        )
    obs = tables[0].read().obs
    if column not in obs:
        raise InputError(f"Dataset {entry.name!r} has no column {column!r} in obs; it has {', '.join(obs.columns)}.")
    clusters = tables[1].read().set_index("cell_id")["cluster"]
    known = hold_against(
        entry, sampled_tissue(entry, rows), dict.fromkeys([row.cluster for row in rows]), clusters, obs[column]
    )
    gold = {one.cluster: one for one in known.clusters if one.gold_label and not one.is_mixed}
    return [
        Case(case=row.cluster, gold_label=one.gold_label, gold_id=one.gold_id, evidence=row.evidence)
        for row in rows
        if (one := gold.get(row.cluster)) and one.gold_label
    ]


def expected_comparison(
    cases: Sequence[Case], casts: Mapping[str, Cast], store: Store, strategy: Strategy
) -> list[Expected]:
    """Say what asking all models about all cases would take; nobody is asked."""
    expected = []
    for cast in casts.values():
        if {model.title for model in cast.values()} == {EMBEDDED}:
            continue  # free
        annotator, validator, scorer, booster = (rehearsal(cast[role].backends()[0], store, role) for role in ROLES)
        doors = Doors(annotator, validator, scorer, booster, merge=booster)  # nobody merges
        evidence = [case.evidence for case in cases]
        name_clusters(evidence, doors, ["rehearsal"] * len(cases), strategy=strategy, max_workers=1)
        expected += [row for door in (annotator, validator, scorer, booster) for row in door.expected.values()]
    return expected


def _open(cast: Cast, store: Store) -> Doors:
    for model in cast.values():
        model.check()
    annotator, validator, scorer, booster = (cast[role].door(store) for role in ROLES)
    return Doors(annotator, validator, scorer, booster, merge=booster)


@dg.asset(
    partitions_def=BY_DATASET_AND_RESOLUTION,
    deps=[raw_adata],
    ins={"normalized_adata": IF_CELLS},
    group_name=GROUP,
    op_tags=memory_tags(matrix=True),
    kinds={"llm", "csv"},
    code_version=code_version("2", *ROLES),
    io_manager_key="table_storage",
    dagster_type=dg.Any,
    pool=pool_of("annotation"),
)
def model_comparison(
    context: dg.AssetExecutionContext,
    config: ModelComparisonConfig,
    catalog: CatalogResource,
    model_store: ModelStore,
    settings: AnnotationSettings,
    annotation_llm: ModelResource,
    validation_llm: ModelResource,
    score_llm: ModelResource,
    boost_llm: ModelResource,
    normalized_adata: AdataFile,
    leiden_clusters: TableFile,
    annotations: TableFile,
) -> dg.MaterializeResult:
    """Which model for us? Several name the same clusters, whose labels are known, by the whole method.

    The clusters are the dataset's own, with the known labels of their cells, or those of a file, or those that come
    with the package. The board has for every model how right it is, how often it contradicts the known lineage, how
    many clusters it names, how far it agrees with the others, and what that cost in money and time. A model that
    cannot be asked stays on the board with the reason. Nothing is asked twice: a second run costs nothing. Made on
    demand only.
    """
    with fatal_errors():
        inquiry = Inquiry.opened(
            context,
            config,
            catalog,
            settings,
            {ANNOTATOR: annotation_llm, VALIDATOR: validation_llm, SCORER: score_llm, BOOSTER: boost_llm},
            (annotations, leiden_clusters),
        )
        entry, strategy = inquiry.entry, strategy_of(config, inquiry.entry)
        cases = cases_of(config, entry, inquiry.annotated, (normalized_adata, leiden_clusters))
        casts = casts_of(inquiry.cast.models, config.models)
    with fatal_errors(), model_store.session(context, inquiry.limits) as store:
        expected = inquiry.announce(context, expected_comparison(cases, casts, store, strategy))
        entrants = [Entrant(title, partial(_open, cast, store)) for title, cast in casts.items()]
        # Apart from the clusters: cases of a file have ids of their own, and no label of the report is from here.
        subject = f"{inquiry.subject} {inquiry.analysis}"
        board = run_models(cases, entrants, store, strategy, subject=subject, max_workers=inquiry.settings.max_workers)
        places = [place.model_copy(update=_cases_are(config, inquiry.annotated)) for place in board]
        calls = describe_calls(store, inquiry.cast)
        for place in places:
            if place.reason:
                context.log.warning("%s: %s", place.model, place.reason)
        if not any(place.rank for place in places):
            raise ModelError("; ".join(f"{place.model}: {place.reason}" for place in places))
        folder = entry.folder / folder_of(inquiry.resolution)
        paths = write_board(places, folder, f"{entry.name}_model_comparison")
    picture = base64.b64encode(paths["plot"].read_bytes()).decode()
    return dg.MaterializeResult(
        value=places,
        data_version=version_of_records(places),
        metadata={
            "leaderboard": dg.MetadataValue.table([dg.TableRecord(row) for row in _shown(places)], schema=BOARD),
            "best": dg.MetadataValue.text(places[0].model),
            "accuracy_against_cost": dg.MetadataValue.md(f"![accuracy against cost](data:image/png;base64,{picture})"),
            "cases": len(cases),
            "cases_from": dg.MetadataValue.text(config.cases or f"clusters of {entry.name}"),
            "failed_models": dg.MetadataValue.json([place.model for place in places if not place.rank]),
            **{f"{kind}_file": dg.MetadataValue.path(str(path.absolute())) for kind, path in paths.items()},
            **expected,
            **calls,
            "models": dg.MetadataValue.json(list(casts)),
        },
    )


def _cases_are(config: ModelComparisonConfig, rows: Sequence[AnnotatedCluster]) -> dict[str, str]:
    """Say where the cases are from; of a file its name alone, for the report may be sent to others."""
    if config.cases:
        return {"cases_from": Path(config.cases).name}
    return {"clusters": digest_of({row.cluster: row.cells for row in rows})}


def _shown(places: Sequence[Place]) -> list[dict[str, str | int | float | None]]:
    """Round what is shown; the files have it whole."""
    return [
        {name: round(value, 4) if isinstance(value, float) else value for name, value in row.items()}
        for row in board_rows(places)
    ]
