from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cassia_dagster.knowledge.belief import believe, informative_markers, load_model, rank_discounts, speaking_genes
from cassia_dagster.records import ClusterEvidence, Marker

model = load_model("human")
BETA, T_CELL = "CL:0000169", "CL:0000084"


def test_probabilities_are_distributions(evidence_from: Callable[..., ClusterEvidence]) -> None:
    belief = believe(evidence_from("INS IAPP MAFA"))
    assert belief is not None
    assert belief.probability.sum() == pytest.approx(1)
    assert belief.lineage_probability.sum() == pytest.approx(1)
    assert model.knowledge.types[int(np.argmax(belief.probability))] == BETA


def test_genes_that_speak_for_nothing_make_no_belief(evidence_from: Callable[..., ClusterEvidence]) -> None:
    assert believe(evidence_from("")) is None
    assert believe(evidence_from("NOSUCHGENE1 NOSUCHGENE2")) is None
    assert believe(evidence_from("MT-CO1 RPS27 MKI67")) is None


def test_markers_that_are_down_or_not_significant_are_not_read(islets: dict[str, tuple[str, ClusterEvidence]]) -> None:
    evidence = islets["beta"][1]
    down, weak, good = evidence.markers[:3]
    markers = (down.model_copy(update={"avg_log2FC": -1.0}), weak.model_copy(update={"p_val_adj": 0.2}), good)
    assert informative_markers(evidence.model_copy(update={"markers": markers}), 20) == (good,)


def test_a_marker_counts_less_with_each_rank() -> None:
    assert rank_discounts(3) == pytest.approx([1, 1 / np.log2(3), 0.5])


def test_two_mouse_genes_for_one_human_gene_count_once(evidence_from: Callable[..., ClusterEvidence]) -> None:
    one, two = (believe(evidence_from(genes, species="mouse")) for genes in ("Ins1 Iapp", "Ins1 Ins2 Iapp"))
    assert one is not None
    assert two is not None
    beta = load_model("mouse").knowledge.types.index(BETA)
    assert two.fit[beta] == pytest.approx(one.fit[beta], rel=0.05)


def test_a_type_of_another_organ_fits_less(evidence_from: Callable[..., ClusterEvidence]) -> None:
    beta = model.knowledge.types.index(BETA)
    here, there, unknown = (believe(evidence_from("INS IAPP MAFA", tissue)) for tissue in ("islets", "brain", ""))
    assert here is not None
    assert there is not None
    assert unknown is not None
    assert here.fit[beta] == unknown.fit[beta] > there.fit[beta]
    assert here.standing[beta] > unknown.standing[beta]


def test_speaking_genes_come_strongest_first_and_are_markers(evidence_from: Callable[..., ClusterEvidence]) -> None:
    belief = believe(evidence_from("NOSUCHGENE CD3E CD3D ALB"))
    assert belief is not None
    assert set(speaking_genes(model, belief, model.on_path(T_CELL))) == {"CD3D", "CD3E"}


def test_a_bare_list_of_genes_says_as_much_as_one_with_the_same_statistics_for_all(
    evidence_from: Callable[..., ClusterEvidence],
) -> None:
    with_statistics = evidence_from("INS IAPP MAFA")
    bare = with_statistics.model_copy(update={"markers": tuple(Marker(gene=m.gene) for m in with_statistics.markers)})
    one, other = believe(with_statistics), believe(bare)
    assert one is not None
    assert other is not None
    assert other.probability == pytest.approx(one.probability)
