"""A notebook written for CASSIA, from loading to the last UMAP: only its import is another one."""

from importlib.resources import as_file, files
from shutil import copyfile

import pytest

from cassia_dagster.agents.embedded import EmbeddedBackend
from cassia_dagster.annotating import name_marker_table

# The steps and parameters of CASSIA's Scanpy tutorial; of the data, only the file and the gold column are others.
LOADING = """
import os
import pandas as pd
import scanpy as sc
import cassia_dagster.compat as CASSIA

os.environ["OPENROUTER_API_KEY"] = "your_openrouter_key"
adata = sc.read("islets.h5ad")
print(adata.obs.columns)
"""

CLUSTERING = """
sc.pp.normalize_total(adata, target_sum=1e4)
sc.pp.log1p(adata)
sc.pp.highly_variable_genes(adata, min_mean=0.0125, max_mean=3, min_disp=0.5)
adata_raw = adata
adata = adata[:, adata.var.highly_variable]
sc.pp.scale(adata, max_value=10)
sc.tl.pca(adata, svd_solver="arpack")
sc.pp.neighbors(adata, n_neighbors=10, n_pcs=25)
sc.tl.umap(adata)
sc.tl.leiden(adata, resolution=0.4, key_added="leiden_res_0.4")
sc.pl.umap(adata, color=["leiden_res_0.4"])
"""

RANKING = """
sc.tl.rank_genes_groups(adata, "leiden_res_0.4", method="wilcoxon")
"""

ON_ALL_GENES = """
adata.raw = adata_raw
sc.tl.rank_genes_groups(adata, "leiden_res_0.4", method="wilcoxon")
"""

MARKERS = """
markers = sc.get.rank_genes_groups_df(adata, group=None)
markers = markers.rename(
    columns={"names": "gene", "logfoldchanges": "avg_log2FC", "pvals_adj": "p_val_adj", "group": "cluster"}
)
markers = markers[markers["avg_log2FC"] > 0]
"""

ANNOTATING = """
results = CASSIA.runCASSIA_pipeline(
    output_file_name="islets_annotation",
    tissue="Pancreas",
    species="Human",
    marker=markers,
    max_workers=6,
    annotation_model="anthropic/claude-sonnet-4.5",
    annotation_provider="openrouter",
    score_model="openai/gpt-5.1",
    score_provider="openrouter",
    score_threshold=75,
    annotationboost_model="anthropic/claude-sonnet-4.5",
    annotationboost_provider="openrouter",
    merge_model="google/gemini-2.5-flash",
    merge_provider="openrouter",
)
"""

READING_BACK = """
cassia_results = pd.read_csv("islets_annotation_scored.csv")
annotation_map = dict(zip(cassia_results["cluster"].astype(str), cassia_results["celltype_1"]))
adata.obs["CASSIA_annotation"] = adata.obs["leiden_res_0.4"].map(annotation_map)
print(adata.obs[["leiden_res_0.4", "CASSIA_annotation"]].head())
sc.pl.umap(adata, color=["cell_type", "CASSIA_annotation"], legend_loc="on data")
"""


FILES = {f"islets_annotation_{kind}" for kind in ("summary.csv", "full.csv", "scored.csv", "report.html")}


@pytest.fixture(scope="module")
def clustered(tmp_path_factory, uncompiled_weights):
    """The notebook's folder, and its names after loading and clustering."""
    folder = tmp_path_factory.mktemp("notebook")
    with as_file(files("cassia_dagster") / "data") as data:
        copyfile(data / "islets.h5ad", folder / "islets.h5ad")
    names = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MPLBACKEND", "Agg")
        patch.setenv("OPENROUTER_API_KEY", "")  # so that what the notebook sets is taken back
        for cell in (LOADING, CLUSTERING):
            exec(cell, names)  # noqa: S102
    return folder, names


@pytest.fixture
def notebook(clustered, tmp_path, monkeypatch, aimock):
    """Run further cells in an empty folder, against a server that plays OpenRouter; return the names."""
    names = dict(clustered[1], adata=clustered[1]["adata"].copy())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setenv("OPENROUTER_API_KEY", "your_openrouter_key")
    monkeypatch.setenv("OPENROUTER_API_BASE", f"{aimock.url}/v1")
    monkeypatch.setenv("CASSIA_HOME", str(tmp_path / "home"))

    def run(*cells):
        for cell in cells:
            exec(cell, names)  # noqa: S102
        return names

    return run


def rehearsed(markers, home):
    """What the embedded model answers to each question about a table: question to reply, word for word."""
    said = {}
    answer = EmbeddedBackend.answer

    def listen(self, question):
        reply = answer(self, question)
        said[question.user] = reply.text
        return reply

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EmbeddedBackend, "answer", listen)
        name_marker_table(
            markers, tissue="Pancreas", species="Human", models={}, name="rehearsal", home=home, n_markers=50
        )
    return said


@pytest.mark.long
def test_the_tutorial_runs_to_its_last_map_with_one_import_changed(notebook, tmp_path):
    """It ranks genes on scaled values, whose fold changes are mostly undefined: what is left of them names nothing."""
    with pytest.warns(UserWarning, match="No gene of any cluster is a significant marker"):
        names = notebook(RANKING, MARKERS, ANNOTATING, READING_BACK)
    adata, table = names["adata"], names["cassia_results"]
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == FILES
    assert set(table["cluster"].astype(str)) == set(adata.obs["leiden_res_0.4"])
    assert set(table["status"]) == {"unresolved"}
    assert (adata.obs["CASSIA_annotation"] == "unresolved").all()


def test_ranked_on_all_genes_the_clusters_get_their_names(notebook, aimock, tmp_path):
    names = notebook(ON_ALL_GENES, MARKERS)
    assert not {"pct.1", "pct.2"} & set(names["markers"])
    usage = {"prompt_tokens": 1000, "completion_tokens": 100}
    replies = rehearsed(names["markers"], tmp_path / "rehearsal")
    aimock.play(
        *(
            {"match": {"userMessage": question}, "response": {"content": reply, "usage": usage}}
            for question, reply in replies.items()
        )
    )
    names = notebook(ANNOTATING, READING_BACK)
    obs, table = names["adata"].obs, names["cassia_results"]
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == FILES
    assert set(table["model"]) == {"anthropic/claude-sonnet-4.5"}
    assert not obs["CASSIA_annotation"].isna().any()
    kept = obs.groupby("cell_type", observed=True)["CASSIA_annotation"].agg(lambda labels: labels.mode()[0])
    assert kept[["alpha", "beta", "delta"]].tolist() == [
        "pancreatic A cell",
        "type B pancreatic cell",
        "pancreatic D cell",
    ]
    models = {request["body"]["model"] for request in aimock.requests()}
    assert models == {"anthropic/claude-sonnet-4.5", "openai/gpt-5.1", "google/gemini-2.5-flash"}
