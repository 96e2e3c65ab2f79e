import pytest

from cassia_dagster.knowledge.states import STATES, cell_state, cell_states, state_of
from cassia_dagster.knowledge.tables import read_toml
from cassia_dagster.records import Annotation, Marker


def markers(genes):
    return [Marker(gene=gene, avg_log2FC=3, pct_1=0.8, pct_2=0.1, p_val_adj=0, score=9) for gene in genes.split()]


@pytest.mark.parametrize(
    ("genes", "state"),
    [
        ("MKI67 TOP2A UBE2C CDK1 BIRC5 CD3D", "cycling"),
        ("Mki67 Top2a Ube2c Cdk1 Birc5 Cd3d", "cycling"),
        ("ISG15 IFIT1 IFIT3 MX1 OAS1 CD14", "interferon response"),
        ("HSPA1A HSPA1B DNAJB1 HSPH1 DDIT3 INS", "stressed"),
        ("CD3D MKI67 TOP2A UBE2C CDK1 IL7R", None),
        ("INS GCG", None),
        ("", None),
    ],
)
def test_five_genes_of_a_state_tell_it(genes, state):
    assert cell_state(markers(genes)) == state


def test_every_state_has_its_genes():
    assert set(STATES) <= set(read_toml("judgement.toml")["genes"]["no_identity"])


def test_several_states_are_told_with_their_genes_the_strongest_first():
    both = markers("MKI67 ISG15 TOP2A IFIT1 UBE2C IFIT3 CDK1 MX1 BIRC5 OAS1 CCNB1 CD3D")
    assert [(one.name, one.genes[0], len(one.genes)) for one in cell_states(both)] == [
        ("cycling", "MKI67", 6),
        ("interferon response", "ISG15", 5),
    ]


def test_a_models_word_goes_first_and_the_markers_speak_where_it_says_nothing():
    cycling = markers("MKI67 TOP2A UBE2C CDK1 BIRC5")
    assert state_of(Annotation(general_celltype="T cell", cell_state="proliferating"), cycling) == "proliferating"
    assert state_of(Annotation(general_celltype="T cell"), cycling) == "cycling"
    assert state_of(None, cycling) == "cycling", "a cluster without an answer"
    assert state_of(Annotation(general_celltype="T cell"), markers("CD3D")) is None
