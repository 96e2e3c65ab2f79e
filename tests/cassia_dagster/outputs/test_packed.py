import base64
import json

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from cassia_dagster.errors import InputError
from cassia_dagster.outputs.colourings import colourings
from cassia_dagster.outputs.packed import STEPS, as_json, pack_cells
from cassia_dagster.outputs.result import ResolutionResult


def numbers(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype=kind)


def unpacked(gene: dict[str, str], n: int) -> np.ndarray:
    detected = np.unpackbits(numbers(gene["detected"], "u1"), bitorder="little")[:n].astype(bool)
    values = np.zeros(n)
    values[detected] = numbers(gene["levels"], "u1") * float(gene["highest"]) / 255
    return values


def test_places_colours_and_expression_come_back(
    blood: ResolutionResult, blood_cells: pd.DataFrame, blood_gold: pd.DataFrame, blood_expression: AnnData
) -> None:
    packed = pack_cells(blood_cells, colourings(blood, blood_cells, blood_gold), blood_expression)
    n = packed["n"]
    assert n == packed["n_cells"] == len(blood_cells)
    x, y = numbers(packed["x"], "<u2"), numbers(packed["y"], "<u2")
    assert max(x.max(), y.max()) == STEPS
    assert np.corrcoef(x, blood_cells["x"])[0, 1] == pytest.approx(1, abs=1e-6)
    assert np.corrcoef(y, blood_cells["y"])[0, 1] == pytest.approx(1, abs=1e-6)
    by_cluster, _, by_author = packed["colourings"]
    names = [value["name"] for value in by_cluster["values"]]
    assert [names[code] for code in numbers(by_cluster["codes"], "<u2")] == blood_cells["cluster"].tolist()
    assert {value["name"]: value["n"] for value in by_author["values"]}["not given"] == 5
    for column, gene in enumerate(blood_expression.var_names):
        true = blood_expression.X[:, [column]].toarray().ravel()
        back = unpacked(packed["genes"][gene], n)
        assert np.array_equal(back > 0, true > 0)
        assert np.abs(back - true).max() <= 0.01


def test_a_faint_gene_is_not_taken_for_an_absent_one(
    blood: ResolutionResult, blood_cells: pd.DataFrame, blood_expression: AnnData
) -> None:
    faint = blood_expression.copy()
    matrix = faint.X.tolil()
    matrix[1, 0] = 1e-6
    matrix[99, 0] = 0.0
    faint.X = matrix.tocsc()
    gene = pack_cells(blood_cells, colourings(blood, blood_cells), faint)["genes"]["CD8A"]
    assert unpacked(gene, 100)[1] > 0
    assert unpacked(gene, 100)[99] == 0


def test_expression_of_other_cells_is_an_error(
    blood: ResolutionResult, blood_cells: pd.DataFrame, blood_expression: AnnData
) -> None:
    with pytest.raises(InputError, match="other cells"):
        pack_cells(blood_cells, colourings(blood, blood_cells), blood_expression[::-1])


def test_json_in_a_page_begins_and_ends_nothing() -> None:
    text = as_json({"<!--": "</script><script>", "&lt;": "\u2028"})
    assert not set(text) & set("<>&\u2028")
    assert json.loads(text) == {"<!--": "</script><script>", "&lt;": "\u2028"}
