"""What is chosen on one part and reported on the other."""

from dataclasses import replace

import pytest

from benchmarks import crossfit
from benchmarks.crossfit import GRID, Labelled, choose, halves, labelled_clusters, made_up_doublets, table
from benchmarks.islets import CASES
from benchmarks.page import PAGE
from cassia_dagster.evaluation.cases import read_cases
from cassia_dagster.knowledge.ontology import load_ontology
from cassia_dagster.knowledge.weighing import SETTLED


@pytest.fixture(scope="module")
def islets():
    return [Labelled("islets", case, "pancreas") for case in read_cases(CASES)]


@pytest.fixture
def two_constants(monkeypatch):
    """A grid so small that the choice takes no time: only sharp differences of fit name an islet's type."""
    monkeypatch.setattr(crossfit, "GRID", {"temperature": (10.0, 0.03), "mixed": (1.0, 0.2)})


def test_no_type_is_in_both_halves(islets):
    part_of = halves(islets)
    assert {part_of(one) for one in islets} == {"A", "B"}
    types = [{one.case.gold_id for one in islets if part_of(one) == half} for half in "AB"]
    assert not types[0] & types[1]


def test_doublets_mix_the_markers_of_two_lineages(islets):
    ontology = load_ontology()
    lineage_of = {one.case.evidence.markers[0].gene: ontology.lineage(one.case.gold_id) for one in islets}
    doublets = made_up_doublets(islets)
    assert doublets
    for doublet in doublets:
        first, second = (lineage_of[marker.gene] for marker in doublet.markers[:2])
        assert first != second


@pytest.mark.usefixtures("two_constants")
def test_the_choice_takes_what_names_the_clusters_right(islets):
    assert choose(islets[:6]).temperature == 0.03


@pytest.mark.usefixtures("two_constants")
def test_every_cluster_is_answered_once_by_constants_that_it_had_no_say_in(islets, monkeypatch):
    asked = []
    monkeypatch.setattr(crossfit, "choose", lambda clusters: asked.append(clusters) or SETTLED)
    parts = list(crossfit.crossfit(islets, halves(islets)))
    for part, choosing in zip(parts, asked, strict=True):
        assert not {one.case.case for one in choosing} & {one.case.case for one, _ in part.answers}
    assert sorted(one.case.case for part in parts for one, _ in part.answers) == sorted(one.case.case for one in islets)


def test_all_constants_may_be_chosen_and_those_that_ship_lie_on_the_grid():
    assert set(GRID) == set(SETTLED.__dataclass_fields__)
    assert all(getattr(SETTLED, name) in values for name, values in GRID.items())


def test_a_grid_begins_where_each_constant_does_least(islets):
    begins = replace(SETTLED, **{name: values[0] for name, values in GRID.items()})
    assert begins.renown == begins.own_organ == begins.lineage_weight == begins.min_confidence == 0


def test_the_page_shows_what_the_shipped_constants_do(evaluation_data):
    """If not, what is measured has changed: ``python -m benchmarks.crossfit`` writes it anew."""
    page = PAGE.read_text("utf-8")
    shipped = table(labelled_clusters(evaluation_data), {}).splitlines()[2:]
    assert shipped
    assert all(line in page for line in shipped)
