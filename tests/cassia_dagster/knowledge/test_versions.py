from __future__ import annotations

from cassia_dagster.knowledge.versions import gene_names_version, knowledge_version, source_versions


def test_a_labs_own_table_is_named_where_one_counts() -> None:
    assert source_versions("abc123") == {**source_versions(), "lab-markers": "abc123"}
    assert "lab-markers" not in source_versions()


def test_the_knowledge_has_one_short_name() -> None:
    assert len(knowledge_version()) == 12
    assert knowledge_version() == knowledge_version()


def test_the_names_of_genes_have_a_version_of_their_own() -> None:
    """So that cells are not prepared anew for every table of markers."""
    assert len(gene_names_version()) == 12
    assert gene_names_version() != knowledge_version()
