"""The review across resolutions as files: a page to read, a table of the flows, and all of it as JSON."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cassia_dagster.evaluation.agreement import Agreement
from cassia_dagster.evaluation.review import Level, NamedCluster, Review
from cassia_dagster.files import replacing
from cassia_dagster.knowledge.ontology import Relation
from cassia_dagster.outputs import words
from cassia_dagster.outputs.flow import NODE_WIDTH, draw_flow
from cassia_dagster.outputs.result import ResolutionResult, final_label
from cassia_dagster.outputs.tables import write_inert
from cassia_dagster.records import ClusterResult, ManualOutcome, Status
from cassia_dagster.singlecell.resolutions import folder_of, is_given

if TYPE_CHECKING:
    import pandas as pd

_TEMPLATES = Path(__file__).parent / "templates"

RELATIONS = {
    Relation.EXACT: "the same name",
    Relation.FINER: "a finer name",
    Relation.COARSER: "a coarser name",
    Relation.SIBLING: "a sibling type",
    Relation.SAME_LINEAGE: "another type of the lineage",
    Relation.CONTRADICTION: "another lineage",
    Relation.UNRESOLVED: "one of the two unresolved",
    Relation.UNMAPPED: "one of the two no ontology term",
}
"""How the name at the next resolution stands to the one before."""


def level_of(
    result: ResolutionResult,
    clusters: pd.Series,
    agreements: Mapping[str, Agreement],
    threshold: float,
    *,
    modularity: float | None = None,
    stability: float | None = None,
) -> Level:
    """Take from the result of one resolution what the review looks at.

    Parameters
    ----------
    result
        Of one resolution.
    clusters
        Cell id → cluster; as many as there are cells.
    agreements
        Column of known labels → how the result agrees with it.
    threshold
        Score from which a label is sound, if the check of the evidence has nothing against it.
    modularity, stability
        Of the clustering, where they were measured.
    """
    sizes = clusters.value_counts()
    by_cell = {column: agreement.by_cell for column, agreement in agreements.items()}
    return Level(
        resolution=result.resolution,
        title=result.title,
        is_given=is_given(result.resolution),
        clusters=tuple(_as_named(row, int(sizes[row.cluster]), threshold) for row in result.clusters),
        modularity=modularity,
        stability=stability,
        agreement={column: one.mean_hf1 for column, one in by_cell.items() if one},
    )


def _as_named(row: ClusterResult, n_cells: int, threshold: float) -> NamedCluster:
    final = row.boosted
    label = final_label(row) if final.status is Status.OK and final.annotation else None
    by_person = final.review is not None and final.review.outcome is not ManualOutcome.STALE
    scored_well = final.score is not None and final.score >= threshold
    stands_up = scored_well and final.check is not None and final.check.passed
    return NamedCluster(
        cluster=row.cluster,
        n_cells=n_cells,
        label=label,
        cl_id=final.check.cl_id if label and final.check else None,
        score=final.score,
        is_sound=label is not None and (by_person or stands_up),
        is_objected_to=final.check is not None and not final.check.passed,
    )


def write_review(review: Review, folder: Path) -> dict[str, Path]:
    """Write ``<dataset>_review.html``, ``.csv`` (the flows) and ``.json`` (everything).

    Parameters
    ----------
    review
        Of one dataset.
    folder
        That of the dataset's results; the page links to the reports in it.

    Returns
    -------
    dict
        ``"html"``, ``"csv"`` and ``"json"`` to the files; each is replaced whole or not at all.
    """
    paths = {kind: folder / f"{review.dataset}_review.{kind}" for kind in ("html", "csv", "json")}
    for kind, text in {"html": render_review(review), "json": review.model_dump_json(indent=1)}.items():
        with replacing(paths[kind]) as temporary:
            temporary.write_text(text, encoding="utf-8")
    write_inert(flow_table(review), paths["csv"])
    return paths


def render_review(review: Review) -> str:
    """Render the page.

    Returns
    -------
    str
        HTML that loads nothing and runs no script; all text from data and models is escaped.
    """
    style = (_TEMPLATES / "review.css").read_text("utf-8")
    named = _named(review)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        _environment()
        .get_template("review.html.j2")
        .render(
            review=review,
            picture=draw_flow(review),
            node_width=NODE_WIDTH,
            columns=list(dict.fromkeys(column for level in review.levels for column in level.agreement)),
            changes=[
                (flow, named[flow.resolution, flow.cluster], named[flow.next_resolution, flow.next_cluster])
                for flow in review.renamed
            ],
            relations=RELATIONS,
            # Our own file, and no data: the only text that is not escaped.
            style=Markup(style),  # noqa: S704
            policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        )
    )


def flow_table(review: Review) -> pd.DataFrame:
    """One row for every pair of clusters of neighbouring resolutions that share a cell.

    Returns
    -------
    pandas.DataFrame
        ``resolution, cluster, label, cl_id``, the same of the next resolution, ``n_cells``, ``share_of_parent``,
        ``share_of_child`` and ``relation``.
    """
    import pandas as pd

    named = _named(review)
    rows = []
    for flow in review.flows:
        parent, child = named[flow.resolution, flow.cluster], named[flow.next_resolution, flow.next_cluster]
        rows.append(
            {
                "resolution": flow.resolution,
                "cluster": flow.cluster,
                "label": parent.label or "unresolved",
                "cl_id": parent.cl_id,
                "next_resolution": flow.next_resolution,
                "next_cluster": flow.next_cluster,
                "next_label": child.label or "unresolved",
                "next_cl_id": child.cl_id,
                "n_cells": flow.n_cells,
                "share_of_parent": round(flow.share_of_parent, 4),
                "share_of_child": round(flow.share_of_child, 4),
                "relation": flow.relation.value,
            }
        )
    columns = ["resolution", "cluster", "label", "cl_id", "next_resolution", "next_cluster", "next_label"]
    counts = ["next_cl_id", "n_cells", "share_of_parent", "share_of_child", "relation"]
    return pd.DataFrame(rows, columns=[*columns, *counts], dtype=object)


def _named(review: Review) -> dict[tuple[str, str], NamedCluster]:
    return {(level.resolution, one.cluster): one for level in review.levels for one in level.clusters}


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"folder_of": folder_of, "ontology_url": words.ontology_url, "urlpath": _url_path}
    return environment


def _url_path(name: str) -> str:
    """Spell a file name so that a link finds it, whatever letters it holds."""
    from urllib.parse import quote

    return quote(name)
