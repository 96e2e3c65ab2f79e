"""Tests of the dataset catalog: a person may edit it, and is told what went wrong where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from cassia_dagster.errors import ConfigurationError
from resources.catalog import (
    DEFAULT_RESOLUTIONS,
    Catalog,
    CatalogResource,
    DatasetEntry,
    check_name,
    remove_entry,
    write_entry,
)


def entry(name: str = "islets", **more: Any) -> DatasetEntry:
    return DatasetEntry.model_validate({"name": name, "path": "/data/islets.h5ad", "tissue": "pancreas"} | more)


def written(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "datasets.yaml"
    path.write_text(content, encoding="utf-8")
    return path


def complaint(path: Path) -> str:
    """Try to read the catalog, and return what is said against it; every complaint names the file."""
    with pytest.raises(ConfigurationError) as refused:
        Catalog.read(path)
    assert str(path) in str(refused.value)
    return str(refused.value)


FULL = entry(
    species="mouse",
    context="a café's “biopsy”: 50 % tumour",
    labels=("cell_type", "author label"),
    label_terms=Path("/data/terms.csv"),
    batch_key="donor",
    clusters=("leiden", "author label"),
    resolutions=("0.4", "1.0"),
    primary_resolution="given-author_label-bbfbc2",
    counts="layers/umi counts",
    gene_symbols="feature_name",
    output=Path("/results"),
    notes="asked the authors\nfor the raw counts",
)


def test_a_catalog_comes_back_as_it_was_written(tmp_path: Path) -> None:
    catalog = Catalog().with_entry(FULL).with_entry(entry("blood", tissue="blood"))
    catalog.write(tmp_path / "new" / "datasets.yaml")
    assert Catalog.read(tmp_path / "new" / "datasets.yaml") == catalog


def test_a_catalog_is_a_file_for_people(tmp_path: Path) -> None:
    path = tmp_path / "datasets.yaml"
    Catalog().with_entry(FULL).write(path)
    text = path.read_text(encoding="utf-8")
    assert "café" in text
    assert text.index("name: islets") < text.index("path: /data/islets.h5ad") < text.index("tissue: pancreas")
    assert "null" not in text


@pytest.mark.parametrize("content", [None, "", "# nothing yet\n", "datasets: []"])
def test_a_catalog_that_is_missing_or_empty_has_no_dataset(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "datasets.yaml" if content is None else written(tmp_path, content)
    assert Catalog.read(path) == Catalog(resolutions=DEFAULT_RESOLUTIONS, datasets=())


def test_what_a_person_writes_by_hand_is_understood(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        resolutions: [1, 0.40, "1.0"]
        datasets:
          - {name: islets, path: islets.h5ad, tissue: pancreas, resolutions: [1, 0.4], primary_resolution: 0.40}
        """,
    )
    catalog = Catalog.read(path)
    assert catalog.resolutions == ("1.0", "0.4")
    assert catalog.entry("islets").resolutions == ("1.0", "0.4")
    assert catalog.entry("islets").primary == "0.4"


def test_a_resolution_that_is_said_twice_counts_once() -> None:
    assert entry(resolutions=("0.8", "0.80", ".8", "0.4")).resolutions == ("0.8", "0.4")


def test_an_entry_takes_the_place_of_the_one_of_its_name() -> None:
    catalog = Catalog().with_entry(entry()).with_entry(entry("blood")).with_entry(entry(tissue="pancreatic islets"))
    assert [one.name for one in catalog.datasets] == ["blood", "islets"]
    assert catalog.entry("islets").tissue == "pancreatic islets"


def test_a_dataset_that_is_removed_leaves_the_others_and_its_resolutions() -> None:
    catalog = Catalog().with_entry(entry(resolutions=("2",))).with_entry(entry("blood")).without("islets")
    assert [one.name for one in catalog.datasets] == ["blood"]
    assert "2.0" in catalog.all_resolutions
    with pytest.raises(ConfigurationError, match="no dataset 'islets'; it has: blood"):
        catalog.without("islets")


@pytest.mark.parametrize("counts", ["layers/", "layer/counts", "x", ""])
def test_a_place_that_cannot_hold_counts_is_refused(counts: str) -> None:
    with pytest.raises(ValidationError, match="write X, raw or layers/NAME"):
        entry(counts=counts)


def test_the_project_knows_the_resolutions_of_all_its_datasets_in_rising_order() -> None:
    catalog = Catalog().with_entry(entry(resolutions=("10", "2"))).with_entry(entry("blood", resolutions=(".40", "1")))
    assert catalog.all_resolutions == ["0.4", "0.8", "1.0", "1.2", "2.0", "10.0"]


def test_a_catalog_with_another_entry_leaves_the_first_as_it_was() -> None:
    first = Catalog()
    first.with_entry(entry())
    assert first.datasets == ()


def test_the_first_resolution_speaks_for_a_dataset_unless_another_is_named() -> None:
    assert entry(resolutions=("0.8", "0.4")).primary == "0.8"
    assert entry(resolutions=("0.8", "0.4"), primary_resolution=".4").primary == "0.4"


def test_the_primary_resolution_must_be_listed(tmp_path: Path) -> None:
    row = {"name": "islets", "path": "x.h5ad", "tissue": "pancreas", "resolutions": ["0.4"], "primary_resolution": "2"}
    reason = complaint(written(tmp_path, yaml.safe_dump({"datasets": [row]})))
    assert "islets" in reason
    assert "primary_resolution 2.0 is none of the resolutions 0.4" in reason


def test_files_for_the_user_go_to_a_folder_of_the_datasets_name() -> None:
    assert entry(output="/results").folder == Path("/results/islets")


def test_an_unknown_dataset_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"no dataset 'blod'; it has: islets, blood\. Add it with"):
        Catalog().with_entry(entry()).with_entry(entry("blood")).entry("blod")
    with pytest.raises(ConfigurationError, match="it has: none"):
        Catalog().entry("islets")


@pytest.mark.parametrize("content", ["- islets", "islets", "5"])
def test_a_file_that_is_no_mapping_is_refused_with_what_is_wanted(tmp_path: Path, content: str) -> None:
    assert "must be a mapping with the keys 'datasets' and 'resolutions'" in complaint(written(tmp_path, content))


@pytest.mark.parametrize("content", [b"datasets: [", b"a: b: c", b"context: caf\xe9"])
def test_a_file_that_is_no_yaml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "datasets.yaml"
    path.write_bytes(content)
    assert "is not valid YAML" in complaint(path)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("tisue", "pancreas", "Extra inputs are not permitted"),
        ("tissue", "", "at least 1 character"),
        ("species", "rat", "'human' or 'mouse'"),
        ("tissue", "  ", "at least 1 character"),
        ("resolutions", [], "name at least one resolution, or columns with clusters"),
        ("resolutions", ["given"], "'given' is no resolution of Leiden's; name the column"),
        ("clusters", [""], "at least 1 character"),
        ("clusters", ["a", "Leiden", "leiden"], "'Leiden' and 'leiden' differ in capitals only"),
        ("primary_resolution", "first", "Resolution 'first' is not a number above 0"),
        ("resolutions", ["0.4", "fine"], "Resolution 'fine' is not a number above 0"),
        ("resolutions", [None], "Resolution None is not a number above 0"),
        ("labels", {"cell_type": 1}, "valid tuple"),
    ],
)
def test_a_wrong_value_is_named_by_file_entry_and_field(tmp_path: Path, field: str, value: Any, words: str) -> None:
    good = {"name": "blood", "path": "b.h5ad", "tissue": "blood"}
    bad = {"name": "islets", "path": "x.h5ad", "tissue": "pancreas"} | {field: value}
    reason = complaint(written(tmp_path, yaml.safe_dump({"datasets": [good, bad]})))
    assert f"datasets → islets → {field}" in reason
    assert words in reason
    assert "Value error" not in reason


def test_a_field_that_is_left_out_is_named(tmp_path: Path) -> None:
    assert "datasets → islets → path: Field required" in complaint(
        written(tmp_path, "datasets: [{name: islets, tissue: pancreas}]")
    )
    assert "datasets → 1 → name: Field required" in complaint(
        written(tmp_path, "datasets: [{name: a, path: x, tissue: b}, {path: x.h5ad, tissue: b}]")
    )


def test_the_tissue_is_said_once_and_only_once(tmp_path: Path) -> None:
    neither, both = ("{name: islets, path: x.h5ad}", "{name: islets, path: x, tissue: gut, tissue_column: organ}")
    reason = complaint(written(tmp_path, f"datasets: [{neither}]"))
    assert "datasets → islets: the tissue is missing; give either tissue" in reason
    assert "the tissue is said twice" in complaint(written(tmp_path, f"datasets: [{both}]"))
    assert entry(tissue=None, tissue_column="organ").where == "tissue by organ"


def test_one_column_may_be_written_without_a_list() -> None:
    assert entry(labels="cell_type", clusters="leiden").labels == ("cell_type",)


def test_clusters_of_the_users_own_take_the_place_of_leidens_unless_both_are_asked_for() -> None:
    assert entry(clusters=["leiden"]).clusterings == ("given",)
    assert entry(clusters=["leiden"]).primary == "given"
    both = entry(clusters=["leiden", "cell_type"], resolutions=[1])
    assert both.clusterings == ("1.0", "given", "given-cell_type")
    assert both.primary == "1.0"
    assert entry(clusters=["leiden"], resolutions=[1], primary_resolution="given").primary == "given"


def test_a_clustering_is_called_by_its_resolution_or_its_column() -> None:
    one = entry(clusters=["leiden", "cell_type"], resolutions=[1])
    assert [one.title(key) for key in one.clusterings] == [
        "resolution 1.0",
        "clusters given by leiden",
        "clusters given by cell_type",
    ]


def test_keys_of_given_clusterings_stay_known_when_their_dataset_is_gone(tmp_path: Path) -> None:
    catalog = Catalog().with_entry(entry(clusters=["leiden", "cell_type"])).without("islets")
    catalog.write(tmp_path / "datasets.yaml")
    known = Catalog.read(tmp_path / "datasets.yaml").all_resolutions
    assert known == [*DEFAULT_RESOLUTIONS, "given", "given-cell_type"]


def test_a_broken_entry_is_told_and_leaves_the_others_usable(tmp_path: Path) -> None:
    good = "{name: islets, path: x.h5ad, tissue: pancreas}"
    path = written(tmp_path, f"datasets: [{good}, {{name: broken, path: x, tissue: [1]}}, 5, {{name: twice}}, "
                             "{name: twice}]")  # fmt: skip
    catalog, broken = Catalog.read_sound(path)
    assert [one.name for one in catalog.datasets] == ["islets"]
    assert broken["broken"] == f"{path}: datasets → broken → tissue: Input should be a valid string."
    assert "datasets → 2" in broken["2"]
    assert "two entries have the name 'twice'" in broken["twice"]
    resource = CatalogResource(path=str(path))
    assert resource.entry("islets").tissue == "pancreas"
    with pytest.raises(ConfigurationError, match="datasets → broken → tissue"):
        resource.entry("broken")
    with pytest.raises(ConfigurationError, match="datasets → broken → tissue"):
        Catalog.read(path)


@pytest.mark.parametrize("content", ["datasets: 5", "datasets: {islets: {path: x.h5ad}}", "resolutions: [high]"])
def test_a_catalog_without_a_sound_frame_is_refused_as_a_whole(tmp_path: Path, content: str) -> None:
    with pytest.raises(ConfigurationError, match=r"datasets: |resolutions → 0: "):
        Catalog.read_sound(written(tmp_path, content))


def test_an_unknown_key_of_the_catalog_is_named(tmp_path: Path) -> None:
    assert "dataset: Extra inputs" in complaint(written(tmp_path, "dataset: []"))


def test_two_entries_of_one_name_are_refused(tmp_path: Path) -> None:
    row = "{name: islets, path: x.h5ad, tissue: pancreas}"
    reason = complaint(written(tmp_path, f"datasets: [{row}, {row}]"))
    assert "two entries have the name 'islets'" in reason


BAD_NAMES = ["", "../x", "a/b", "a..b", "a|b", "a b", "a,b", "🧬", "naïve", ".hidden", "-rf", "_x", "a\n", "x" * 101]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_no_partition_or_file_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a dataset: use letters, digits"):
        check_name(name)
    with pytest.raises(ValidationError):
        entry(name)
    row = {"name": name, "path": "x.h5ad", "tissue": "pancreas"}
    assert repr(name) in complaint(written(tmp_path, yaml.safe_dump({"datasets": [row]})))


@pytest.mark.parametrize("name", ["a", "0", "GSE84133_h1", "v1.2-beta", "x" * 100])
def test_a_plain_name_is_accepted(name: str) -> None:
    assert check_name(name) == name


def test_the_resource_sees_the_file_as_it_is_now(tmp_path: Path) -> None:
    path = tmp_path / "datasets.yaml"
    resource = CatalogResource(path=str(path))
    Catalog().with_entry(entry()).write(path)
    assert resource.entry("islets").tissue == "pancreas"
    Catalog().with_entry(entry(tissue="islets of Langerhans")).write(path)
    assert resource.entry("islets").tissue == "islets of Langerhans"


def test_models_are_written_as_a_person_would(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        datasets:
        - {name: islets, path: /data/islets.h5ad, tissue: pancreas, models: openai/gpt-5}
        - name: blood
          path: /data/blood.h5ad
          tissue: blood
          models:
            all: openai/gpt-5
            score: {provider: openrouter, model: anthropic/claude-sonnet-4.5, requests_per_minute: 60}
        """,
    )
    catalog = Catalog.read(path)
    blood = catalog.entry("blood")
    assert catalog.entry("islets").model("merge").title == blood.model("merge").title == "openai/gpt-5"
    assert blood.model("score").title == "openrouter/anthropic/claude-sonnet-4.5"
    catalog.write(path)
    assert yaml.safe_load(path.read_text())["datasets"][1]["models"]["all"] == "openai/gpt-5"
    assert Catalog.read(path) == catalog


def test_a_role_that_there_is_none_of_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "datasets: [{name: islets, path: /d, tissue: gut, models: {booster: openai/gpt-5}}]")
    assert "islets → models → booster" in complaint(path)


@pytest.mark.parametrize("models", ["{key}", "{{score: {key}}}", "{{{key}: openai/gpt-5}}"])
def test_a_key_in_the_wrong_place_is_not_repeated(tmp_path: Path, models: str) -> None:
    said = models.format(key="sk-proj-abcdefghijklmnop")
    path = written(tmp_path, f"datasets: [{{name: islets, path: /d, tissue: gut, models: {said}}}]")
    reason = complaint(path)
    assert "islets → models" in reason
    assert "abcdefghijklmnop" not in reason


BROKEN = {"name": "broken", "path": "x.h5ad", "tissue": "gut", "species": "yeti"}
SHORT = {"name": "blood", "path": "b.h5ad", "tissue": "blood"}


def test_writing_one_entry_leaves_all_others_as_they_stand(tmp_path: Path) -> None:
    islets = {"name": "islets", "path": "i.h5ad", "tissue": "pancreas"}
    path = written(tmp_path, yaml.safe_dump({"datasets": [BROKEN, islets, 5, SHORT]}))
    write_entry(path, entry(resolutions=("2",)))
    write_entry(path, entry("liver"))
    rows = yaml.safe_load(path.read_text())["datasets"]
    assert [rows[0], rows[2], rows[3]] == [BROKEN, 5, SHORT]
    catalog, broken = Catalog.read_sound(path)
    assert [one.name for one in catalog.datasets] == ["islets", "blood", "liver"]
    assert catalog.entry("islets") == entry(resolutions=("2",))
    assert set(broken) == {"broken", "2"}


@pytest.mark.parametrize("name", ["broken", "1", "blood"])
def test_an_entry_can_be_removed_whether_it_is_sound_or_broken(tmp_path: Path, name: str) -> None:
    rows = {"broken": BROKEN, "1": 5, "blood": SHORT}
    path = written(tmp_path, yaml.safe_dump({"resolutions": ["3.0"], "datasets": list(rows.values())}))
    remove_entry(path, name)
    content = yaml.safe_load(path.read_text())
    assert content["datasets"] == [row for other, row in rows.items() if other != name]
    assert "3.0" in content["resolutions"]


def test_what_the_project_knows_stays_known_when_an_entry_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "datasets.yaml"
    write_entry(path, entry(resolutions=("2",)))
    write_entry(path, entry(resolutions=("3",)))
    remove_entry(path, "islets")
    assert Catalog.read(path).all_resolutions == [*DEFAULT_RESOLUTIONS, "2.0", "3.0"]


def test_of_two_entries_with_one_name_none_is_written_or_removed(tmp_path: Path) -> None:
    path = written(tmp_path, yaml.safe_dump({"datasets": [SHORT, SHORT]}))
    before = path.read_text()
    for change in (lambda: write_entry(path, entry("blood")), lambda: remove_entry(path, "blood")):
        with pytest.raises(ConfigurationError, match=r"two entries have the name 'blood'\. Rename one"):
            change()
    assert path.read_text() == before
