"""The file of labels that persons gave, in both of its formats."""

import pytest

from cassia_dagster.errors import ConfigurationError
from resources.home import Home
from resources.manual_labels import ManualLabelsFile, read_manual_labels, version_of, write_manual_labels

YAML = """
- dataset: islets
  resolution: 0.4
  cluster: 3
  label: alpha cell
  who: ana
  why: GCG in all of them
  date: 2026-11-26
  evidence: seen-0123456789ab
"""
CSV = """dataset,resolution,cluster,label,cl_id,who,why,date,evidence
islets,0.4,3,alpha cell,,ana,GCG in all of them,2026-11-26,seen-0123456789ab
"""


@pytest.fixture(params=["yaml", "csv"])
def file(request, tmp_path):
    path = tmp_path / f"labels.{request.param}"
    path.write_text({"yaml": YAML, "csv": CSV}[request.param])
    return path


def test_both_formats_say_the_same(file):
    (label,) = read_manual_labels(file)
    assert label.place == ("islets", "0.4", "3")
    assert (label.label, label.cl_id, label.date.isoformat()) == ("alpha cell", None, "2026-11-26")


def test_what_is_written_is_read_again_in_order(file):
    (label,) = read_manual_labels(file)
    first = label.model_copy(update={"cluster": "1"})
    write_manual_labels(file, [label, first])
    assert read_manual_labels(file) == [first, label]


def test_no_file_says_nothing(tmp_path):
    assert read_manual_labels(tmp_path / "none.yaml") == []
    assert ManualLabelsFile(path=str(tmp_path / "none.yaml")).of("islets", "0.4") == []


def test_the_labels_of_one_clustering_are_found(file):
    assert [one.cluster for one in ManualLabelsFile(path=str(file)).of("islets", "0.4")] == ["3"]
    assert ManualLabelsFile(path=str(file)).of("islets", "0.8") == []


def test_another_decision_is_another_version(file):
    (label,) = read_manual_labels(file)
    other = label.model_copy(update={"why": "another reason"})
    assert version_of([label]) != version_of([other])
    assert version_of([label, other]) == version_of([other, label])


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("just words", "must be a list of rows"),
        ("- [", "cannot be read"),
        (YAML.replace("alpha cell", "''"), "row → 1: say a label, a cl_id, or both"),
        (YAML.replace("who: ana", "whom: ana"), "row → 1 → who: Field required"),
        (YAML + YAML, "two labels for cluster '3' of 'islets' at 0.4"),
        (YAML.replace("2026-11-26", "soon"), "row → 1 → date"),
    ],
)
def test_a_file_that_cannot_be_used_says_where(tmp_path, text, trouble):
    path = tmp_path / "labels.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=trouble):
        read_manual_labels(path)


def test_the_environment_names_a_file_under_version_control(tmp_path, monkeypatch):
    home = Home(tmp_path)
    assert home.manual_labels == tmp_path / "manual_labels.yaml"
    monkeypatch.setenv("CASSIA_MANUAL_LABELS", str(tmp_path / "repository" / "labels.csv"))
    assert home.manual_labels == tmp_path / "repository" / "labels.csv"
