import base64
import hashlib
import re
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from jinja2 import UndefinedError

from cassia_dagster.errors import InputError
from cassia_dagster.evaluation.agreement import compare_with_gold
from cassia_dagster.outputs import report
from cassia_dagster.outputs.dotplot import dot_plot
from cassia_dagster.outputs.report import render_report
from cassia_dagster.outputs.result import ResolutionResult, confidence_of
from cassia_dagster.outputs.sections import Section
from cassia_dagster.outputs.transcripts import transcript_names
from cassia_dagster.records import Marker, TissueShare
from tests.cassia_dagster.outputs.hostile import HOSTILE, poisoned


class Page(HTMLParser):
    """What a browser would make of the report: its elements, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def sections(html: str) -> list[str]:
    """Headings of the sections, which the navigation leads to in the same order."""
    headings = re.findall(r'<h2 id="[a-z-]+-title">(.*?)</h2>', html)
    assert re.findall(r'<li><a href="#[a-z-]+">(.*?)</a></li>', html[: html.index("<main")]) == headings
    return headings


def test_markup_in_any_text_from_data_or_models_is_inert(blood: ResolutionResult, blood_cells: pd.DataFrame) -> None:
    hostile = poisoned(blood)
    cells = blood_cells.assign(cluster=blood_cells["cluster"] + HOSTILE, gold=HOSTILE)
    clean = Page(render_report(blood, blood_cells))
    dirty = Page(render_report(hostile, cells, gold=cells[["gold"]]))
    assert len(dirty.attributes("script")) == len(clean.attributes("script")) > 1
    assert not dirty.attributes("img")
    assert not any(name.startswith("on") for _, attributes in dirty.elements for name in attributes)
    # The text is not lost either: it stands there as text, and no template was evaluated in it.
    text = "".join(dirty.text)
    label = "CD8-positive, alpha-beta T cell"
    for field in (
        "CD8A",
        label,
        "Fits now.",
        "Specific.",
        "CD79A decides.",
        "What is it?",
        "blood",
        "cycling",
        "JCHAIN",
        "No sign of it.",
    ):
        assert field + HOSTILE in text


def test_a_second_look_shows_what_was_tested_and_found(blood: ResolutionResult, blood_cells: pd.DataFrame) -> None:
    text = " ".join(" ".join(Page(render_report(blood, blood_cells)).text).split())
    assert "Round 1: plasma cell" in text
    assert "JCHAIN not detected -3.0 0 % 20 % 0: not different" in text
    assert "MZB1 not measured" in text
    assert "Found against it JCHAIN" in text
    assert "Is this malignant? No sign of it." in text
    assert "state: cycling" in text


def test_the_table_has_a_row_and_the_page_a_section_for_every_cluster(
    blood: ResolutionResult, blood_cells: pd.DataFrame
) -> None:
    html = render_report(blood, blood_cells)
    page = Page(html)
    anchors = {attributes["id"] for attributes in page.attributes("article")}
    assert len(anchors) == len(blood.clusters)
    table = html[html.index('<table class="sortable"') :]
    linked = re.findall(r'<th scope="row"[^>]*><a class="chip" href="#([^"]+)"', table[: table.index("</table>")])
    assert set(linked) == anchors
    text = "".join(page.text)
    assert "The budget of $1 is spent." in text
    assert "left without a name because it has no significant markers" in text


def test_every_link_within_the_page_leads_somewhere(blood: ResolutionResult, blood_cells: pd.DataFrame) -> None:
    page = Page(render_report(blood, blood_cells))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [str(attributes["href"]) for attributes in page.attributes("a")]
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    beside = {link for link in links if link.startswith("transcripts/")}
    assert beside == set(transcript_names(blood).values())
    outside = [
        attributes
        for attributes in page.attributes("a")
        if not str(attributes["href"]).startswith("#") and attributes["href"] not in beside
    ]
    assert outside
    for link in outside:
        assert re.fullmatch(r"https://purl\.obolibrary\.org/obo/CL_\d{7}", str(link["href"]))
        assert "noopener" in str(link["rel"])


def test_nothing_is_loaded_from_anywhere(blood: ResolutionResult, blood_cells: pd.DataFrame) -> None:
    html = render_report(blood, blood_cells)
    page = Page(html)
    loading = [
        attributes[name]
        for tag, attributes in page.elements
        for name in ("src", "srcset", "href", "xlink:href", "data", "action", "poster", "background")
        if tag != "a" and name in attributes
    ]
    assert loading
    assert all(str(address).startswith("data:image/png;base64,") for address in loading)
    assert not page.attributes("link")
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_the_policy_allows_our_style_and_script_and_no_other(
    blood: ResolutionResult, blood_cells: pd.DataFrame
) -> None:
    html = render_report(blood, blood_cells)
    page = Page(html)
    policy = next(
        str(meta["content"]) for meta in page.attributes("meta") if meta.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    for tag in ("style", "script"):
        contents = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in contents]
        assert rules[f"{tag}-src"] == " ".join(f"'sha256-{digest}'" for digest in digests)
    assert not any("style" in attributes for _, attributes in page.elements)


def test_tables_have_captions_and_headings_with_a_scope(blood: ResolutionResult, blood_cells: pd.DataFrame) -> None:
    page = Page(render_report(blood, blood_cells))
    assert len(page.attributes("caption")) == len(page.attributes("table"))
    assert all(heading.get("scope") in ("row", "col") for heading in page.attributes("th"))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_a_bare_marker_table_gives_a_report_without_map_and_says_so(blood: ResolutionResult) -> None:
    html = render_report(blood, None)
    page = Page(html)
    assert not page.attributes("image")
    assert "there are no maps and no cell counts" in "".join(page.text)
    assert len(page.attributes("article")) == len(blood.clusters)
    assert {"Map", "Marker genes"}.isdisjoint(sections(html))


def test_cells_without_expression_have_a_map_and_no_dot_plot(
    blood: ResolutionResult, blood_cells: pd.DataFrame
) -> None:
    found = sections(render_report(blood, blood_cells))
    assert "Map" in found
    assert "Marker genes" not in found


def test_another_section_is_a_template_and_a_value(
    blood: ResolutionResult, blood_cells: pd.DataFrame, blood_expression: AnnData
) -> None:
    plot = dot_plot(blood, blood_cells["cluster"], blood_expression)
    html = render_report(blood, None, more=[Section("more", "Still more", "dots.html.j2", plot)])
    assert sections(html).index("Still more") == sections(html).index("Cluster by cluster") - 1
    assert "CD8A in cluster 0: 100 % of cells" in html


def test_a_marker_of_which_only_the_name_is_known_has_dashes_for_numbers(blood: ResolutionResult) -> None:
    first, *others = blood.clusters
    bare = first.evidence.model_copy(update={"markers": (Marker(gene="LYZ"),)})
    annotated = first.annotated.model_copy(update={"evidence": bare})
    changed = first.model_copy(update={"annotated": annotated})
    page = render_report(blood.model_copy(update={"clusters": (changed, *others)}), cells=None)
    (row,) = re.findall(r"<tr><td[^>]*>1</td><th[^>]*><i[^>]*>LYZ</i></th>.*?</tr>", page, re.DOTALL)[:1]
    assert row.count("\N{EN DASH}") == 4


def test_agreement_with_gold_labels_is_shown_where_given(blood: ResolutionResult, blood_cells: pd.DataFrame) -> None:
    ids = {row.cluster: row.boosted.check.cl_id if row.boosted.check else None for row in blood.clusters}
    gold = blood_cells["cluster"].map({"0": "Tc", "2": "B", "10": "B"}).fillna("odd")
    agreement = compare_with_gold(
        ids, list(blood_cells["cluster"]), list(gold), {"Tc": "CL:0000625", "B": "CL:0000236", "odd": None}
    )
    text = "".join(Page(render_report(blood, blood_cells, agreements={"author": agreement})).text)
    assert "the same term for 65\N{NO-BREAK SPACE}%" in text
    assert "Agreement" in sections(render_report(blood, blood_cells, agreements={"author": agreement}))
    assert "Agreement" not in sections(render_report(blood, blood_cells))


def test_cells_of_an_unknown_cluster_are_an_error(blood: ResolutionResult, blood_cells: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="'11'"):
        render_report(blood, blood_cells.replace({"cluster": {"10": "11"}}))


def test_given_labels_may_have_any_name_also_that_of_a_coordinate(
    blood: ResolutionResult, blood_cells: pd.DataFrame
) -> None:
    gold = pd.DataFrame({"cluster": "mine", "x": "theirs"}, index=blood_cells.index)
    text = "".join(Page(render_report(blood, blood_cells, gold=gold)).text)
    assert "Cells by x" in text
    assert "theirs" in text


def test_a_name_that_a_template_misspells_is_an_error_and_not_a_gap() -> None:
    with pytest.raises(UndefinedError):
        report._environment().from_string("{{ reslut }}").render(result=1)


def test_the_report_of_fifty_thousand_cells_can_be_mailed(blood: ResolutionResult) -> None:
    rng = np.random.default_rng(0)
    clusters = rng.choice([row.cluster for row in blood.clusters], 50_000)
    xy = rng.normal(size=(50_000, 2))
    cells = pd.DataFrame({"x": xy[:, 0], "y": xy[:, 1], "cluster": clusters, "gold": rng.permutation(clusters)})
    assert len(render_report(blood, cells, gold=cells[["gold"]]).encode()) < 1_500_000


def test_the_report_says_by_which_column_clusters_were_given(
    blood: ResolutionResult, blood_cells: pd.DataFrame
) -> None:
    leiden, given = blood, blood.model_copy(update={"resolution": "given", "column": "mine<b>"})
    assert "Human blood, Leiden clusters at resolution 0.4" in "".join(Page(render_report(leiden, blood_cells)).text)
    page = Page(render_report(given, blood_cells))
    assert "Human blood, clusters given by mine<b>" in "".join(page.text)
    assert "blood · cell types of clusters given by mine<b>" in "".join(page.text)


def test_clusters_are_not_compared_with_labels_that_they_are(
    blood: ResolutionResult, blood_cells: pd.DataFrame
) -> None:
    clusters = blood_cells["cluster"].tolist()
    agreement = compare_with_gold({row.cluster: None for row in blood.clusters}, clusters, clusters, {})
    other = "".join(Page(render_report(blood, blood_cells, None, {"mine": agreement})).text)
    given = blood.model_copy(update={"resolution": "given", "column": "mine"})
    own = "".join(Page(render_report(given, blood_cells, None, {"mine": agreement})).text)
    assert "Adjusted Rand index" in other
    assert "Adjusted Rand index" not in own
    assert "The clusters are these labels themselves." in own


def test_a_cluster_of_several_tissues_shows_them(blood: ResolutionResult, blood_cells: pd.DataFrame) -> None:
    first = blood.clusters[0]
    tissues = tuple(
        TissueShare(tissue=name, n_cells=cells, share=share)
        for name, cells, share in [("blood", 3, 0.75), ("gut", 1, 0.25)]
    )
    evidence = first.evidence.model_copy(update={"tissues": tissues})
    row = first.model_copy(update={"annotated": first.annotated.model_copy(update={"evidence": evidence})})
    mixed = blood.model_copy(update={"clusters": (row, *blood.clusters[1:])})
    assert "from blood 75 %, gut 25 %" in "".join(Page(render_report(mixed, blood_cells)).text)


def test_a_cluster_says_how_often_labels_like_its_own_were_right(
    blood: ResolutionResult, blood_cells: pd.DataFrame
) -> None:
    monocytes = next(row for row in blood.clusters if row.cluster == "10")
    confidence = confidence_of(monocytes)
    assert confidence is not None
    assert confidence.right is not None
    text = " ".join("".join(Page(render_report(blood, blood_cells)).text).split())
    assert f"Of labels like this, {100 * confidence.right:.0f} % were right where the truth is known" in text
    assert f"({confidence.n} published clusters)" in text
