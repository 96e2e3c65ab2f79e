"""The cases of a benchmark."""

import pytest

from cassia_dagster.errors import InputError
from cassia_dagster.evaluation.cases import read_cases

HEADER = "species,tissue,gold_label,gold_cl_id,markers\n"


@pytest.fixture
def written(tmp_path):
    def write(text: str):
        path = tmp_path / "cases.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_cases_are_read_in_order_and_do_not_tell_the_model_their_gold_label(written):
    cases = read_cases(written(HEADER + 'Human,blood,T cell,CL:0000084,"CD3D, CD3E"\nmouse,blood,odd,,Cd79a\n'))
    assert [(case.case, case.gold_id, case.species) for case in cases] == [
        ("1", "CL:0000084", "human"),
        ("2", None, "mouse"),
    ]
    assert [marker.gene for marker in cases[0].evidence.markers] == ["CD3D", "CD3E"]
    assert "T cell" not in cases[0].evidence.model_dump_json()


def test_gold_labels_without_ids_are_read_by_name_and_tissue(written):
    (case,) = read_cases(written("species,tissue,gold_label,markers\nhuman,pancreas,alpha,GCG\n"))
    assert case.gold_id == "CL:0000171"


def test_other_columns_are_answers_of_others(written):
    (case,) = read_cases(written("case,species,tissue,gold_label,markers,theirs\nA,human,blood,T cell,CD3D,B cell\n"))
    assert (case.case, case.given) == ("A", {"theirs": "B cell"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("species,tissue,markers\n", "lacks the column gold_label; it has species, tissue, markers"),
        (HEADER, "has no cases"),
        ("", "cannot be read as CSV"),
        (HEADER + "rat,blood,T cell,,CD3D\n", "line 2, column species: 'rat' is none of human, mouse"),
        (HEADER + "human,blood, ,,CD3D\n", "line 2, column gold_label: ' ' is empty"),
        (HEADER + "human,blood,T cell,CL:9,CD3D\n", "line 2, column gold_cl_id: 'CL:9' is no term"),
        (HEADER + "human,blood,T cell,,CD3D\x1b[0m\n", "line 2, column markers: .* control characters"),
        ("case," + HEADER + "A,human,blood,T,,CD3D\nA,human,blood,B,,CD19\n", "two cases 'A'"),
    ],
)
def test_what_cannot_be_read_is_named(written, text, message):
    with pytest.raises(InputError, match=message):
        read_cases(written(text))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="There is no file"):
        read_cases(tmp_path / "nowhere.csv")
