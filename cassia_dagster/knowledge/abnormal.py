"""Clusters that must not be named as if they were healthy: tumours, debris and dying cells."""

from __future__ import annotations

from cassia_dagster.knowledge.anatomy import read_tissue
from cassia_dagster.knowledge.belief import informative_markers
from cassia_dagster.knowledge.markers import tells_malignancy
from cassia_dagster.records import ClusterEvidence

_FEW_INFORMATIVE = 0.25
_HIGH_MITO = 30.0
_GERM_LINE = frozenset({"testis", "ovary", "placenta"})
_N_MARKERS_TUMOUR = 50
_TUMOUR_GENES = 2  # one alone may be chance among 50 markers
_SIGNIFICANT = 0.05


def is_malignant(evidence: ClusterEvidence) -> bool:
    """Whether the best markers hold several genes that only tumours switch on, in a tissue where that is so."""
    if read_tissue(evidence.tissue).organs & _GERM_LINE:
        return False
    best = evidence.markers[:_N_MARKERS_TUMOUR]
    up = [m for m in best if m.is_up and (m.p_val_adj is None or m.p_val_adj < _SIGNIFICANT)]
    return sum(tells_malignancy(marker.gene) for marker in up) >= _TUMOUR_GENES


def is_low_quality(evidence: ClusterEvidence, n_markers: int) -> bool:
    """Whether the cluster is known by stress, ribosomes and mitochondria rather than by what it is."""
    if evidence.quality is not None and evidence.quality.pct_mito >= _HIGH_MITO:
        return True
    first = evidence.model_copy(update={"markers": evidence.markers[:n_markers]})
    return bool(first.markers) and len(informative_markers(first, n_markers)) < _FEW_INFORMATIVE * len(first.markers)
