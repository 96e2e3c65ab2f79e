"""Asset `reviewed`: the models' labels with those of persons laid over them."""

from collections import Counter

import dagster as dg

from assets.failures import fatal_errors
from assets.manual_labels import manual_labels
from assets.partitions import BY_DATASET_AND_RESOLUTION, dataset_and_resolution
from assets.pools import memory_tags
from assets.results import by_cluster
from cassia_dagster.evaluation.manual import ManualLabel, apply_manual_labels, gone
from cassia_dagster.records import AnnotatedCluster, BoostedCluster, ManualOutcome
from resources.manual_labels import ManualLabelsFile
from resources.storage import TableFile
from resources.versions import version_of_records

SHOWN = dg.TableSchema(
    [
        dg.TableColumn("cluster", "string", "Its id."),
        dg.TableColumn("label", "string", "What the person said."),
        dg.TableColumn("ontology term", "string", "The label as a Cell Ontology term."),
        dg.TableColumn("outcome", "string", "labelled, confirmed, or stale: not applied."),
        dg.TableColumn("who", "string", "Who decided."),
        dg.TableColumn("why", "string", "For which reason."),
    ]
)


@dg.asset(
    partitions_def=BY_DATASET_AND_RESOLUTION,
    deps=[manual_labels],
    group_name="annotation",
    op_tags=memory_tags(matrix=False),
    kinds={"parquet"},
    code_version="1",
    io_manager_key="table_storage",
    dagster_type=dg.Any,
    check_specs=[
        dg.AssetCheckSpec(
            "manual_labels_hold",
            asset="reviewed",
            description="Every label that a person gave is about cells and markers as they are now, and was applied.",
        )
    ],
)
def reviewed(
    context: dg.AssetExecutionContext, manual_labels_file: ManualLabelsFile, annotations: TableFile, boosted: TableFile
) -> dg.MaterializeResult:
    """The final word on every cluster: the models', or that of a person who looked at it.

    A person's label takes the place of the models', with the person's name and reason, and is checked against the data
    like any other. It holds for the cells and markers that the person saw: where the cluster has changed since, the
    label is not applied but reported as stale. Without manual labels this is what `boosted` says.
    """
    dataset, resolution = dataset_and_resolution(context)
    seen = annotations.records(AnnotatedCluster)
    with fatal_errors():
        said = manual_labels_file.of(dataset, resolution)
        final = by_cluster("boosted", boosted.records(BoostedCluster), [row.cluster for row in seen])
        rows = apply_manual_labels(list(final.values()), seen, said)
    outcomes = Counter(row.review.outcome for row in rows if row.review)
    return dg.MaterializeResult(
        value=rows,
        data_version=version_of_records(rows),
        metadata={
            "clusters": len(rows),
            **{outcome.value: outcomes[outcome] for outcome in ManualOutcome},
            **({"reviews": dg.MetadataValue.table(_shown(rows), schema=SHOWN)} if outcomes else {}),
        },
        check_results=[_hold(dataset, resolution, rows, gone(said, seen), said)],
    )


def _shown(rows: list[BoostedCluster]) -> list[dg.TableRecord]:
    return [
        dg.TableRecord(
            {
                "cluster": row.cluster,
                "label": row.review.label,
                "ontology term": row.review.cl_id or "",
                "outcome": row.review.outcome.value,
                "who": row.review.who,
                "why": row.review.why,
            }
        )
        for row in rows
        if row.review
    ]


def _hold(
    dataset: str, resolution: str, rows: list[BoostedCluster], lost: tuple[str, ...], said: list[ManualLabel]
) -> dg.AssetCheckResult:
    stale = [row.cluster for row in rows if row.review and row.review.outcome is ManualOutcome.STALE]
    say = f"{len(said)} manual labels hold." if said else "No person has labelled a cluster."
    if stale or lost:
        say = (
            "These clusters are not what they were when a person labelled them. Look at them again, then repeat "
            f"`cassia-dagster review set {dataset} CLUSTER --resolution {resolution} …`, or take the label out with "
            f"`cassia-dagster review remove {dataset} CLUSTER --resolution {resolution}`."
        )
    return dg.AssetCheckResult(
        check_name="manual_labels_hold",
        passed=not stale and not lost,
        severity=dg.AssetCheckSeverity.WARN,
        description=say,
        metadata={
            "stale clusters": dg.MetadataValue.json(stale),
            "clusters that do not exist": dg.MetadataValue.json(list(lost)),
        },
    )
