"""What the assets are partitioned by: datasets, which come and go, and the project's resolutions."""

import logging

import dagster as dg

from cassia_dagster.errors import ConfigurationError
from cassia_dagster.singlecell.resolutions import in_order
from resources.catalog import Catalog
from resources.home import Home


def known_resolutions(home: Home) -> list[str]:
    """Return the resolution keys of a project; those that every project has while its catalog cannot be read.

    The code location must load all the same: it is there that a user reads what is wrong with the catalog.
    """
    try:
        catalog, _ = Catalog.read_sound(home.catalog)
    except ConfigurationError as error:
        logging.getLogger(__name__).warning("Only the common resolutions are known until this is mended: %s", error)
        catalog = Catalog()
    return catalog.all_resolutions


BY_DATASET = dg.DynamicPartitionsDefinition(name="dataset")

# Read once, when the code location loads: a new resolution in the catalog needs a reload.
BY_RESOLUTION = dg.StaticPartitionsDefinition(known_resolutions(Home.from_environment()))

BY_DATASET_AND_RESOLUTION = dg.MultiPartitionsDefinition({"dataset": BY_DATASET, "resolution": BY_RESOLUTION})


def dataset_and_resolution(context: dg.AssetExecutionContext) -> tuple[str, str]:
    """Return the two keys of the partition that is being made."""
    key = context.partition_key
    if not isinstance(key, dg.MultiPartitionKey):
        raise TypeError(f"{key!r} is not a partition of a dataset and a resolution")
    return key.keys_by_dimension["dataset"], key.keys_by_dimension["resolution"]


def by_resolution[T](fan_in: dict[str, T]) -> dict[str, T]:
    """Key by resolution, in rising order and the given ones last, what a dataset's resolutions made.

    Dagster hands it over in no fixed order, keyed by ``dataset|resolution``.
    """
    keyed = {str(key).rpartition("|")[2]: value for key, value in fan_in.items()}
    return {resolution: keyed[resolution] for resolution in in_order(keyed)}
