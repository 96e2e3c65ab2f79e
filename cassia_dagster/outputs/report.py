"""The report that a scientist sends to a colleague: one HTML file that is complete in itself."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cassia_dagster.agents.boost import SCORE_THRESHOLD
from cassia_dagster.errors import InputError
from cassia_dagster.knowledge.states import cell_states
from cassia_dagster.outputs import palette, words
from cassia_dagster.outputs.cost_plot import plot_cost
from cassia_dagster.outputs.downloads import downloads_of
from cassia_dagster.outputs.leaderboard import answers_shown
from cassia_dagster.outputs.packed import as_json
from cassia_dagster.outputs.page_data import page_data
from cassia_dagster.outputs.plotting import BUNDLE, LICENSES
from cassia_dagster.outputs.result import ResolutionResult, confidence_of, final_label, final_state, reviewer_of
from cassia_dagster.outputs.sections import Section, sections_of
from cassia_dagster.outputs.shown import BEST, shown_markers
from cassia_dagster.outputs.transcripts import transcript_names

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from cassia_dagster.evaluation.agreement import Agreement
    from cassia_dagster.llm.ledger import Call
    from cassia_dagster.outputs.maps import CellMap

_TEMPLATES = Path(__file__).parent / "templates"
_SCRIPTS = (
    "page.js",
    "table.js",
    "cells.js",
    "view.js",
    "legend.js",
    "map.js",
    "groups.js",
    "downloads.js",
)
"""In the order in which they run."""


def render_report(
    result: ResolutionResult,
    cells: pd.DataFrame | None,
    gold: pd.DataFrame | None = None,
    agreements: Mapping[str, Agreement] | None = None,
    expression: AnnData | None = None,
    calls: Sequence[Call] = (),
    more: Sequence[Section] = (),
    maps: Sequence[CellMap] | None = None,
) -> str:
    """Render the report of a dataset at one resolution.

    Parameters
    ----------
    result
        What is known of the dataset.
    cells
        Indexed by cell id: UMAP coordinates ``x`` and ``y``, and ``cluster`` as strings. ``None`` where only a
        marker table is known: the report then has no map.
    gold
        Indexed by cell id: labels that others gave, for one more colouring of the map a column.
    agreements
        How our labels compare with those of each column.
    expression
        Log-normalised values of `shown.genes_shown`, cells × genes, in the order of ``cells``: for the dot plot,
        and to colour the map by.
    calls
        Rows of the ledger about this result.
    more
        Further sections, which come before those of the single clusters.
    maps
        What `maps.draw_maps` made of ``result``, ``cells`` and ``gold``, for those who have drawn them already.

    Returns
    -------
    str
        HTML that loads nothing: pictures, style, scripts and data are inside, and a Content Security Policy allows
        no others. All text from data and models is escaped.

    Raises
    ------
    InputError
        Where ``cells`` lack a column, or hold clusters that the result does not know.
    """
    if cells is not None:
        _insist_on_matching_cells(result, cells)
    style = (_TEMPLATES / "style.css").read_text("utf-8")
    scripts = [BUNDLE.read_text("utf-8"), *((_TEMPLATES / name).read_text("utf-8") for name in _SCRIPTS)]
    anchors = {row.cluster: f"cluster-{position}" for position, row in enumerate(result.clusters)}
    downloads = downloads_of(result)
    data = page_data(result, anchors, downloads, cells, gold, expression)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            result=result,
            agreements=agreements or {},
            sections=sections_of(result, cells, gold, agreements or {}, expression, calls, more, maps),
            n_cells=_count_cells(result, cells),
            mapped=cells is not None,
            sampled=data["cells"]["n"] if data["cells"] else 0,
            models=_models(result),
            anchors=anchors,
            labels={row.cluster: final_label(row) for row in result.clusters},
            transcripts=transcript_names(result),
            colours=palette.assign(row.cluster for row in result.clusters),
            threshold=SCORE_THRESHOLD,
            best=BEST,
            downloads=downloads,
            data=as_json(data),
            licenses=LICENSES.read_text("utf-8"),
            # Our own files, and no data: the only text that is not escaped.
            style=Markup(style),  # noqa: S704
            scripts=[Markup(script) for script in scripts],  # noqa: S704
            policy=_policy(style, scripts),
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
        "also_called": words.also_called,
        "answers_of": answers_shown,
        "capitalize_first": lambda text: text[:1].upper() + text[1:],
        "by_cluster": lambda agreement: {row.cluster: row for row in agreement.clusters},
        "cost_of": words.cost_of,
        "expression_words": words.EXPRESSIONS.__getitem__,
        "final_label": final_label,
        "final_state": final_state,
        "states": lambda result: cell_states(result.evidence.markers),
        "confidence_of": confidence_of,
        "glued": words.glued,
        "finding_words": words.FINDING_TEXTS.__getitem__,
        "listing": words.listing,
        "model_words": words.model_words,
        "money": words.money,
        "ontology_url": words.ontology_url,
        "plot_cost": plot_cost,
        "outcome_words": words.OUTCOMES.__getitem__,
        "review_of": words.review_of,
        "reviewer_of": reviewer_of,
        "change_words": words.CHANGES.__getitem__,
        "kinship_words": lambda relation: words.KINSHIP[relation] if relation else "not comparable",
        "summarise_board": words.summarise_board,
        "summarise_drift": words.summarise_drift,
        "relation_words": words.RELATIONS.__getitem__,
        "scientific": words.scientific,
        "shown_markers": shown_markers,
        "status_words": words.STATUSES.__getitem__,
        "summarise": words.summarise,
        "summarise_agreement": words.summarise_agreement,
        "unresolved_words": words.UNRESOLVED_REASONS.__getitem__,
    }
    return environment


def _policy(style: str, scripts: Iterable[str]) -> str:
    def digest(text: str) -> str:
        return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"

    return (
        f"default-src 'none'; img-src data:; style-src {digest(style)}; script-src {' '.join(map(digest, scripts))}; "
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
