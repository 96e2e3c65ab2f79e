"""What the assets are partitioned by: datasets, which come and go, and the project's resolutions."""

import dagster as dg

from resources.catalog import Catalog
from resources.home import Home

BY_DATASET = dg.DynamicPartitionsDefinition(name="dataset")

# Read once, when the code location loads: a new resolution in the catalog needs a reload.
BY_RESOLUTION = dg.StaticPartitionsDefinition(
    list(Catalog.read(Home.from_environment().catalog).resolutions)
)

BY_DATASET_AND_RESOLUTION = dg.MultiPartitionsDefinition(
    {"dataset": BY_DATASET, "resolution": BY_RESOLUTION}
)


def dataset_and_resolution(context: dg.AssetExecutionContext) -> tuple[str, str]:
    """Return the two keys of the partition that is being made."""
    keys = context.partition_key.keys_by_dimension  # type: ignore[attr-defined]
    return keys["dataset"], keys["resolution"]


def by_resolution[T](fan_in: dict[str, T] | T) -> dict[str, T]:
    """Key what a dataset's resolutions made by resolution, in rising order.

    Dagster hands over a dict in no fixed order, keyed by ``dataset|resolution``.
    """
    assert isinstance(fan_in, dict), (
        "one resolution alone is handed over without its key"
    )
    keyed = {str(key).rpartition("|")[2]: value for key, value in fan_in.items()}
    return {resolution: keyed[resolution] for resolution in sorted(keyed, key=float)}
