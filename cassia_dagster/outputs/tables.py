"""The CSV files, with the names and columns that CASSIA's users know."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from cassia_dagster.agents.merge import UNRESOLVED
from cassia_dagster.files import replacing
from cassia_dagster.outputs.result import (
    ResolutionResult,
    confidence_of,
    final_label,
    final_state,
    model_of_label,
    reviewer_of,
)
from cassia_dagster.outputs.words import reason_of
from cassia_dagster.records import ClusterResult, Record, Rubric

if TYPE_CHECKING:
    import pandas as pd

MARKERS_LISTED = 50
"""How many markers a table spells out; ``n_markers`` counts them all."""

LIST_SEPARATOR = "; "
"""Between cell types in one cell: names of the Cell Ontology contain commas, but no semicolon."""

# A spreadsheet takes such a cell for a formula and runs it; the last four are the full-width forms.
_FORMULA_START = tuple("=+-@\t\r\n＝＋－＠")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")

type Row = dict[str, object]


def summary_table(result: ResolutionResult) -> pd.DataFrame:
    """One row for every cluster: what it is, how sure, and by which markers.

    Parameters
    ----------
    result
        A dataset at one resolution.

    Returns
    -------
    pandas.DataFrame
        In natural order of the cluster ids. ``celltype_1`` is the most detailed name. A cluster without a
        name keeps its row: ``celltype_1`` and ``general_celltype`` are then "unresolved", and ``status``
        tells an honest "unresolved" from a failure.
    """
    return _frame(map(_summary, result.clusters))


def full_table(result: ResolutionResult) -> pd.DataFrame:
    """All of :func:`summary_table`, and the whole argument: evidence, rounds, second look, conversation.

    Parameters
    ----------
    result
        A dataset at one resolution.

    Returns
    -------
    pandas.DataFrame
        What is a list of records (candidates, rounds, conversation) is JSON.
    """
    return _frame(_summary(cluster) | _argument(cluster) for cluster in result.clusters)


def scored_table(result: ResolutionResult) -> pd.DataFrame:
    """The table that notebooks read back: names, scores, merged groupings and where they come from.

    Parameters
    ----------
    result
        A dataset at one resolution.

    Returns
    -------
    pandas.DataFrame
        ``CASSIA_merged_grouping_1`` is the broadest; ``cl_id`` is empty where a name is no ontology term.
    """
    dataset = {"tissue": result.tissue, "species": result.species}
    return _frame(_scored(cluster) | dataset for cluster in result.clusters)


def write_tables(result: ResolutionResult, folder: Path, name: str) -> dict[str, Path]:
    """Write ``<name>_summary.csv``, ``<name>_full.csv`` and ``<name>_scored.csv``.

    Parameters
    ----------
    result
        A dataset at one resolution.
    folder
        Where to; made if needed. Each file is replaced whole or not at all.
    name
        How the file names begin.

    Returns
    -------
    dict
        ``"summary"``, ``"full"`` and ``"scored"`` to the files.
    """
    tables = {"summary": summary_table(result), "full": full_table(result), "scored": scored_table(result)}
    paths = {kind: folder / f"{name}_{kind}.csv" for kind in tables}
    for kind, table in tables.items():
        write_inert(table, paths[kind])
    return paths


def write_inert(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV that no spreadsheet runs anything of; the file is replaced whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(inert_csv(table), encoding="utf-8", newline="")


def inert_csv(table: pd.DataFrame) -> str:
    """Return a table as CSV that no spreadsheet runs anything of."""
    # Quoted text stays one cell also where a spreadsheet splits at semicolons.
    return str(table.map(_inert).to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n"))


def as_it_was(text: str) -> str:
    """Take off a cell of such a CSV what keeps a spreadsheet from running it; another text stays as it is."""
    return text[1:] if text.startswith("'") and _inert(text[1:]) == text else text


def _summary(result: ClusterResult) -> Row:
    final = result.boosted
    annotation = final.annotation
    label = final_label(result)
    named = annotation if annotation and label != UNRESOLVED else None
    names = [*((named and named.subtypes) or (label,)), None, None]
    markers = result.evidence.markers
    return {
        "cluster": result.cluster,
        "n_cells": result.evidence.n_cells,
        "general_celltype": named.general_celltype if named else UNRESOLVED,
        "celltype_1": names[0],
        "celltype_2": names[1],
        "celltype_3": names[2],
        "mixed_celltypes": LIST_SEPARATOR.join(annotation.mixed_celltypes) if annotation else "",
        "score": final.score,
        "status": final.status.value,
        "n_markers": len(markers),
        "marker_list": ", ".join(marker.gene for marker in markers[:MARKERS_LISTED]),
    }


def _argument(result: ClusterResult) -> Row:
    final = result.boosted
    annotation, check, rubric = final.annotation, final.check, final.rubric
    ratings = rubric.model_dump() if rubric else {}
    return {
        "status_reason": reason_of(final),
        "reviewed_by": reviewer_of(result) or None,
        "unresolved_reason": annotation.unresolved.value if annotation and annotation.unresolved else None,
        "cl_id": check.cl_id if check else None,
        "cl_label": check.cl_label if check else None,
        "cell_state": final_state(result),
        "rationale": annotation.rationale if annotation else "",
        "supporting_genes": ", ".join(annotation.supporting_genes) if annotation else "",
        "contradicting_genes": ", ".join(annotation.contradicting_genes) if annotation else "",
        "evidence_findings": ", ".join(check.findings) if check else None,
        "evidence_support": check.support if check else None,
        "cited_genes_up": ", ".join(check.cited_genes_up) if check else "",
        "cited_genes_absent": ", ".join(check.cited_genes_absent) if check else "",
        "candidates": _json(check.candidates if check else ()),
        **_confidence(result),
        "iterations": len(result.annotated.rounds),
        "strategy": result.annotated.strategy.value,
        "validator_rounds": _json(result.annotated.rounds),
        "genes_looked_up": _json(result.annotated.lookups),
        "score_before_boost": result.scored.score,
        **{f"score_{part}": ratings.get(part) for part in Rubric.model_fields},
        "scoring_reasoning": final.reasoning,
        "boost_outcome": final.outcome.value,
        "boost_explanation": final.explanation,
        "boost_rounds": _json(final.rounds),
        "boost_supporting_genes": ", ".join(final.supporting_genes),
        "boost_refuting_genes": ", ".join(final.refuting_genes),
        "additional_task": final.additional_task,
        "additional_answer": final.additional_answer,
        "review_outcome": final.review.outcome.value if final.review else None,
        "review_label": final.review.label if final.review else None,
        "review_reason": final.review.why if final.review else None,
        "review_date": final.review.date if final.review else None,
        "conversation_history": _json(result.history),
    }


def _scored(result: ClusterResult) -> Row:
    summary = _summary(result)
    provider, model = model_of_label(result)
    names = ("celltype_1", "celltype_2", "celltype_3", "general_celltype", "mixed_celltypes", "score")
    return {name: summary[name] for name in ("cluster", *names)} | {
        "cell_state": final_state(result),
        "scoring_reasoning": result.boosted.reasoning,
        "CASSIA_merged_grouping_1": result.grouping.broad,
        "CASSIA_merged_grouping_2": result.grouping.intermediate,
        "CASSIA_merged_grouping_3": result.grouping.detailed,
        "marker_list": summary["marker_list"],
        "n_markers": summary["n_markers"],
        "n_cells": summary["n_cells"],
        "iterations": len(result.annotated.rounds),
        "model": model,
        "provider": provider,
        "status": summary["status"],
        "status_reason": reason_of(result.boosted),
        "reviewed_by": reviewer_of(result) or None,
        "cl_id": result.boosted.check.cl_id if result.boosted.check else None,
        "evidence_findings": ", ".join(result.boosted.check.findings) if result.boosted.check else None,
        **_confidence(result),
    }


def _confidence(result: ClusterResult) -> Row:
    """How the label stands to the offline shortlist, and how often labels like it were right elsewhere."""
    one = confidence_of(result)
    return {
        "shortlist": one.standing.value if one else None,
        "confidence": round(one.right, 2) if one and one.right is not None else None,
    }


def _frame(rows: Iterable[Row]) -> pd.DataFrame:
    import pandas as pd

    # Columns keep Python's own values, so that a missing count does not turn its neighbours into floats.
    return pd.DataFrame(list(rows), dtype=object)


def _json(records: Iterable[Record]) -> str:
    return json.dumps([record.model_dump(mode="json") for record in records], ensure_ascii=False)


def _inert(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA_START) and not _NUMBER.fullmatch(value):
        return "'" + value
    return value
