"""Tests of putting the tables of one resolution together, and of comparing them with known labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.results import Spent, Tables, assemble, compare, digest_of_annotation, digest_of_label
from assets.second_look import digest_of
from cassia_dagster.errors import InputError
from cassia_dagster.knowledge.ontology import Relation
from cassia_dagster.outputs.result import ResolutionResult
from cassia_dagster.records import (
    AnnotatedCluster,
    Annotation,
    BoostedCluster,
    BoostOutcome,
    ClusterEvidence,
    EvidenceCheck,
    Exchange,
    GroupedCluster,
    Grouping,
    Record,
    ScoredCluster,
    Status,
    Unresolved,
)
from cassia_dagster.singlecell.cluster import digest_cells
from resources.catalog import DatasetEntry
from resources.record_tables import to_arrow
from resources.storage import TableFile, stored_table

if TYPE_CHECKING:
    from tests.conftest import Demo

BETA, ALPHA, T_CELL = "CL:0000169", "CL:0000171", "CL:0000084"
TERMS: dict[str, str | None] = {"0": BETA, "1": ALPHA, "10": T_CELL, "2": None}
"""Cluster → the Cell Ontology term of its final label; the last is unresolved."""

CLUSTERS = ["0", "0", "1", "1", "10", "10", "2", "2"]
LABELS = pd.Series(CLUSTERS, index=[f"cell{number}" for number in range(len(CLUSTERS))])
"""Cell → cluster."""

ENTRY = DatasetEntry(name="islets", path=Path("islets.h5ad"), tissue="pancreas", labels=("cell_type",))


def said(role: str, model: str) -> tuple[Exchange, ...]:
    return (Exchange(role=role, provider="openai", model=model, template=f"{role}@1", question="?", reply="{}"),)


def annotated(cluster: str) -> AnnotatedCluster:
    evidence = ClusterEvidence(cluster=cluster, n_cells=2, share=0.25, markers=(), species="human", tissue="pancreas")
    annotation = Annotation(general_celltype=f"first guess of {cluster}")
    return AnnotatedCluster(
        cluster=cluster,
        cells=digest_cells(LABELS)[cluster],
        evidence=evidence,
        status=Status.OK,
        annotation=annotation,
        check=None,
        history=said("annotator", "gpt-5"),
    )


def boosted(cluster: str) -> BoostedCluster:
    term = TERMS[cluster]
    annotation = Annotation(general_celltype=term, unresolved=None if term else Unresolved.WEAK_SUPPORT)
    check = EvidenceCheck(
        cl_id=term or "CL:0000000",
        cl_label=None,
        support=0,
        cited_genes_up=(),
        cited_genes_absent=(),
        candidates=(),
        findings=(),
    )
    return BoostedCluster(
        cluster=cluster,
        status=Status.OK if term else Status.UNRESOLVED,
        outcome=BoostOutcome.NOT_NEEDED,
        annotation=annotation,
        check=check,
        score=None,
        rubric=None,
        history=said("booster", "o3"),
    )


def stored(path: Path, rows: Sequence[Record]) -> TableFile:
    pq.write_table(to_arrow(rows), path)
    return TableFile(path)


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    """What four agents made of four clusters, each table in an order of its own."""
    ids = list(TERMS)
    return Tables(
        annotations=stored(tmp_path / "annotations", [annotated(cluster) for cluster in ids]),
        scores=stored(
            tmp_path / "scores",
            [
                ScoredCluster(
                    cluster=cluster,
                    status=Status.OK,
                    score=int(cluster),
                    rubric=None,
                    history=said("scorer", "gpt-5-mini"),
                )
                for cluster in reversed(ids)
            ],
        ),
        boosted=stored(tmp_path / "boosted", [boosted(cluster) for cluster in sorted(ids)]),
        merged=stored(
            tmp_path / "merged",
            [
                Grouping(cluster=cluster, broad="cell", intermediate="cell", detailed=f"group of {cluster}")
                for cluster in sorted(ids, reverse=True)
            ],
        ),
    )


@pytest.fixture
def result(tables: Tables) -> ResolutionResult:
    return assemble(ENTRY, "0.4", digest_cells(LABELS), tables)


def series(values: Sequence[object]) -> pd.Series:
    return pd.Series(values, index=[f"cell{number}" for number in range(len(values))])


def test_tables_are_joined_by_cluster_id_never_by_position(result: ResolutionResult) -> None:
    assert [row.cluster for row in result.clusters] == ["0", "1", "2", "10"]
    for row in result.clusters:
        assert row.annotated.annotation == Annotation(general_celltype=f"first guess of {row.cluster}")
        assert row.scored.score == int(row.cluster)
        assert row.boosted.cluster == row.cluster
        assert row.grouping.detailed == f"group of {row.cluster}"


def test_annotations_of_another_clustering_are_refused_though_its_ids_and_sizes_are_the_same(tables: Tables) -> None:
    others = pd.Series(CLUSTERS[::-1], index=LABELS.index)
    assert sorted(others) == sorted(LABELS)
    with pytest.raises(InputError, match="about other clusters"):
        assemble(ENTRY, "0.4", digest_cells(others), tables)


def test_known_labels_need_not_be_text(result: ResolutionResult) -> None:
    known = pd.Series([7.0, 7.0, 8.0, 8.0, None, None, 7.0, 7.0], index=LABELS.index)
    agreement = compare(ENTRY, result, LABELS, known)
    assert [row.gold_label for row in agreement.clusters] == ["7.0", "8.0", None, "7.0"]


@pytest.mark.parametrize("table", ["scores", "boosted", "merged"])
def test_a_cluster_that_a_table_lacks_is_an_error(tables: Tables, table: str) -> None:
    handle: TableFile = getattr(tables, table)
    rows = pq.read_table(handle.path)
    pq.write_table(rows.filter([cluster != "10" for cluster in rows["cluster"].to_pylist()]), handle.path)
    with pytest.raises(InputError, match=f"{table} has no row for cluster 10: .* Materialize {table}"):
        assemble(ENTRY, "0.4", digest_cells(LABELS), tables)


@pytest.mark.parametrize("table", ["scores", "boosted", "merged"])
def test_a_cluster_that_only_a_table_has_is_an_error(tables: Tables, table: str) -> None:
    handle: TableFile = getattr(tables, table)
    rows = pq.read_table(handle.path).to_pylist()
    more = pa.Table.from_pylist([*rows, rows[0] | {"cluster": "11"}], pq.read_schema(handle.path))
    pq.write_table(more, handle.path)
    with pytest.raises(InputError, match=f"{table} has a row for cluster 11: .* Materialize {table}"):
        assemble(ENTRY, "0.4", digest_cells(LABELS), tables)


@pytest.fixture
def of_one_run(tables: Tables) -> Tables:
    """The same tables, with what each was made of, as the assets write them."""
    named, scores = tables.annotations.records(AnnotatedCluster), tables.scores.records(ScoredCluster)
    of = {row.cluster: row for row in named}
    scores = [row.model_copy(update={"about": digest_of_annotation(of[row.cluster])}) for row in scores]
    score_of = {row.cluster: row for row in scores}
    final = [
        row.model_copy(update={"about": digest_of(of[row.cluster], score_of[row.cluster])})
        for row in tables.boosted.records(BoostedCluster)
    ]
    label_of = {row.cluster: digest_of_label(row) for row in final}
    groupings = [
        GroupedCluster(**row.model_dump(), about=label_of[row.cluster]) for row in tables.merged.records(Grouping)
    ]
    for handle, rows in ((tables.scores, scores), (tables.boosted, final), (tables.merged, groupings)):
        stored(handle.path, rows)
    return tables


def test_each_table_names_what_it_was_made_of(demo: Demo) -> None:
    def rows[R: Record](asset: str, record: type[R]) -> dict[str, R]:
        found = stored_table(demo.home.artifacts, asset, "demo", "0.4").records(record)
        return {row.cluster: row for row in found}  # type: ignore[attr-defined] # all have one

    named, scores = rows("annotations", AnnotatedCluster), rows("scores", ScoredCluster)
    assert {one: row.about for one, row in scores.items()} == {
        one: digest_of_annotation(row) for one, row in named.items()
    }
    final, groupings = rows("reviewed", BoostedCluster), rows("merged", GroupedCluster)
    assert {one: row.about for one, row in final.items()} == {
        one: digest_of(row, scores[one]) for one, row in named.items()
    }
    assert {one: row.about for one, row in groupings.items()} == {
        one: digest_of_label(row) for one, row in final.items()
    }


def changed[R: Record](handle: TableFile, record: type[R], cluster: str, **said: object) -> None:
    rows = handle.records(record)
    stored(handle.path, [row.model_copy(update=said) if row.cluster == cluster else row for row in rows])


def test_tables_of_one_run_fit_whatever_was_said_on_the_way(of_one_run: Tables) -> None:
    changed(of_one_run.annotations, AnnotatedCluster, "1", history=said("annotator", "gpt-4"))
    changed(of_one_run.scores, ScoredCluster, "1", history=())
    assert len(assemble(ENTRY, "0.4", digest_cells(LABELS), of_one_run).clusters) == len(TERMS)


@pytest.mark.parametrize("still", [set(), {"scores"}])
def test_annotations_that_were_made_anew_alone_are_not_mixed_with_what_was_made_of_others(
    of_one_run: Tables, still: set[str]
) -> None:
    changed(of_one_run.annotations, AnnotatedCluster, "1", annotation=Annotation(general_celltype="second guess"))
    words = r"score of cluster 1 is of an earlier annotation .* Materialize scores and"
    if still:  # the scores too are of now, and only the second look is not
        row = of_one_run.annotations.records(AnnotatedCluster)[1]
        changed(of_one_run.scores, ScoredCluster, "1", about=digest_of_annotation(row))
        words = r"final word on cluster 1 is about an earlier annotation .* Materialize scores, boosted, reviewed and"
    with pytest.raises(InputError, match=words):
        assemble(ENTRY, "0.4", digest_cells(LABELS), of_one_run)


def test_a_score_that_came_after_the_second_look_is_not_mixed_with_it(of_one_run: Tables) -> None:
    changed(of_one_run.scores, ScoredCluster, "10", score=11.0)
    with pytest.raises(InputError, match="final word on cluster 10 is about an earlier annotation or score"):
        assemble(ENTRY, "0.4", digest_cells(LABELS), of_one_run)


@pytest.mark.parametrize(
    "label", [Annotation(general_celltype="T cell"), Annotation(general_celltype=None, unresolved=Unresolved.MALIGNANT)]
)
def test_groupings_of_earlier_labels_are_not_mixed_with_those_of_now(of_one_run: Tables, label: Annotation) -> None:
    changed(of_one_run.boosted, BoostedCluster, "0", annotation=label)
    with pytest.raises(InputError, match=r"grouping of cluster 0 is of an earlier label .* Materialize merged"):
        assemble(ENTRY, "0.4", digest_cells(LABELS), of_one_run)


def test_a_result_says_what_it_is_of_and_who_made_it(result: ResolutionResult) -> None:
    assert (result.dataset, result.resolution, result.species, result.tissue) == ("islets", "0.4", "human", "pancreas")
    assert result.models == {"annotator": "openai/gpt-5", "scorer": "openai/gpt-5-mini", "booster": "openai/o3"}
    assert {"cassia-dagster", "dagster", "scanpy", "leidenalg", "litellm"} <= result.versions.keys()
    assert len(result.versions) > 6, "the versions of the knowledge are there too"


def test_what_was_spent_is_told_where_it_is_known(tables: Tables, result: ResolutionResult) -> None:
    assert (result.usd, result.calls, result.cached_calls) == (None, 0, 0)
    paid = assemble(
        ENTRY, "0.4", digest_cells(LABELS), tables, Spent(usd=0.25, calls=12, cached_calls=3, unpriced_calls=1)
    )
    assert (paid.usd, paid.calls, paid.cached_calls) == (0.25, 12, 3)


def test_known_labels_of_other_cells_are_no_labels_of_these(result: ResolutionResult) -> None:
    others = series(["beta", "beta"]).rename({"cell0": "a cell of before"})
    with pytest.raises(InputError, match="normalized_adata, which has the known labels, is of other cells"):
        compare(ENTRY, result, series(["0", "0"]), others)


def test_final_labels_are_compared_with_the_known_ones_of_the_same_cells(result: ResolutionResult) -> None:
    labels = series(["0", "0", "1", "1", "2", "2", "10", "10"])
    gold = series(["beta", "beta", "alpha", "alpha", "delta", "delta", "beta", None]).iloc[::-1].astype("category")
    rows = {row.cluster: row for row in compare(ENTRY, result, labels, gold).clusters}
    assert (rows["0"].gold_id, rows["0"].relation) == (BETA, Relation.EXACT)
    assert (rows["1"].gold_id, rows["1"].relation) == (ALPHA, Relation.EXACT)
    assert (rows["10"].gold_label, rows["10"].relation) == ("beta", Relation.CONTRADICTION)
    assert rows["2"].label_id is None, "an unresolved cluster has no label, whatever its check says"


def test_the_terms_that_the_user_gives_go_before_those_that_are_guessed(
    result: ResolutionResult, tmp_path: Path
) -> None:
    terms = tmp_path / "terms.csv"
    terms.write_text(f"label,cl_id\nmine,{BETA}\nalpha,{T_CELL}\ndelta,\nnobody has this,CL:0000235\n")
    entry = ENTRY.model_copy(update={"label_terms": terms})
    gold = series(["mine", "alpha", "beta", "delta"])
    rows = {row.cluster: row for row in compare(entry, result, series(["0", "1", "10", "2"]), gold).clusters}
    assert {cluster: row.gold_id for cluster, row in rows.items()} == {"0": BETA, "1": T_CELL, "10": BETA, "2": None}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "There is no file"),
        ("name,term\nbeta,CL:0000169\n", "has the columns name, term; it needs label and cl_id"),
        ('label,cl_id\na,b,c,d\n"', "cannot be read as CSV"),
        ("", "cannot be read as CSV"),
        (b"label,cl_id\n\xff\xfe,x\n", "cannot be read as CSV"),
    ],
)
def test_terms_that_cannot_be_read_are_refused_with_what_is_needed(
    result: ResolutionResult, tmp_path: Path, content: str | bytes | None, words: str
) -> None:
    terms = tmp_path / "terms.csv"
    if content is not None:
        terms.write_bytes(content.encode() if isinstance(content, str) else content)
    entry = ENTRY.model_copy(update={"label_terms": terms})
    with pytest.raises(InputError, match=words) as refused:
        compare(entry, result, series(["0"]), series(["beta"]))
    assert str(terms) in str(refused.value)
