"""What the assets are partitioned by: datasets, which come and go, and the project's resolutions."""

import dagster as dg

from resources.catalog import Catalog
from resources.home import Home

BY_DATASET = dg.DynamicPartitionsDefinition(name="dataset")

# Read once, when the code location loads: a new resolution in the catalog needs a reload.
BY_RESOLUTION = dg.StaticPartitionsDefinition(Catalog.read(Home.from_environment().catalog).all_resolutions)

BY_DATASET_AND_RESOLUTION = dg.MultiPartitionsDefinition({"dataset": BY_DATASET, "resolution": BY_RESOLUTION})


def dataset_and_resolution(context: dg.AssetExecutionContext) -> tuple[str, str]:
    """Return the two keys of the partition that is being made."""
    key = context.partition_key
    if not isinstance(key, dg.MultiPartitionKey):
        raise TypeError(f"{key!r} is not a partition of a dataset and a resolution")
    return key.keys_by_dimension["dataset"], key.keys_by_dimension["resolution"]


def by_resolution[T](fan_in: dict[str, T]) -> dict[str, T]:
    """Key by resolution, in rising order, what a dataset's resolutions made.

    Dagster hands it over in no fixed order, keyed by ``dataset|resolution``.
    """
    keyed = {str(key).rpartition("|")[2]: value for key, value in fan_in.items()}
    return {resolution: keyed[resolution] for resolution in sorted(keyed, key=float)}
