"""The whole method without Dagster: the functions that the assets call, one after the other, in one process."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.stages import Clock
from benchmarks.synthetic import TRUTH
from cassia_dagster.records import Species

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from cassia_dagster.evaluation.agreement import Agreement
    from cassia_dagster.llm.door import Door
    from cassia_dagster.outputs.result import ResolutionResult
    from cassia_dagster.records import (
        AnnotatedCluster,
        BoostedCluster,
        ClusterEvidence,
        ClusterResult,
        Marker,
        ScoredCluster,
    )
    from cassia_dagster.singlecell.lookup import ExpressionSums

    type Named = tuple[AnnotatedCluster, ScoredCluster]

NAME, TISSUE = "cells", "pancreas"
SPECIES: Species = "human"
LIBRARIES = ("scanpy", "anndata", "leidenalg", "litellm")


def run(clock: Clock, path: Path, folder: Path, resolutions: list[str], *, finish: bool) -> None:
    """Do what ``cassia-dagster run`` does with a file of counts that has known types.

    Parameters
    ----------
    clock, path, folder, resolutions
        As for `plain_scanpy.run`.
    finish
        Whether to go on after the marker tables: names, reports, UMAP and the annotated file.
    """
    from cassia_dagster.agents.boost import SCORE_THRESHOLD
    from cassia_dagster.agents.embedded import EmbeddedBackend
    from cassia_dagster.evaluation.review import review_resolutions
    from cassia_dagster.knowledge.genes import present_symbols
    from cassia_dagster.llm.door import Door
    from cassia_dagster.llm.store import Store
    from cassia_dagster.outputs.cas import write_cas
    from cassia_dagster.outputs.h5ad import annotate, write_h5ad
    from cassia_dagster.outputs.review import level_of, write_review
    from cassia_dagster.singlecell.embed import embed, umap_coordinates
    from cassia_dagster.singlecell.load import load_cells
    from cassia_dagster.singlecell.markers import rank_markers
    from cassia_dagster.singlecell.normalize import normalize
    from cassia_dagster.singlecell.stability import leiden_with_stability

    with clock.stage("load"):
        cells = load_cells(path, rename=partial(present_symbols, species=SPECIES, where=str(path)))
    with clock.stage("normalise"):
        adata, notes = normalize(cells.adata), cells.notes
        del cells
    with clock.stage("components"):
        embed(adata)
    coordinates = None
    if finish:
        with clock.stage("umap"):
            coordinates = umap_coordinates(adata)
    results, clusterings, found = [], {}, []
    with Store.open(folder / "models.sqlite") as store:
        door = Door(EmbeddedBackend(), store, [])
        for resolution in resolutions:
            with clock.stage(f"clusters {resolution}"):
                clustering, same = leiden_with_stability(adata, float(resolution))
                labels = clustering.labels
            with clock.stage(f"markers {resolution}"):
                markers = rank_markers(adata, labels)
            if coordinates is None:
                continue
            with clock.stage(f"names {resolution}"):
                result = _named(adata, labels, markers, door, resolution, notes)
            with clock.stage(f"report {resolution}"):
                agreements = _report(result, adata, labels, coordinates, folder, list(store.calls()))
            results.append(result)
            clusterings[resolution] = labels
            found.append((agreements, {"modularity": clustering.modularity, "stability": same}))
    if coordinates is not None:
        with clock.stage("file"):
            write_h5ad(annotate(adata, results, clusterings, coordinates, resolutions[0]), folder / "annotated.h5ad")
            write_cas(results, folder / "cas.json")
        with clock.stage("review"):
            levels = [
                level_of(result, clusterings[result.resolution], agreements, SCORE_THRESHOLD, **numbers)
                for result, (agreements, numbers) in zip(results, found, strict=True)
            ]
            write_review(review_resolutions(NAME, levels, clusterings), folder)


def _named(
    adata: AnnData, labels: pd.Series, markers: pd.DataFrame, door: Door, resolution: str, notes: tuple[str, ...]
) -> ResolutionResult:
    from cassia_dagster.agents.boost import SCORE_THRESHOLD, needs_boost
    from cassia_dagster.agents.crew import for_each
    from cassia_dagster.agents.merge import merge_clusters
    from cassia_dagster.agents.namesakes import namesakes_of
    from cassia_dagster.method import MAX_WORKERS
    from cassia_dagster.outputs.result import result_of
    from cassia_dagster.records import ClusterResult
    from cassia_dagster.singlecell.cluster import digest_cells
    from cassia_dagster.singlecell.contrasts import contrasts
    from cassia_dagster.singlecell.lookup import sum_expression
    from cassia_dagster.singlecell.profile import gather_evidence

    evidence, digests = gather_evidence(adata, labels, markers, species=SPECIES, tissue=TISSUE), digest_cells(labels)
    subject = f"{NAME}/{resolution}"
    named = for_each(evidence, partial(_name, door, subject, digests), MAX_WORKERS)
    same = namesakes_of([annotated for annotated, _ in named])
    asked = [
        annotated
        for annotated, scored in named
        if annotated.cluster in same or needs_boost(annotated, scored, SCORE_THRESHOLD)
    ]
    most_like = {row.cluster: row.evidence.nearest[0].cluster for row in asked if row.evidence.nearest}
    sums = sum_expression(adata, labels) if asked else None
    against = contrasts(adata, labels, sums.clusters, most_like) if sums else {}
    wanted = {row.cluster for row in asked}
    final = for_each(named, partial(_look_at, sums, against, door, subject, same, wanted), MAX_WORKERS)
    groupings, _ = merge_clusters(final, SPECIES, TISSUE, door, subject)
    clusters: list[ClusterResult] = [
        ClusterResult(annotated=annotated, scored=scored, boosted=boosted, grouping=grouping)
        for (annotated, scored), boosted, grouping in zip(named, final, groupings, strict=True)
    ]
    return result_of(
        clusters,
        dataset=NAME,
        resolution=resolution,
        column=None,
        species=SPECIES,
        tissue=TISSUE,
        libraries=LIBRARIES,
        notes=notes,
    )


def _name(door: Door, subject: str, digests: dict[str, str], one: ClusterEvidence) -> Named:
    from cassia_dagster.agents.annotate import annotate_cluster
    from cassia_dagster.agents.score import score_cluster

    own = f"{subject}/{one.cluster}"
    annotated = annotate_cluster(one, door, door, own).model_copy(update={"cells": digests[one.cluster]})
    return annotated, score_cluster(one, annotated, door, own)


def _look_at(
    sums: ExpressionSums | None,
    against: Mapping[str, tuple[Marker, ...]],
    door: Door,
    subject: str,
    same: Mapping[str, tuple[str, ...]],
    wanted: set[str],
    named: Named,
) -> BoostedCluster:
    from cassia_dagster.agents.boost import boost_cluster, keep_as_is

    annotated, scored = named
    if sums is None or annotated.cluster not in wanted:
        return keep_as_is(annotated, scored)
    others = same.get(annotated.cluster, ())
    return boost_cluster(
        annotated,
        scored,
        door,
        door,
        f"{subject}/{annotated.cluster}",
        look_up=partial(sums.look_up, annotated.evidence, namesakes=others),
        contrast=against.get(annotated.cluster, ()),
        namesakes=others,
    )


def _report(
    result: ResolutionResult, adata: AnnData, labels: pd.Series, coordinates: Any, folder: Path, calls: list[Any]
) -> dict[str, Agreement]:
    import pandas as pd

    from cassia_dagster.outputs.dot_picture import draw_dots
    from cassia_dagster.outputs.dotplot import dot_plot
    from cassia_dagster.outputs.ledger import write_ledger
    from cassia_dagster.outputs.map_picture import draw_map
    from cassia_dagster.outputs.maps import draw_maps
    from cassia_dagster.outputs.report import render_report
    from cassia_dagster.outputs.shown import genes_shown
    from cassia_dagster.outputs.tables import write_tables
    from cassia_dagster.outputs.transcripts import write_transcripts

    place = folder / result.resolution
    place.mkdir(exist_ok=True)
    write_ledger(calls, place / "ledger.parquet")
    write_tables(result, place, NAME)
    write_transcripts(result, place)
    cells = pd.DataFrame(coordinates, columns=["x", "y"], index=adata.obs_names).join(labels)
    genes = adata[:, genes_shown(result)].copy()
    known = adata.obs[[TRUTH]]
    maps, agreements = draw_maps(result, cells, known), {TRUTH: _agreement(result, labels, known[TRUTH])}
    page = render_report(result, cells, known, agreements, genes, calls, maps=maps)
    (place / "report.html").write_text(page, encoding="utf-8")
    draw_map(maps[1])
    draw_dots(dot_plot(result, cells["cluster"], genes))
    return agreements


def _agreement(result: ResolutionResult, labels: pd.Series, gold: pd.Series) -> Agreement:
    from cassia_dagster.evaluation.agreement import compare_with_gold
    from cassia_dagster.evaluation.reading import read_gold_labels

    known = [str(label) for label in gold.reindex(labels.index)]
    return compare_with_gold(
        labels={row.cluster: _term(row) for row in result.clusters},
        clusters=labels.tolist(),
        gold_labels=known,
        gold_ids=read_gold_labels(sorted(set(known)), result.tissue, result.species),
    )


def _term(row: ClusterResult) -> str | None:
    annotation, check = row.boosted.annotation, row.boosted.check
    return None if annotation is None or annotation.unresolved or check is None else check.cl_id
