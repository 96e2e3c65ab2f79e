"""The report that a scientist sends to a colleague: one HTML file that is complete in itself."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cassia_dagster.agents.boost import SCORE_THRESHOLD
from cassia_dagster.errors import InputError
from cassia_dagster.outputs import palette, words
from cassia_dagster.outputs.maps import CellMap, draw_maps
from cassia_dagster.outputs.result import ResolutionResult, confidence_of, final_label
from cassia_dagster.outputs.transcripts import transcript_names

if TYPE_CHECKING:
    import pandas as pd

    from cassia_dagster.evaluation.agreement import Agreement

MARKERS_SHOWN = 10

_TEMPLATES = Path(__file__).parent / "templates"


def render_report(
    result: ResolutionResult,
    cells: pd.DataFrame | None,
    gold: pd.DataFrame | None = None,
    agreements: Mapping[str, Agreement] | None = None,
) -> str:
    """Render the report of a dataset at one resolution.

    Parameters
    ----------
    result
        What is known of the dataset.
    cells
        Indexed by cell id: UMAP coordinates ``x`` and ``y``, and ``cluster`` as strings. ``None`` where only a
        marker table is known: the report then has no maps.
    gold
        Indexed by cell id: labels that others gave, for one more map a column.
    agreements
        How our labels compare with those of each column.

    Returns
    -------
    str
        HTML that loads nothing: pictures, style and script are inside, and a Content Security Policy allows
        no others. All text from data and models is escaped.

    Raises
    ------
    InputError
        Where ``cells`` lack a column, or hold clusters that the result does not know.
    """
    maps: list[CellMap] = []
    if cells is not None:
        _insist_on_matching_cells(result, cells)
        maps = draw_maps(result, cells, gold)
    style, script = ((_TEMPLATES / name).read_text("utf-8") for name in ("style.css", "sort.js"))
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            result=result,
            agreements=agreements or {},
            maps=maps,
            n_cells=_count_cells(result, cells),
            models=_models(result),
            anchors={row.cluster: f"cluster-{position}" for position, row in enumerate(result.clusters)},
            transcripts=transcript_names(result),
            colours=palette.assign(row.cluster for row in result.clusters),
            threshold=SCORE_THRESHOLD,
            shown=MARKERS_SHOWN,
            # Our own files, and no data: the only text that is not escaped.
            style=Markup(style),  # noqa: S704
            script=Markup(script),  # noqa: S704
            policy=_policy(style, script),
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "by_cluster": lambda agreement: {row.cluster: row for row in agreement.clusters},
        "cost_of": words.cost_of,
        "expression_words": words.EXPRESSIONS.__getitem__,
        "final_label": final_label,
        "confidence_of": confidence_of,
        "finding_words": words.FINDING_TEXTS.__getitem__,
        "listing": words.listing,
        "ontology_url": words.ontology_url,
        "outcome_words": words.OUTCOMES.__getitem__,
        "relation_words": words.RELATIONS.__getitem__,
        "scientific": words.scientific,
        "status_words": words.STATUSES.__getitem__,
        "summarise": words.summarise,
        "summarise_agreement": words.summarise_agreement,
        "unresolved_words": words.UNRESOLVED_REASONS.__getitem__,
    }
    return environment


def _policy(style: str, script: str) -> str:
    def digest(text: str) -> str:
        return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"

    return (
        f"default-src 'none'; img-src data:; style-src {digest(style)}; script-src {digest(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _insist_on_matching_cells(result: ResolutionResult, cells: pd.DataFrame) -> None:
    if absent := [column for column in ("x", "y", "cluster") if column not in cells]:
        raise InputError(f"The cells of {result.dataset!r} lack the column {absent[0]!r} among {list(cells)}.")
    known = {row.cluster for row in result.clusters}
    if strangers := sorted(map(str, set(cells["cluster"]) - known)):
        raise InputError(f"Cells of {result.dataset!r} lie in clusters without a row, {strangers}; annotate anew.")


def _count_cells(result: ResolutionResult, cells: pd.DataFrame | None) -> int | None:
    if cells is not None:
        return len(cells)
    counts = [row.evidence.n_cells for row in result.clusters]
    return None if None in counts else sum(count for count in counts if count is not None)


def _models(result: ResolutionResult) -> dict[str, list[str]]:
    roles: dict[str, list[str]] = {}
    for role, model in result.models.items():
        roles.setdefault(model, []).append(role)
    return roles
