"""What conditions request, tick by tick: what is missing or changed, of what the catalog lists, and each thing once."""

from __future__ import annotations

import dagster as dg

from resources.catalog import Catalog
from tests.automated import CELLS, CHAIN, LAST, skip_message


def test_a_dataset_without_its_file_yet_is_not_asked_for(project):
    project.write(project.entry("islets"))
    project.watch()
    assert project.requested() == {}


def test_a_new_dataset_is_made_level_by_level_for_the_resolutions_that_it_lists(project):
    project.requested()
    project.write(project.entry("islets", resolutions=["0.4", "1.2"]))
    project.settle()
    pairs = {"islets|0.4", "islets|1.2"}
    assert project.walk() == [
        {name: {"islets"} for name in CELLS},
        dict.fromkeys(CHAIN, pairs),
        {name: {"islets"} for name in LAST},
    ]


def test_of_a_marker_table_no_cells_are_asked_for(project):
    project.requested()
    project.write(project.entry("lists", kind="markers"))
    project.settle()
    asked = {asset for tick in project.walk() for asset in tick}
    assert not asked & {"normalized_adata", "umap", "annotated_adata"}


def test_what_was_there_before_automation_was_switched_on_is_made_too(project):
    project.write(project.entry("islets", resolutions=["0.8"]))
    project.settle()
    assert [set(tick) for tick in project.walk()][-1] == set(LAST)


def test_a_changed_file_has_only_its_own_dataset_made_anew_each_asset_once(finished):
    islets = Catalog.read(finished.home.catalog).entry("islets")
    finished.write(islets, finished.entry("liver", resolutions=["0.8"]))
    finished.settle()
    finished.walk()
    islets.path.write_bytes(b"other counts")
    finished.settle()
    ticks = finished.walk()
    assert ticks[0] == {"normalized_adata": {"islets"}}
    assert len(ticks) == 4  # the cells; what they decide; what a person's labels would bear on; the file of all
    assert sorted(name for tick in ticks for name in tick) == sorted([*CELLS, *CHAIN, *LAST])
    assert {key.partition("|")[0] for tick in ticks for keys in tick.values() for key in keys} == {"islets"}


def test_a_label_that_a_person_gave_has_what_shows_it_made_anew_and_nothing_above(finished):
    said = "- {dataset: islets, resolution: 0.4, cluster: 3, label: beta cell, who: ana, why: INS, date: 2026-11-26}"
    finished.home.manual_labels.write_text(said)
    finished.watch()
    assert finished.labelled == ["islets"]
    assert {name for tick in finished.walk() for name in tick} == {"reviewed", "merged", "report", *LAST}
    finished.watch()
    assert finished.labelled == []
    finished.home.manual_labels.write_text("words")
    assert "must be a list of rows" in skip_message(finished.watch())
    assert finished.walk() == []


def test_what_comes_out_the_same_starts_nothing_below_it(finished):
    islets = Catalog.read(finished.home.catalog).entry("islets")
    finished.write(islets.model_copy(update={"tissue": "liver"}))
    finished.settle()
    redone = {name for tick in finished.walk(anew=False) for name in tick}
    # What the entry says of models and thresholds bears on all roles; clusters and markers have nothing to do with it.
    assert redone == {"normalized_adata", "annotations", "scores", "boosted", "merged", "report", *LAST}


def test_what_the_launchpad_made_stays_until_an_input_changes(finished):
    finished.make({"annotations": {"islets|0.4"}})  # by hand, with another model
    redone = finished.walk()
    assert {name for tick in redone for name in tick} == {"scores", "boosted", "reviewed", "merged", "report", *LAST}
    assert finished.walk() == []
    (finished.files / "islets.h5ad").write_bytes(b"other cells")
    finished.settle()
    assert any("annotations" in tick for tick in finished.walk())


def test_a_resolution_that_is_listed_later_is_made_later(finished):
    islets = Catalog.read(finished.home.catalog).entry("islets")
    finished.write(islets.model_copy(update={"resolutions": ("0.4", "0.8", "1.2")}))
    finished.settle()
    ticks = finished.walk(anew=False)
    assert [tick["leiden_clusters"] for tick in ticks if "leiden_clusters" in tick] == [{"islets|0.8"}]
    assert "annotated_adata" in ticks[-1]


def test_a_failure_is_tried_once_more_and_stops_what_is_below(project):
    project.requested()
    project.write(project.entry("islets", resolutions=["0.8"]))  # no AnnData file
    project.settle()
    job = project.definitions.resolve_job_def("prepare_cells")
    requests = 0
    for _ in range(5):
        requested = project.requested()
        assert set(requested) in (set(), CELLS)
        if requested:
            requests += 1
            run = job.execute_in_process(
                partition_key="islets",
                instance=project.instance,
                asset_selection=[dg.AssetKey(name) for name in requested],
                raise_on_error=False,
            )
            assert not run.success
    assert requests == 2


def test_a_broken_entry_does_not_keep_the_others_from_being_made(project):
    project.requested()
    project.write(project.entry("there", resolutions=["0.8"]))
    project.home.catalog.write_text(project.home.catalog.read_text() + "- name: broken\n  path: x.h5ad\n")
    project.settle()
    assert project.walk()[0] == {name: {"there"} for name in CELLS}


def test_runs_wait_until_a_broken_catalog_is_mended_and_then_go_on(project):
    project.requested()
    project.write(project.entry("there", resolutions=["0.8"]))
    project.settle()
    good = project.home.catalog.read_text()
    project.home.catalog.write_text("datasets: [")
    assert "not valid YAML" in skip_message(project.watch())
    assert project.requested() == {}
    project.home.catalog.write_text(good)
    assert project.requested() == {name: {"there"} for name in CELLS}


def test_every_asset_but_the_users_file_has_the_condition(project):
    specs = {spec.key.to_user_string(): spec for spec in project.definitions.resolve_all_asset_specs()}
    assert specs.pop("raw_adata").automation_condition is None
    assert specs.pop("manual_labels").automation_condition is None
    made = [spec for spec in specs.values() if spec.group_name != "analyses"]  # those wait for a user
    assert all(spec.automation_condition.get_label() == "on_change" for spec in made)
