"""Asset `report`: what a user takes home of one dataset at one resolution."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import dagster as dg

from assets.agreement import AGREES, COVERED, agreement_checks, describe_agreement
from assets.failures import fatal_errors
from assets.partitions import BY_DATASET_AND_RESOLUTION, dataset_and_resolution
from assets.pools import memory_tags
from assets.raw_adata import raw_adata
from assets.results import Tables, assemble, compare, coordinates_of, refuse_other_cells
from cassia_dagster.agents.subclusters import Subcluster, parts_of_now
from cassia_dagster.files import replacing
from cassia_dagster.llm.store import Store
from cassia_dagster.marker_tables import WITHOUT_CELLS
from cassia_dagster.outputs.analyses import ANALYSES, Found, analysis_sections
from cassia_dagster.outputs.dot_picture import draw_dots
from cassia_dagster.outputs.dotplot import dot_plot
from cassia_dagster.outputs.ledger import write_ledger
from cassia_dagster.outputs.map_picture import draw_map
from cassia_dagster.outputs.maps import draw_maps
from cassia_dagster.outputs.report import render_report
from cassia_dagster.outputs.result import ResolutionResult, Spent, final_label
from cassia_dagster.outputs.shown import genes_shown
from cassia_dagster.outputs.tables import write_tables
from cassia_dagster.outputs.transcripts import write_transcripts
from cassia_dagster.singlecell.cluster import digest_clusters
from cassia_dagster.singlecell.load import INPUT
from cassia_dagster.singlecell.resolutions import folder_of
from resources.catalog import CatalogResource
from resources.catalog_check import lab_notes
from resources.llm import EMBEDDED, ModelStore
from resources.settings import AnnotationSettings
from resources.storage import IF_CELLS, AdataFile, TableFile, TableIOManager
from resources.versions import version_of_files

if TYPE_CHECKING:
    import pandas as pd


@dg.asset(
    partitions_def=BY_DATASET_AND_RESOLUTION,
    deps=[raw_adata],
    ins={"normalized_adata": IF_CELLS, "umap": IF_CELLS},
    group_name="results",
    op_tags=memory_tags(matrix=True),
    kinds={"html", "csv"},
    code_version="5",
    check_specs=[AGREES, COVERED],
)
def report(
    context: dg.AssetExecutionContext,
    catalog: CatalogResource,
    model_store: ModelStore,
    settings: AnnotationSettings,
    table_storage: dg.ResourceParam[TableIOManager],
    normalized_adata: AdataFile,
    umap: TableFile,
    leiden_clusters: TableFile,
    annotations: TableFile,
    scores: TableFile,
    reviewed: TableFile,
    merged: TableFile,
) -> dg.MaterializeResult:
    """The report and the tables: one HTML file to read and to send, and CSV files in CASSIA's columns.

    The report shows what to look at first, the cells on a map that can be coloured by cluster, label, score, known
    labels and any marker gene, a dot plot, every cluster with its label, score and status, and for each the
    markers, the evidence for and against, and the argument between the roles. Beside them, `transcripts/` holds
    every question and reply as text, one file a cluster.
    """
    dataset, resolution = dataset_and_resolution(context)
    with fatal_errors():
        entry = catalog.entry(dataset)
        folder = entry.folder / folder_of(resolution)
        ledger = folder / f"{dataset}_ledger.parquet"
        with model_store.session(context) as store:
            spent = _spent(store, f"{dataset}/{resolution}")
            calls = list(store.calls(subject=f"{dataset}/{resolution}"))
        clusters = leiden_clusters.read()
        labels = clusters.set_index("cell_id")["cluster"]
        made = normalized_adata.read(f"uns/{INPUT}") if entry.has_cells else None
        notes = tuple(str(made.uns[INPUT]["notes"]).splitlines() if made is not None else clusters.attrs["notes"])
        notes += lab_notes(entry)
        result = assemble(
            entry, resolution, digest_clusters(clusters), Tables(annotations, scores, reviewed, merged), spent, notes
        )
        if made is not None:
            refuse_other_cells("normalized_adata", made.obs_names, labels.index)
        known = made.obs[list(entry.labels)] if made is not None else None
        agreements = {
            column: compare(entry, result, labels, known[column]) for column in entry.labels if known is not None
        }
        cells = coordinates_of(umap, labels.index).join(labels) if entry.has_cells else None
        expression = normalized_adata.genes(genes_shown(result))[cells.index] if cells is not None else None
        found = {name: table_storage.made_before(name, dataset, resolution) for name in ANALYSES}
        more = analysis_sections(_about_these(found, result, labels))
        maps = draw_maps(result, cells, known) if cells is not None else None
        page = render_report(result, cells, known, agreements, expression, calls, more, maps)
        picture = draw_map(maps[1]) if maps else None
        names = {row.cluster: final_label(row) for row in result.clusters}
        dots = draw_dots(dot_plot(result, cells["cluster"], expression), names) if cells is not None else None
        # What cannot be shown leaves the files of before as they are, all of them.
        write_ledger(calls, ledger)
        paths, transcripts = write_tables(result, folder, dataset), write_transcripts(result, folder)
        path = folder / f"{dataset}_report.html"
        with replacing(path) as temporary:
            temporary.write_text(page, encoding="utf-8")
    return dg.MaterializeResult(
        data_version=version_of_files(file.read_bytes() for file in paths.values()),
        metadata={
            "report": dg.MetadataValue.path(str(path.absolute())),
            "map": dg.MetadataValue.md(f"![cells by label]({picture})" if picture else WITHOUT_CELLS),
            **({"dot_plot": dg.MetadataValue.md(f"![markers of the clusters]({dots})")} if dots else {}),
            "clusters": len(result.clusters),
            **describe_agreement(agreements),
            **{name: dg.MetadataValue.path(str(file.absolute())) for name, file in paths.items()},
            "ledger": dg.MetadataValue.path(str(ledger.absolute())),
            "transcripts": len(transcripts),
        },
        check_results=agreement_checks(agreements, settings.of(entry).max_contradiction),
    )


def _about_these(
    found: Mapping[str, TableFile | None], result: ResolutionResult, labels: "pd.Series"
) -> dict[str, list[Found]]:
    """Read what analyses on demand found out, as far as it is about the clusters of now."""
    clusters = {row.cluster: row for row in result.clusters}
    tables = {name: table for name, table in found.items() if table and table.fits(ANALYSES[name])}
    rows: dict[str, list[Found]] = {
        name: [row for row in table.records(ANALYSES[name]) if row.is_about(clusters)] for name, table in tables.items()
    }
    parts = [row for row in rows.get("subclusters", []) if isinstance(row, Subcluster)]
    final = {cluster: row.boosted for cluster, row in clusters.items()}
    held = (row for row in parts_of_now(parts, labels) if row.lies_in_parent(labels))
    return rows | {"subclusters": [row.under(final) for row in held]}


def _spent(store: Store, subject: str) -> Spent:
    totals = store.totals(subject=subject)
    # A call of the embedded backend that was killed has no price, and cannot have had one.
    unpriced = sum(
        call.usd is None and call.state != "cached" and call.provider_name != EMBEDDED
        for call in store.calls(subject=subject)
    )
    return Spent(
        usd=totals.usd,
        calls=totals.calls + totals.cached,
        cached_calls=totals.cached,
        unpriced_calls=unpriced,
    )
