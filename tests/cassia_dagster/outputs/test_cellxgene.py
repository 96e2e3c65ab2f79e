"""The annotated file beside the rules of the CELLxGENE schema (6.0.0) that bear on what is ours, and in Scanpy."""

import re

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from cassia_dagster.knowledge.ontology import load_ontology

FORBIDDEN = {"CL:0000255", "CL:0000257", "CL:0000548"}
"""Eukaryotic, Eumycetozoan and animal cell: too broad to be written."""


@pytest.fixture(scope="module")
def annotated(demo):
    return ad.read_h5ad(demo.output / "demo" / "demo_annotated.h5ad")


def violations(adata):
    """What the schema's validator would say of cell types, column names, embeddings and uns."""
    column = adata.obs["cell_type_ontology_term_id"]
    terms, known = set(column.cat.categories), load_ontology()
    found = [f"{term}: no Cell Ontology term in use" for term in terms - {"unknown"} if term not in known]
    found += [f"{term}: too broad" for term in terms & FORBIDDEN]
    if column.isna().any():
        found.append("a cell has no cell type")
    for name, values in adata.obs.items():
        if name.startswith("__"):
            found.append(f"{name}: reserved")
        if isinstance(values.dtype, pd.CategoricalDtype) and not all(
            isinstance(one, str) for one in values.cat.categories
        ):
            found.append(f"{name}: categories must be text")
    if not adata.obs.columns.is_unique or not adata.obs_names.is_unique or not adata.var_names.is_unique:
        found.append("names must be unique")
    for name, values in adata.obsm.items():
        if name.startswith("X_") and not re.fullmatch(r"X_[a-zA-Z][a-zA-Z0-9_.-]*", name):
            found.append(f"{name}: no name for an embedding")
        if not np.isfinite(values).all() or values.shape[0] != adata.n_obs or values.shape[1] < 2:
            found.append(f"{name}: not an embedding")
    return found + [f"uns {path} is empty" for path in empty(adata.uns["cassia"])]


def empty(value, path="cassia"):
    if isinstance(value, dict) and value:
        return [place for key, inner in value.items() for place in empty(inner, f"{path}/{key}")]
    return [path] if value is None or (hasattr(value, "__len__") and not len(value)) else []


def test_the_file_breaks_no_rule(annotated):
    assert violations(annotated) == []


def test_the_rules_can_be_broken(annotated):
    broken = annotated.copy()
    broken.obs["cell_type_ontology_term_id"] = pd.Categorical(["CL:0000548", "beta"] + ["unknown"] * (broken.n_obs - 2))
    broken.obs["__mine"] = 1
    broken.obsm["X_umap"] = np.full((broken.n_obs, 2), np.nan)
    broken.uns["cassia"]["dataset"] = ""
    assert len(violations(broken)) == 6


def test_where_the_labels_come_from_is_in_the_file(annotated):
    told = annotated.uns["cassia"]["resolutions"]["0.4"]
    assert re.fullmatch(r"annotate\.v\d+@[0-9a-f]+", told["prompts"]["annotate"])
    assert {"scanpy", "cell-ontology"} <= {name.lower().replace(" ", "-") for name in told["versions"]}
    assert told["models"]["annotate"].startswith("embedded")
    assert told["strategies"] == "validated"


def test_scanpy_draws_known_labels_beside_ours(annotated, tmp_path, monkeypatch):
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    import scanpy as sc

    figure = sc.pl.umap(annotated, color=["cell_type", "CASSIA_annotation"], show=False, return_fig=True)
    titles = {axis.get_title() for axis in figure.axes}
    assert {"cell_type", "CASSIA_annotation"} <= titles
    assert len(figure.axes[0].collections[0].get_offsets()) == annotated.n_obs
    plt.close(figure)
