"""What the columns of each artifact mean: shown by the user interface beside every asset."""

from collections.abc import Mapping

import dagster as dg

_CLUSTER = ("cluster", "string", "Id of the cluster; a text, also where it looks like a number.")
_STATUS = ("status", "string", "ok, unresolved, or what went wrong.")
_REASON = ("status_reason", "string", "Why, in words.")
_ANNOTATION = ("annotation", "struct", "The label: general type, ranked subtypes, genes for and against, rationale.")
_CHECK = ("check", "struct", "What code found when it held the label against the data; term and candidates.")
_HISTORY = ("history", "list", "Every question and reply, as it was asked.")

_COLUMNS: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "umap": (
        ("cell_id", "string", "Name of the cell, as in the file."),
        ("x", "float", "First coordinate of the map."),
        ("y", "float", "Second coordinate of the map."),
    ),
    "leiden_clusters": (
        ("cell_id", "string", "Name of the cell, as in the file; empty where only markers are known."),
        _CLUSTER,
        ("markers", "string", "Digest of the cluster's markers; only where no cell is known."),
    ),
    "marker_table": (
        _CLUSTER,
        ("gene", "string", "Symbol of the gene."),
        ("avg_log2FC", "float", "log2 fold change of mean expression against all other cells."),
        ("p_val", "float", "Of the Wilcoxon rank-sum test; for ranking only."),
        ("p_val_adj", "float", "The same, adjusted for the number of genes."),
        ("pct.1", "float", "Share of the cluster's cells with the gene."),
        ("pct.2", "float", "Share of all other cells with the gene."),
        ("score", "float", "The z-score by which the genes of a cluster are ranked."),
    ),
    "annotations": (
        _CLUSTER,
        ("cells", "string", "Digest of the cluster's cells (or its markers): the row is about these and no others."),
        ("evidence", "struct", "What the data says: markers, nearest clusters, quality."),
        _STATUS,
        _REASON,
        _ANNOTATION,
        _CHECK,
        ("rounds", "list", "The validator's word on each attempt."),
        ("strategy", "string", "How the label was arrived at."),
        ("lookups", "list", "Genes that the annotator asked for."),
        _HISTORY,
    ),
    "scores": (
        _CLUSTER,
        _STATUS,
        _REASON,
        ("score", "float", "From 0 to 100; empty where there is nothing to score."),
        ("rubric", "struct", "The four ratings of 0 to 10 that the score is made of."),
        ("reasoning", "string", "Why, as the scorer says it."),
        ("about", "string", "Digest of the annotation that was scored."),
        _HISTORY,
    ),
    "merged": (
        _CLUSTER,
        ("broad", "string", "The lineage."),
        ("intermediate", "string", "The family."),
        ("detailed", "string", "The cell type."),
        ("about", "string", "Digest of the label that was grouped."),
    ),
}

_FINAL = (
    _CLUSTER,
    _STATUS,
    _REASON,
    ("outcome", "string", "What the second look did: not_needed, confirmed, changed or failed."),
    ("explanation", "string", "Why."),
    ("rounds", "list", "Hypotheses that were tested, and what the data said of their genes."),
    ("supporting_genes", "list", "What the second look found for its conclusion."),
    ("refuting_genes", "list", "What it found against it."),
    ("additional_task", "string", "The user's extra question, where it was asked."),
    ("additional_answer", "string", "The answer to it."),
    ("about", "string", "Digest of the annotation and the score that were looked at."),
    ("on_demand", "bool", "Whether a user asked for the second look."),
    _ANNOTATION,
    _CHECK,
    ("score", "float", "Of the final label; empty where a person gave it."),
    ("rubric", "struct", "The four ratings of 0 to 10 that the score is made of."),
    ("reasoning", "string", "Why, as the scorer says it."),
    ("review", "struct", "What a person said of the cluster, if one did."),
    _HISTORY,
)


def column_schema(asset: str) -> dict[str, dg.TableSchema]:
    """Return the metadata of an asset that says what its columns mean; none for what is no table."""
    columns = _FINAL if asset in {"boosted", "reviewed"} else _COLUMNS.get(asset)
    if columns is None:
        return {}
    return {"dagster/column_schema": dg.TableSchema([dg.TableColumn(*column) for column in columns])}
