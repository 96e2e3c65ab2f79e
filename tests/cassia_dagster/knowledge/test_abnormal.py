from __future__ import annotations

from collections.abc import Callable

import pytest

from cassia_dagster.knowledge.abnormal import is_low_quality, is_malignant
from cassia_dagster.records import ClusterEvidence, ClusterQuality

type MakeEvidence = Callable[..., ClusterEvidence]

TUMOUR = "GAGE12E CT45A3 MAGEA4 LDHB GSTM3 SLPI"
T_CELL = "CD3D CD3E IL7R TRAC CD2 LTB CD27"


@pytest.mark.parametrize(
    ("genes", "tissue", "malignant"),
    [
        (TUMOUR, "lung", True),
        (TUMOUR, "", True),
        (TUMOUR, "UBERON:0000473", False),
        (f"MAGEA4 {T_CELL}", "lung", False),
    ],
)
def test_several_genes_of_tumours_tell_one_but_not_in_the_germ_line(
    evidence_from: MakeEvidence, genes: str, tissue: str, *, malignant: bool
) -> None:
    assert is_malignant(evidence_from(genes, tissue)) is malignant


def test_tumour_genes_that_are_down_or_not_significant_tell_nothing(evidence_from: MakeEvidence) -> None:
    evidence = evidence_from(TUMOUR, "lung")
    for said in ({"avg_log2FC": -1.0}, {"p_val_adj": 0.3}):
        markers = tuple(marker.model_copy(update=said) for marker in evidence.markers)
        assert not is_malignant(evidence.model_copy(update={"markers": markers}))


@pytest.mark.parametrize(
    ("genes", "pct_mito", "low"),
    [(T_CELL, 5, False), (T_CELL, 60, True), ("RPS27 RPL13 MT-CO1 MT-ND1 HSPA1A RPS3 RPL10 DDIT3 CD3D", 5, True)],
)
def test_debris_and_dying_cells_are_known_by_what_they_suffer(
    evidence_from: MakeEvidence, genes: str, pct_mito: float, *, low: bool
) -> None:
    quality = ClusterQuality(median_counts=500, median_genes=200, pct_mito=pct_mito, pct_ribo=10)
    assert is_low_quality(evidence_from(genes).model_copy(update={"quality": quality}), 20) is low
