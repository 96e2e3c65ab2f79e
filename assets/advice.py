"""What a user should do where a check did not pass."""

from collections.abc import Mapping

_WELL: Mapping[str, str] = {
    "every_cluster_has_markers": "Every cluster has genes that tell it from the rest.",
    "every_cell_has_a_row": "Every cell is in one of the rows.",
    "no_lineage_contradiction": "No label is contradicted by the markers.",
    "groupings_nest": "The merger's groups nest.",
    "agrees_with_known_labels": "No label is of another lineage than the known one.",
    "known_labels_are_covered": "Nearly all cells have a known label that is a term of the Cell Ontology.",
}

_TO_DO: Mapping[str, str] = {
    "every_cluster_has_markers": (
        "No gene tells the clusters named here from the rest, so they stay unresolved. They may be split too finely: "
        "fewer clusters may do. Or the thresholds of marker_table are too strict for them."
    ),
    "every_cell_has_a_row": (
        "Rows and cells do not match, so nothing is made of these annotations. Materialize leiden_clusters and what "
        "follows it again; if it stays so, this is a defect of the program."
    ),
    "no_lineage_contradiction": (
        "The markers of the clusters named here speak for another lineage than their label. Look at their pages in the "
        "report, then ask a better model (job reannotate) or decide yourself: `cassia-dagster review set`."
    ),
    "groupings_nest": (
        "The merger gave no usable answer, so the labels stand in for its groups. Materialize merged again, or choose "
        "another model for it (merge_llm in the launchpad)."
    ),
    "agrees_with_known_labels": (
        "The clusters named here are of another lineage than the known labels of most of their cells, so one of the "
        "two is wrong. The report shows both, cell by cell."
    ),
    "known_labels_are_covered": (
        "Many cells have no known label, or one that is no term of the Cell Ontology, so that the agreement speaks for "
        "the others only. Say which terms they mean in a file: --label-terms."
    ),
}


def advice(check: str, *, passed: bool) -> str:
    """Return what is said of a check's outcome."""
    return _WELL[check] if passed else _TO_DO[check]
