from cassia_dagster.agents.shown import LEAST_TELLING, N_MARKERS, markers_shown
from cassia_dagster.knowledge.candidates import propose
from cassia_dagster.knowledge.markers import tells_identity
from cassia_dagster.records import Marker

RIBOSOMES = [f"RP{part}{number}" for part in "SL" for number in range(3, 28)]
NAIVE_T = [
    *("LDHB", "CD3D", "CD3E", "CCR7", "LEF1", "TCF7", "IL7R", "MAL", "NOSIP", "PIK3IP1", "TRAC", "LTB", "SELL"),
    *("FHIT", "CAMK4", "OXNAD1", "TRABD2A", "CD27", "MYC", "FLT3LG", "SARAF"),
]


def _markers(*genes: str) -> tuple[Marker, ...]:
    return tuple(Marker(gene=gene) for gene in genes)


def test_a_cluster_with_telling_markers_shows_its_best_and_no_others():
    markers = _markers(*(f"GENE{number}" for number in range(120)))
    assert markers_shown(markers) == markers[:N_MARKERS]


def test_a_resting_cell_full_of_ribosomes_shows_what_it_is_further_down(evidence_of):
    evidence = evidence_of("0", " ".join([*RIBOSOMES, *NAIVE_T, "RPS29"]), tissue="blood")
    shown = evidence.model_copy(update={"markers": markers_shown(evidence.markers)})
    assert [m.gene for m in shown.markers] == [*RIBOSOMES, *NAIVE_T]
    assert propose(evidence.model_copy(update={"markers": evidence.markers[:N_MARKERS]})).cl_id is None
    assert "T cell" in propose(shown).label


def test_no_more_is_shown_than_is_needed():
    shown = markers_shown(_markers(*RIBOSOMES, *(f"GENE{number}" for number in range(100))))
    assert sum(tells_identity(marker.gene) for marker in shown) == LEAST_TELLING
