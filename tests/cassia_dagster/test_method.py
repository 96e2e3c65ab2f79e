"""The whole method on clusters that are known by their evidence alone."""

import pytest

from cassia_dagster.agents.embedded import EmbeddedBackend
from cassia_dagster.llm.door import Door
from cassia_dagster.llm.store import Store
from cassia_dagster.method import annotate_clusters
from cassia_dagster.records import BoostOutcome, ClusterEvidence, Marker

GENES = {
    "beta": "INS IAPP MAFA PCSK1 ADCYAP1 DLK1 HADH G6PC2",
    "alpha": "GCG TTR CHGB PCSK2 GC IRX2 TM4SF4 CRYBA2",
    "unclear": "CD3D LYZ INS ALB EPCAM",
}


@pytest.fixture
def evidence():
    return [
        ClusterEvidence(
            cluster=cluster,
            n_cells=None,
            share=None,
            markers=tuple(Marker(gene=gene) for gene in genes.split()),
            species="human",
            tissue="pancreas",
        )
        for cluster, genes in GENES.items()
    ]


@pytest.fixture
def door(tmp_path):
    with Store.open(tmp_path / "models.sqlite") as store:
        yield Door(EmbeddedBackend(), store)


def test_clusters_come_back_in_their_order_with_all_stages(evidence, door):
    results, trouble = annotate_clusters(evidence, door, "islets/given")
    assert [row.cluster for row in results] == list(GENES)
    assert trouble == ""
    assert [row.grouping.detailed for row in results[:2]] == ["type B pancreatic cell", "pancreatic A cell"]
    assert {stage.cluster for stage in (results[0].annotated, results[0].scored, results[0].boosted)} == {"beta"}


def test_only_doubtful_clusters_are_contrasted(evidence, door):
    asked = []

    def contrast(one):
        asked.append(one.cluster)
        return (Marker(gene="CD3E"),)

    results, _ = annotate_clusters(evidence, door, "islets/given", contrast)
    assert asked == ["unclear"]
    assert results[0].boosted.outcome is BoostOutcome.NOT_NEEDED
    # The one gene of the contrast speaks for T cells, and is read.
    assert "T cell" in results[2].boosted.explanation
