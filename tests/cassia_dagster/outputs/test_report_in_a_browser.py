"""The report as its readers meet it: a file, opened in a browser."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from anndata import AnnData

from cassia_dagster.evaluation.agreement import compare_with_gold
from cassia_dagster.knowledge.ontology import Relation
from cassia_dagster.outputs.analyses import analysis_sections
from cassia_dagster.outputs.report import render_report
from cassia_dagster.outputs.result import ResolutionResult
from tests.browser import PHONE, Visit, browser, visit
from tests.cassia_dagster.outputs.hostile import HOSTILE, poisoned
from tests.cassia_dagster.outputs.test_analyses import (
    ALPHA,
    BETA,
    debated,
    drifted,
    hypothesized,
    part,
    uncertain,
)
from tests.cassia_dagster.outputs.test_model_board import compared

__all__ = ["browser", "visit"]

type Go = Callable[..., Visit]


@pytest.fixture
def report(
    tmp_path: Path,
    blood: ResolutionResult,
    blood_cells: pd.DataFrame,
    blood_gold: pd.DataFrame,
    blood_expression: AnnData,
) -> Path:
    terms = {row.cluster: row.boosted.check.cl_id if row.boosted.check else None for row in blood.clusters}
    agreement = compare_with_gold(
        terms,
        blood_cells["cluster"].tolist(),
        [label if isinstance(label, str) else None for label in blood_gold["author"]],
        {"Tc": "CL:0000625", "B": "CL:0000236"},
    )
    html = render_report(blood, blood_cells, blood_gold, {"author": agreement}, blood_expression)
    return written(tmp_path, html)


def written(folder: Path, html: str) -> Path:
    path = folder / "report.html"
    path.write_text(html, encoding="utf-8")
    return path


def rows(seen: Visit) -> list[str]:
    """The clusters of the table, as they are seen from top to bottom."""
    return seen.page.locator("#table tbody tr:visible th").all_inner_texts()


def colours(seen: Visit) -> set[tuple[int, ...]]:
    """The frequent colours of the map's canvas."""
    counted = seen.page.evaluate("""() => {
        const canvas = document.querySelector("#map-canvas canvas");
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        const counts = new Map();
        for (const one of new Uint32Array(data.buffer)) counts.set(one, (counts.get(one) ?? 0) + 1);
        const frequent = [...counts].filter(([one, n]) => one && n > 40);
        return frequent.map(([one]) => [one & 255, (one >> 8) & 255, (one >> 16) & 255]);
    }""")
    return {tuple(one) for one in counted}


def test_it_opens_without_an_error_and_asks_for_nothing_else(report: Path, visit: Go) -> None:
    seen = visit(report)
    assert seen.page.title().startswith("blood")
    assert seen.errors == []
    assert seen.requests == [report.as_uri()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_people_out(report: Path, visit: Go, scheme: str) -> None:
    seen = visit(report, color_scheme=scheme)
    seen.page.locator("#map-legend button").first.click()
    # Every shade that a field of the heat map can have, with a number in it.
    seen.page.evaluate("""document.querySelectorAll(".heat td").forEach((field, place) => {
        field.className = `s${place % 10}`;
        field.textContent = "50";
    })""")
    assert seen.barriers() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_analyses_found_keeps_nobody_out_and_fits_a_phone(
    tmp_path: Path, blood: ResolutionResult, visit: Go, scheme: str
) -> None:
    parts = [part("0", "CD4-positive, alpha-beta T cell", Relation.FINER), part("1", "B cell", Relation.CONTRADICTION)]
    found = {
        "uncertainty": [uncertain(BETA, ALPHA, BETA)],
        "hypotheses": [hypothesized()],
        "symphony": [debated()],
        "subclusters": parts,
        "drift": [drifted()],
        "model_comparison": compared(),
    }
    more = analysis_sections(found)
    seen = visit(written(tmp_path, render_report(blood, None, more=more)), width=PHONE, color_scheme=scheme)
    for section in ("hypotheses", "drift", "model-comparison"):
        seen.page.locator(f"#{section} summary").click()
    assert seen.barriers() == []
    assert seen.overflow() == 0


def test_a_phone_scrolls_down_only_and_keeps_nobody_out(report: Path, visit: Go) -> None:
    seen = visit(report, width=PHONE)
    assert seen.overflow() == 0
    assert seen.barriers() == []


def test_the_table_is_sorted_by_a_heading_either_way_and_by_the_keyboard(report: Path, visit: Go) -> None:
    seen = visit(report)
    assert rows(seen) == ["0", "2", "3", "10", "T?"]
    seen.page.get_by_role("button", name="Score", exact=True).click()
    assert rows(seen) == ["3", "T?", "10", "0", "2"]
    seen.page.keyboard.press("Enter")
    assert rows(seen) == ["2", "0", "10", "3", "T?"]
    assert seen.page.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"


def test_the_table_is_filtered_by_words_genes_evidence_status_and_score(report: Path, visit: Go) -> None:
    seen = visit(report)
    for field, value, left in (
        ("#find", "platelet", []),
        ("#find", "lymphocyte CELL", ["2"]),
        ("#find", "s100a9", ["10"]),
        ("#find", "CL:0000625", ["0"]),
        ("#find", "CD8+ T", ["0"]),
    ):
        seen.page.fill(field, value)
        assert rows(seen) == left
    assert seen.page.inner_text("#found") == "1 of 5 clusters"
    seen.page.fill("#find", "")
    for field, value, left in (
        ("#find-evidence", "doubts", ["10"]),
        ("#find-status", "budget_exhausted", ["3"]),
        ("#find-score", "high", ["0", "2"]),
        ("#find-score", "low", ["10"]),
    ):
        seen.page.select_option(field, value)
        assert rows(seen) == left
        seen.page.select_option(field, "")


def test_the_map_is_coloured_by_cluster_label_score_given_label_and_gene(report: Path, visit: Go) -> None:
    seen = visit(report)
    options = seen.page.locator("#colour-by option").all_inner_texts()
    assert options == ["cluster", "label", "author", "score", "a gene"]
    drawn = []
    for option in options:
        seen.page.select_option("#colour-by", label=option)
        drawn.append(frozenset(colours(seen)))
    assert len(set(drawn)) == len(options)
    assert {(0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)} <= drawn[0]  # the first colours of the palette
    assert seen.page.get_attribute("#map-canvas", "aria-label").endswith("coloured by expression of CD8A")


def test_a_gene_is_found_by_typing_it_or_by_its_name_in_the_dot_plot(report: Path, visit: Go) -> None:
    seen = visit(report)
    seen.page.locator("#dots").get_by_role("button", name="MS4A1").click()
    assert "MS4A1" in seen.page.inner_text("#map-legend")
    assert "25 %" in seen.page.inner_text("#map-legend")
    seen.page.fill("#gene", "lyz")
    seen.page.keyboard.press("Tab")
    assert "LYZ" in seen.page.inner_text("#map-legend")
    seen.page.fill("#gene", "NOPE")
    seen.page.keyboard.press("Tab")
    assert "NOPE is not among the markers" in seen.page.inner_text("#map-legend")


def test_a_cluster_is_selected_in_the_legend_on_its_page_and_on_the_map(report: Path, visit: Go) -> None:
    seen = visit(report)
    seen.page.locator("#map-legend button", has_text="CD8-positive").click()
    assert "Cluster 0: CD8-positive, alpha-beta T cell" in seen.page.inner_text("#map-card")
    assert seen.page.get_attribute("#table tr.selected", "data-cluster") == "0"
    assert (0xD5, 0x5E, 0x00) not in colours(seen)
    seen.page.get_by_role("button", name="Clear the selection").click()
    assert seen.page.locator("#table tr.selected").count() == 0
    assert (0xD5, 0x5E, 0x00) in colours(seen)
    seen.page.locator("#cluster-3 .on-map").click()
    assert seen.page.get_attribute("#table tr.selected", "data-cluster") == "10"
    seen.page.focus("#map-canvas")
    seen.page.keyboard.press("Escape")
    assert seen.page.locator("#map-card").is_hidden()


def test_pointing_at_a_cell_reads_it_and_a_click_selects_its_cluster(report: Path, visit: Go) -> None:
    seen = visit(report)
    place = seen.page.evaluate("""() => {
        const canvas = document.querySelector("#map-canvas canvas");
        const { data, width } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        for (let pixel = 0; pixel < data.length / 4; pixel++) {
            const [red, green, blue] = data.subarray(4 * pixel, 4 * pixel + 3);
            if (red === 0x00 && green === 0x72 && blue === 0xb2) return [pixel % width, Math.floor(pixel / width) + 3];
        }
    }""")
    seen.page.locator("#map-canvas").scroll_into_view_if_needed()
    box = seen.page.locator("#map-canvas").bounding_box()
    seen.page.mouse.move(box["x"] + place[0], box["y"] + place[1])
    assert seen.page.inner_text("#tip").splitlines() == [
        "Cluster 0: CD8-positive, alpha-beta T cell",
        "score 85",
        "author: Tc",
    ]
    seen.page.mouse.click(box["x"] + place[0], box["y"] + place[1])
    assert seen.page.get_attribute("#table tr.selected", "data-cluster") == "0"


def test_the_map_is_zoomed_and_moved_by_buttons_and_keys(report: Path, visit: Go) -> None:
    seen = visit(report)

    def picture() -> str:
        seen.page.wait_for_timeout(60)  # the next frame
        return seen.page.evaluate("document.querySelector('#map-canvas canvas').toDataURL()")

    whole = picture()
    seen.page.click("#zoom-in")
    near = picture()
    seen.page.focus("#map-canvas")
    seen.page.keyboard.press("ArrowLeft")
    moved = picture()
    assert len({whole, near, moved}) == 3
    seen.page.click("#zoom-all")
    assert picture() == whole


@pytest.mark.parametrize("name", ["blood_summary.csv", "blood_scored.csv", "blood.json"])
def test_tables_are_saved_out_of_the_file(report: Path, visit: Go, name: str) -> None:
    seen = visit(report)
    with seen.page.expect_download() as saving:
        seen.page.get_by_role("button", name=name).click()
    assert saving.value.suggested_filename == name
    text = Path(saving.value.path()).read_text(encoding="utf-8")
    if name.endswith(".json"):
        clusters = [row["annotated"]["cluster"] for row in json.loads(text)["clusters"]]
    else:
        clusters = [row["cluster"] for row in csv.DictReader(io.StringIO(text))]
    assert clusters == ["0", "2", "3", "10", "T?"]


def test_the_map_is_saved_as_a_picture(report: Path, visit: Go) -> None:
    seen = visit(report)
    with seen.page.expect_download() as saving:
        seen.page.click("#save-map")
    assert saving.value.suggested_filename == "blood_umap.png"
    assert Path(saving.value.path()).read_bytes().startswith(b"\x89PNG")


def test_text_from_data_and_models_runs_nothing_wherever_it_stands(
    tmp_path: Path, blood: ResolutionResult, blood_cells: pd.DataFrame, blood_expression: AnnData, visit: Go
) -> None:
    hostile = poisoned(blood)
    cells = blood_cells.assign(cluster=blood_cells["cluster"] + HOSTILE)
    gold = pd.DataFrame({"author" + HOSTILE: "theirs" + HOSTILE}, index=cells.index)
    expression = blood_expression.copy()
    expression.var_names = [gene + HOSTILE for gene in expression.var_names]
    agreement = compare_with_gold(
        {row.cluster: None for row in hostile.clusters}, cells["cluster"].tolist(), gold.iloc[:, 0].tolist(), {}
    )
    html = render_report(hostile, cells, gold, {"author" + HOSTILE: agreement}, expression)
    seen = visit(written(tmp_path, html))
    seen.page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    for option in range(5):
        seen.page.select_option("#colour-by", index=option)
        for button in seen.page.locator("#map-legend button").all()[:1]:
            button.click()
        seen.page.mouse.move(*middle_of(seen, "#map-canvas"))
    seen.page.mouse.move(*middle_of(seen, "#sunburst"))
    for folded in seen.page.locator("details").all():
        folded.evaluate("one => one.open = true")
    assert seen.page.evaluate("document.images.length") == 0
    assert seen.errors == []
    assert len(seen.requests) == 1


def middle_of(seen: Visit, selector: str) -> tuple[float, float]:
    seen.page.locator(selector).scroll_into_view_if_needed()
    box = seen.page.locator(selector).bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_without_scripts_and_on_paper_the_maps_are_pictures(report: Path, visit: Go) -> None:
    still = visit(report, java_script_enabled=False)
    assert still.page.locator("#pictures svg.map").count() == 3
    assert still.page.locator("#pictures svg.map").first.is_visible()
    assert still.page.locator("#filters").is_hidden()
    printed = visit(report)
    assert printed.page.locator("#pictures").is_hidden()
    printed.page.emulate_media(media="print")
    assert printed.page.locator("#pictures").is_visible()
    assert printed.page.locator("#explorer").is_hidden()
    assert printed.page.pdf().startswith(b"%PDF")


def test_a_marker_table_alone_gives_a_page_without_a_map(tmp_path: Path, blood: ResolutionResult, visit: Go) -> None:
    seen = visit(written(tmp_path, render_report(blood, None)))
    assert seen.errors == []
    assert seen.page.locator("#map-canvas").count() == 0
    seen.page.get_by_role("button", name="Score", exact=True).click()
    assert rows(seen)[-1] == "2"
