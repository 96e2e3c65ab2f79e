import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from scipy.stats import ttest_ind

from cassia_dagster.records import ClusterEvidence, Expression, Marker, NearbyCluster
from cassia_dagster.singlecell.lookup import look_up_markers, sum_expression

GENES = ["Up", "Down", "Flat", "Absent", "INS", "ins", "Contrast"]


@pytest.fixture(scope="module")
def cells() -> ad.AnnData:
    """Three clusters of 40 cells whose genes are known: up, down, flat and absent in cluster "0"."""
    rng = np.random.default_rng(0)
    means = {
        "0": [2.0, 0.3, 1.0, 0.0, 1, 1, 2.0],
        "1": [0.3, 2.0, 1.0, 1.0, 1, 1, 2.0],
        "2": [0.3, 2.0, 1.0, 1.0, 1, 1, 0.2],
    }
    blocks = [
        np.clip(rng.normal(mean, 0.3, (40, len(GENES))), 0.01, None) * (np.array(mean) > 0) for mean in means.values()
    ]
    labels = np.repeat(list(means), 40)
    adata = ad.AnnData(csr_matrix(np.concatenate(blocks).astype(np.float32)), var=pd.DataFrame(index=GENES))
    adata.obs["cluster"] = labels
    return adata


def evidence(cluster: str = "0", *nearest: str, genes: tuple[str, ...] = ()) -> ClusterEvidence:
    return ClusterEvidence(
        cluster=cluster,
        n_cells=40,
        share=1 / 3,
        markers=tuple(Marker(gene=gene, avg_log2FC=2, pct_1=1, pct_2=0.5, p_val_adj=0, score=9) for gene in genes),
        nearest=tuple(NearbyCluster(cluster=one, similarity=0.5) for one in nearest),
        species="human",
        tissue="",
    )


@pytest.fixture(scope="module")
def sums(cells):
    return sum_expression(cells, cells.obs["cluster"])


@pytest.mark.parametrize(
    ("gene", "how"),
    [
        ("Up", Expression.UP),
        ("Down", Expression.DOWN),
        ("Flat", Expression.NOT_DIFFERENT),
        ("Absent", Expression.NOT_DETECTED),
        ("Nowhere", Expression.NOT_MEASURED),
    ],
)
def test_what_is_absent_unchanged_and_unmeasured_is_told_apart(sums, gene, how):
    (found,) = sums.look_up(evidence(), [gene])
    assert (found.gene, found.expression) == (gene, how)
    assert (found.mean is None) == (how is Expression.NOT_MEASURED)


def test_the_numbers_are_those_of_the_cells(sums, cells):
    (found,) = sums.look_up(evidence("1"), ["Down"])
    values, inside = cells.X.toarray().astype(float)[:, 1], (cells.obs["cluster"] == "1").to_numpy()
    assert found.mean == pytest.approx(values[inside].mean(), rel=0.005)
    assert found.rest.mean == pytest.approx(values[~inside].mean(), rel=0.005)
    assert found.pct == np.mean(values[inside] > 0)
    ratio = np.expm1(values[inside].mean()) / np.expm1(values[~inside].mean())
    assert found.rest.log2FC == pytest.approx(np.log2(ratio), rel=0.005)


def test_there_is_no_fold_change_from_nothing(sums):
    (absent,) = sums.look_up(evidence("0", "1"), ["Absent"])
    (only_here,) = sums.look_up(evidence("1", "0"), ["Absent"])
    assert [one.log2FC for one in (absent.rest, *absent.nearest, *only_here.nearest)] == [None, None, None]
    assert only_here.nearest[0].expression is Expression.UP


def test_a_gene_that_is_up_against_the_rest_need_not_be_against_the_nearest(sums):
    (found,) = sums.look_up(evidence("0", "1", "2"), ["Contrast"])
    assert found.expression is Expression.UP
    assert [(near.against, near.expression) for near in found.nearest] == [
        ("1", Expression.NOT_DIFFERENT),
        ("2", Expression.UP),
    ]


def test_each_cluster_is_answered_from_its_own_cells(sums):
    how = {cluster: sums.look_up(evidence(cluster), ["Up"])[0].expression for cluster in "012"}
    assert how == {"0": Expression.UP, "1": Expression.DOWN, "2": Expression.DOWN}


def test_case_matters_only_where_two_genes_differ_in_nothing_else(sums):
    found = sums.look_up(evidence(), ["FLAT", "flat", "INS", "ins", "Ins"])
    assert [one.gene for one in found] == ["Flat", "INS", "ins", "Ins"]
    assert found[-1].expression is Expression.NOT_MEASURED


def test_what_the_marker_table_calls_up_is_up(sums):
    (found,) = sums.look_up(evidence(genes=("Flat",)), ["Flat"])
    assert found.expression is Expression.UP


def test_the_mean_of_one_cell_is_not_told(cells):
    labels = cells.obs["cluster"].copy()
    labels.iloc[0] = "single"
    sums = sum_expression(cells, labels)
    (found,) = sums.look_up(evidence("single"), ["Up"])
    assert (found.mean, found.expression) == (None, Expression.NOT_LISTED)
    (found,) = sums.look_up(evidence("0", "single", "1"), ["Up"])
    assert [near.against for near in found.nearest] == ["1"]


def test_a_cluster_that_was_not_summed_is_an_error(sums):
    with pytest.raises(KeyError):
        sums.look_up(evidence("10"), ["Up"])


def test_without_a_matrix_the_markers_answer(sums):
    up, unknown = look_up_markers(evidence(genes=("INS",)), ["ins", "GCG"])
    assert (up.gene, up.expression, up.pct, up.rest.pct) == ("INS", Expression.UP, 1, 0.5)
    assert (unknown.expression, unknown.pct) == (Expression.NOT_LISTED, None)


def test_sums_agree_with_the_cells_one_by_one(islets, islets_labels):
    """The p-value behind a finding is that of SciPy's test on the values themselves."""
    sums = sum_expression(islets, islets_labels)
    genes = list(islets.var_names[:400])
    inside = (islets_labels == "3").to_numpy()
    values = islets.X[:, :400].toarray().astype(float)
    p_values = ttest_ind(values[inside], values[~inside], equal_var=False).pvalue
    bare = ClusterEvidence(cluster="3", n_cells=None, share=None, markers=(), species="human", tissue="")
    for gene, found, p_value in zip(genes, sums.look_up(bare, genes), p_values, strict=True):
        differs = found.expression in {Expression.UP, Expression.DOWN}
        assert not differs or p_value <= 0.01, gene
        if found.expression is Expression.NOT_DIFFERENT:
            assert p_value > 0.01 or abs(found.rest.log2FC) <= 0.25, gene


def test_namesakes_are_compared_with_as_one_before_the_most_similar(sums, cells):
    (found,) = sums.look_up(evidence("0", "1", "2"), ["Contrast"], namesakes=("1", "2"))
    assert [near.against for near in found.nearest] == ["1 and 2", "1"]
    others = cells.X.toarray().astype(float)[40:, GENES.index("Contrast")]
    assert found.nearest[0].mean == pytest.approx(others.mean(), rel=0.005)
    (alone,) = sums.look_up(evidence("0", "1", "2"), ["Contrast"], namesakes=("2",))
    assert [near.against for near in alone.nearest] == ["2", "1"], "a cluster is compared with once"
