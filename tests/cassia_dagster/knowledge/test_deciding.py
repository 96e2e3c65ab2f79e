import pytest

from cassia_dagster.knowledge.deciding import deciding_genes, leaning
from cassia_dagster.records import Comparison, Expression, GeneLookup

ALPHA, BETA, T_CELL, B_CELL, CD8, CD4 = (
    "CL:0000171",
    "CL:0000169",
    "CL:0000084",
    "CL:0000236",
    "CL:0000625",
    "CL:0000624",
)


def found(genes, how):
    rest = Comparison(against="", expression=how, log2FC=None, mean=None, pct=None)
    return tuple(GeneLookup(gene=gene, rest=rest) for gene in genes)


@pytest.mark.parametrize(
    ("species", "term", "rival", "gene"),
    [
        ("human", BETA, ALPHA, "INS"),
        ("human", ALPHA, BETA, "GCG"),
        ("human", T_CELL, B_CELL, "CD3D"),
        ("mouse", T_CELL, B_CELL, "Cd3d"),
        ("human", CD8, CD4, "CD8A"),
        ("human", CD8, T_CELL, "CD8A"),
    ],
)
def test_the_textbook_gene_decides(species, term, rival, gene):
    genes = deciding_genes(species, term, (rival,))
    assert gene in genes
    assert gene not in deciding_genes(species, rival, (term,))


def test_two_types_share_no_deciding_gene():
    assert not set(deciding_genes("human", ALPHA, (BETA,), 50)) & set(deciding_genes("human", BETA, (ALPHA,), 50))


def test_genes_that_are_up_lean_to_a_type_and_missing_ones_from_it():
    genes = deciding_genes("human", BETA, (ALPHA,))
    assert leaning("human", found(genes, Expression.UP), BETA, (ALPHA,)) == 1
    assert leaning("human", found(genes, Expression.NOT_DETECTED), BETA, (ALPHA,)) == -1
    assert leaning("human", found(genes, Expression.UP), ALPHA, (BETA,)) == 0


def test_what_was_not_measured_says_nothing():
    heard = found(["INS"], Expression.UP) + found(["IAPP", "MAFA", "PDX1"], Expression.NOT_MEASURED)
    assert leaning("human", heard, BETA, (ALPHA,)) == 1
    assert leaning("human", (), BETA, (ALPHA,)) == 0
