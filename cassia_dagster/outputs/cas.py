"""The annotations as Cell Annotation Schema JSON, which the Cell Annotation Platform and others read."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cassia_dagster import __version__
from cassia_dagster.files import replacing
from cassia_dagster.outputs.result import ResolutionResult, final_label, reviewer_of
from cassia_dagster.outputs.words import reason_of
from cassia_dagster.records import ClusterResult, natural_order
from cassia_dagster.singlecell.resolutions import suffix_of

SCHEMA_VERSION = "0.1.0"
"""What version 1.1.0 of the package cell-annotation-schema says that must be written here."""

UNKNOWN = "unknown"
"""For what the schema requires and only the authors of a publication can say."""

LONGEST_RATIONALE = 2000


def cell_annotations(results: Sequence[ResolutionResult]) -> dict[str, Any]:
    """Put the labels of a dataset into the Cell Annotation Schema.

    Parameters
    ----------
    results
        One for every resolution, at least one.

    Returns
    -------
    dict
        A labelset for each resolution, named as the column of ``obs`` in the annotated file whose values its labels
        are, so that cells are found there and not listed here. Clusters of one label are one annotation. Author, URL
        and repository are ``unknown`` until someone publishes it.
    """
    first = results[0]
    return {
        "title": f"{first.dataset}: cell types of {first.species} {first.tissue}"[:200],
        "description": "Leiden clusters named by language models with the CASSIA method, and checked against the data.",
        "author_name": UNKNOWN,
        "cellannotation_schema_version": SCHEMA_VERSION,
        "cellannotation_timestamp": f"{max(result.created for result in results)} 00:00:00",
        "cellannotation_version": __version__,
        "cellannotation_url": UNKNOWN,
        "labelsets": [_labelset(result) for result in results],
        "annotations": [annotation for result in results for annotation in _annotations(result)],
    }


def write_cas(results: Sequence[ResolutionResult], path: Path) -> None:
    """Write `cell_annotations` as JSON; the file is replaced whole or not at all."""
    with replacing(path) as temporary:
        text = json.dumps(cell_annotations(results), indent=1, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def _name(result: ResolutionResult) -> str:
    return f"CASSIA_annotation_{suffix_of(result.resolution)}"


def _labelset(result: ResolutionResult) -> dict[str, Any]:
    reviewed = any(reviewer_of(row) for row in result.clusters)
    models = ", ".join(sorted(set(result.models.values()))) or "none"
    return {
        "name": _name(result),
        "description": f"Labels of the clusters of {result.title}, by {models}.",
        "annotation_method": "both" if reviewed else "algorithmic",
        "automated_annotation": {
            "algorithm_name": "cassia-dagster",
            "algorithm_version": __version__,
            "algorithm_repo_url": UNKNOWN,
        },
    }


def _annotations(result: ResolutionResult) -> list[dict[str, Any]]:
    by_label: defaultdict[str, list[ClusterResult]] = defaultdict(list)
    for row in result.clusters:
        by_label[final_label(row)].append(row)
    return [_annotation(result, label, rows) for label, rows in by_label.items()]


def _annotation(result: ResolutionResult, label: str, rows: Sequence[ClusterResult]) -> dict[str, Any]:
    checks = [row.boosted.check for row in rows if row.boosted.check is not None]
    terms = {check.cl_id: check.cl_label for check in checks if check.cl_id is not None}
    said: dict[str, Any] = {
        "labelset": _name(result),
        "cell_label": label,
        "cell_fullname": label,
        "rationale": _rationale(rows),
        "marker_gene_evidence": sorted({gene for check in checks for gene in check.cited_genes_up}),
        "cell_ontology_exists": len(terms) == 1,
        "category_fullname": rows[0].grouping.broad,
        "author_annotation_fields": _fields(rows),
    }
    if len(terms) == 1:
        ((cl_id, cl_label),) = terms.items()
        said |= {"cell_ontology_term_id": cl_id, "cell_ontology_term": cl_label}
    return said


def _rationale(rows: Sequence[ClusterResult]) -> str:
    reasons = (
        (row.boosted.annotation.rationale if row.boosted.annotation else "") or reason_of(row.boosted) for row in rows
    )
    text = " ".join(f"Cluster {row.cluster}: {reason}" for row, reason in zip(rows, reasons, strict=True) if reason)
    return text if len(text) <= LONGEST_RATIONALE else f"{text[: LONGEST_RATIONALE - 1]}…"


def _fields(rows: Sequence[ClusterResult]) -> dict[str, str]:
    """Return what the schema has no place for; a person's review too, whose own definition admits no valid value."""
    checks = [row.boosted.check for row in rows if row.boosted.check is not None]
    told = {
        "clusters": natural_order(row.cluster for row in rows),
        "scores": [f"{row.boosted.score:g}" for row in rows if row.boosted.score is not None],
        "status": sorted({row.boosted.status.value for row in rows}),
        "evidence_findings": sorted({one.value for check in checks for one in check.findings}),
        "reviewed_by": sorted({who for row in rows if (who := reviewer_of(row))}),
    }
    return {f"cassia_{name}": ", ".join(values) for name, values in told.items()}
