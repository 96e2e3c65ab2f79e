"""The user's file, as lineage sees it: Dagster does not make it, it observes it."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from assets.partitions import BY_DATASET
from cassia_dagster.errors import InputError
from cassia_dagster.llm.choice import MODEL_ROLES
from cassia_dagster.singlecell.load import fingerprint, settled_state, size
from resources.catalog import DatasetEntry

_CONTENT, _STATE = "sha256", "state"
"""In the metadata: the fingerprint of the file, and what tells without reading that it is as it was."""

CHANGES_NO_RESULT = {"notes", "max_workers", "output"}

CAME_LATER = {"namesakes"}
"""Fields that say nothing where they are not said, so that what was made before they came is not out of date."""

raw_adata = dg.AssetSpec(
    "raw_adata",
    partitions_def=BY_DATASET,
    group_name="cells",
    kinds={"h5ad"},
    description=(
        "The file of a dataset, cells or a table of marker genes, as the catalog names it. Nothing is copied or "
        "changed: the data version "
        "is a fingerprint of the file's content and of what the catalog says of the sample, so everything below "
        "it can be traced to the bytes that it came from. Notes are shown, and change nothing; neither do the folder "
        "of the results and the quotas and prices of models."
    ),
)


def observe(entry: DatasetEntry, content_of: Callable[[Path], str] = fingerprint) -> dg.AssetMaterialization:
    """Look at a dataset's file: its fingerprint, size and sample, for lineage to begin with.

    Reported as a materialization, for Dagster does not count observations among the versions of partitioned inputs.

    Parameters
    ----------
    entry
        The dataset.
    content_of
        Gives the fingerprint of a file, for those who have taken it already.
    """
    state = settled_state(entry.path)  # before it is read: what changes afterwards has another state
    content = content_of(entry.path)
    beside = [content_of(path) if path.is_file() else "" for path in entry.tables]
    unsaid = {field for field in CAME_LATER if getattr(entry, field) is None}
    said = entry.model_dump_json(exclude=CHANGES_NO_RESULT | unsaid | {"path", "label_terms", "markers", "models"})
    # Of a model counts what decides its answers: a quota, a price or the name of a key asks nobody again.
    asked = [f"{role} {model.title} {model.identity}" for role in MODEL_ROLES for model in [entry.model(role)]]
    version = hashlib.sha256("\n".join((content, *beside, said, *asked)).encode()).hexdigest()[:32]
    return dg.AssetMaterialization(
        asset_key=raw_adata.key,
        partition=entry.name,
        tags={"dagster/data_version": version},
        metadata={
            "path": dg.MetadataValue.path(str(entry.path)),
            _CONTENT: content,
            **({_STATE: state} if state else {}),
            "bytes": size(entry.path),
            "species": entry.species,
            "tissue": dg.MetadataValue.text(entry.where),
            "clusterings": dg.MetadataValue.json({key: entry.title(key) for key in entry.clusterings}),
            **({"notes": dg.MetadataValue.text(entry.notes)} if entry.notes else {}),
        },
    )


@contextmanager
def same_file(instance: dg.DagsterInstance, entry: DatasetEntry) -> Iterator[None]:
    """Read a dataset's file in this block, and know that it is the one that lineage begins with.

    The file could be replaced between the look at it and the reading, or while it is read; what is made of it would
    then be traced to bytes that it was never made from. A file that nobody looked at yet is read as it is.

    Raises
    ------
    InputError
        If the content is another when the block ends than when it was last looked at before the block began.
    """
    looked_at = _observed(instance, entry.name)
    yield
    before = looked_at.get(_CONTENT)
    # A large file takes minutes to read, so that its content is compared only if it is not in the state that it was in.
    if before is None or (_STATE in looked_at and settled_state(entry.path) == looked_at[_STATE]):
        return
    if (found := fingerprint(entry.path)) == before:
        return
    raise InputError(
        f"{entry.path} was replaced after raw_adata looked at it (its SHA-256 was {before[:12]}… and is "
        f"{found[:12]}…), so what was read is not kept. When the file is complete, look at it again: `cassia-dagster "
        f"run --name {entry.name} {entry.path}`, or the sensor that watches the files."
    )


def _observed(instance: dg.DagsterInstance, name: str) -> dict[str, str]:
    """Return what was noted of the content and the state of a dataset's file when it was last looked at."""
    wanted = dg.AssetRecordsFilter(raw_adata.key, asset_partitions=[name])
    for record in instance.fetch_materializations(wanted, limit=1).records:
        noted = record.asset_materialization.metadata if record.asset_materialization else {}
        return {what: str(noted[what].value) for what in (_CONTENT, _STATE) if what in noted}
    return {}
