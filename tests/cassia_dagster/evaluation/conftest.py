"""A few cases, and ways to answer them."""

import pytest

from cassia_dagster.agents.embedded import EmbeddedBackend
from cassia_dagster.evaluation.cases import read_cases
from cassia_dagster.llm.door import Door
from cassia_dagster.llm.store import Store

CASES = """species,tissue,gold_label,gold_cl_id,markers,good,bad
human,blood,B cell,CL:0000236,"MS4A1, CD79A, CD79B, CD19, BANK1, TCL1A, FCER2",naive B cells,Monocyte
human,pancreas,alpha,CL:0000171,"GCG, TTR, CHGB, PCSK2, GC, IRX2, TM4SF4",CL:0000171,
human,blood,T cell,CL:0000084,"CD3D, CD3E, IL7R, TRAC, CD2, LTB, CD27",T cell,T cell
human,blood,mystery,,"CD3D, CD3E, IL7R",B cell,B cell
"""


@pytest.fixture
def cases(tmp_path):
    path = tmp_path / "cases.csv"
    path.write_text(CASES)
    return read_cases(path)


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "models.sqlite") as store:
        yield store


@pytest.fixture
def door(store):
    return Door(EmbeddedBackend(), store)
