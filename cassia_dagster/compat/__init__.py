"""The functions that notebooks written for CASSIA call, as thin doors to this product's own.

A notebook changes one line, ``import CASSIA`` to ``import cassia_dagster.compat as CASSIA``, and reads the same files.
"""

from cassia_dagster.compat.boosting import runCASSIA_annotationboost
from cassia_dagster.compat.keys import set_api_key
from cassia_dagster.compat.pipeline import runCASSIA_batch, runCASSIA_pipeline
from cassia_dagster.compat.repeating import runCASSIA_batch_n_times, runCASSIA_similarity_score_batch
from cassia_dagster.compat.scanpy_tables import add_cassia_to_anndata, enhance_scanpy_markers
from cassia_dagster.compat.subclusters import runCASSIA_subclusters
from cassia_dagster.compat.symphony import symphonyCompare

__all__ = [
    "add_cassia_to_anndata",
    "enhance_scanpy_markers",
    "runCASSIA_annotationboost",
    "runCASSIA_batch",
    "runCASSIA_batch_n_times",
    "runCASSIA_pipeline",
    "runCASSIA_similarity_score_batch",
    "runCASSIA_subclusters",
    "set_api_key",
    "symphonyCompare",
]

_INSTEAD = {
    "loadmarker": "read your own table with pandas; `cassia-dagster demo` shows the method on data that ship with it",
    "list_available_markers": "read your own table with pandas",
    "runCASSIA": "give runCASSIA_batch a table of one cluster",
    "runCASSIA_score_batch": "runCASSIA_pipeline scores every cluster",
    "runCASSIA_merge_annotations": "runCASSIA_pipeline groups the labels into CASSIA_merged_grouping_1 to _3",
    "merge_annotations": "runCASSIA_pipeline groups the labels into CASSIA_merged_grouping_1 to _3",
    "runCASSIA_generate_score_report": "runCASSIA_pipeline writes the report",
    "compareCelltypes": "symphonyCompare compares cell types",
    "runCASSIA_n_subcluster": "give runCASSIA_batch_n_times the subclusters' markers",
    "runCASSIA_n_times": "give runCASSIA_batch_n_times a table of one cluster",
}
"""What users of CASSIA look for and do not find here, and what serves them."""


def __getattr__(name: str) -> object:
    """Say what takes the place of a function of CASSIA that is not here."""
    if name in _INSTEAD:
        raise AttributeError(f"CASSIA's {name} has no counterpart here: {_INSTEAD[name]}.")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
