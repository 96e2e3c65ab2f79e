"""The labels that persons gave, as lineage sees them: Dagster does not make them, it observes their file."""

from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from assets.partitions import BY_DATASET
from cassia_dagster.evaluation.manual import ManualLabel
from resources.manual_labels import version_of

manual_labels = dg.AssetSpec(
    "manual_labels",
    partitions_def=BY_DATASET,
    group_name="annotation",
    kinds={"yaml"},
    description=(
        "Labels that persons decided on, in a file that is meant to be kept under version control: for which cluster, "
        "who, why, when, and on which evidence. `cassia-dagster review set` writes it. The data version is what the "
        "file says of the dataset, so a new decision has everything below `reviewed` made anew, and nothing above it."
    ),
)


def observe_labels(dataset: str, path: Path, said: Sequence[ManualLabel]) -> dg.AssetMaterialization:
    """Report what persons said of a dataset, of all that the file at this path says."""
    labels = [one for one in said if one.dataset == dataset]
    return dg.AssetMaterialization(
        asset_key=manual_labels.key,
        partition=dataset,
        tags={"dagster/data_version": version_of(labels)},
        metadata={"path": dg.MetadataValue.path(str(path)), "labels": len(labels)},
    )
