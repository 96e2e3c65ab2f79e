"""Which markers people see of a cluster that its ribosomes set apart first of all."""

from __future__ import annotations

from cassia_dagster.outputs.result import ResolutionResult
from cassia_dagster.outputs.shown import BEST, LEAST_TELLING, genes_shown, shown_markers, telling_first
from cassia_dagster.records import ClusterEvidence, Marker

RIBOSOMES = tuple(f"RPL{number}" for number in range(1, 31))
TELLING = ("CD3D", "CCR7", "LEF1", "TCF7", "IL7R", "SELL")


def led_by_ribosomes(*genes: str) -> ClusterEvidence:
    markers = tuple(Marker(gene=gene, score=100 - rank) for rank, gene in enumerate((*RIBOSOMES, *genes)))
    return ClusterEvidence(cluster="1", n_cells=9, share=0.1, markers=markers, species="human", tissue="blood")


def test_markers_that_tell_what_a_cell_is_stand_beside_the_best_with_their_true_ranks() -> None:
    shown = shown_markers(led_by_ribosomes(*TELLING))
    assert [one.marker.gene for one in shown] == [*RIBOSOMES[:BEST], *TELLING[:LEAST_TELLING]]
    assert [one.rank for one in shown] == [*range(1, BEST + 1), *range(31, 31 + LEAST_TELLING)]


def test_where_there_is_room_for_few_those_that_tell_come_first_and_the_others_are_not_lost() -> None:
    assert telling_first(led_by_ribosomes(*TELLING))[:6] == [*TELLING[:LEAST_TELLING], "RPL1"]
    assert telling_first(led_by_ribosomes()) == list(RIBOSOMES[:BEST])


def test_the_best_alone_are_shown_where_enough_of_them_tell(blood: ResolutionResult) -> None:
    (row,) = [row for row in blood.clusters if row.cluster == "0"]
    assert [one.marker.gene for one in shown_markers(row.evidence)] == ["CD8A", "CD8B", "CD3D"]


def test_a_gene_that_was_cited_for_the_label_is_shown_if_it_is_a_marker(blood: ResolutionResult) -> None:
    (row,) = [row for row in blood.clusters if row.cluster == "0"]
    assert row.boosted.annotation is not None
    cited = row.boosted.annotation.model_copy(update={"supporting_genes": ("SELL", "HBB")})
    boosted = row.boosted.model_copy(update={"annotation": cited})
    annotated = row.annotated.model_copy(update={"evidence": led_by_ribosomes(*TELLING)})
    changed = row.model_copy(update={"annotated": annotated, "boosted": boosted})
    result = blood.model_copy(update={"clusters": (changed,)})
    assert genes_shown(result) == [*RIBOSOMES[:BEST], *TELLING[:LEAST_TELLING], "SELL"]
