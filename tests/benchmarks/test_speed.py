"""What the costs of stages are made into."""

import json

from benchmarks.machine import ended_well, keep_machine, machines
from benchmarks.overhead import partitions_of
from benchmarks.overhead import table_of as table_of_overhead
from benchmarks.speed import COMPARED, RESOLUTIONS, cold_start_of, growth_of, keep_figures, table_of
from benchmarks.stages import Clock, read_stages
from benchmarks.workflow import COSTS


def wrote(folder, cpu, names, *, ended=True):
    folder.mkdir(parents=True)
    rows = [
        {"name": name, "cpu": cpu, "wall": cpu, "peak": 2**30, "cpu_so_far": cpu * (number + 1), "wall_so_far": cpu}
        for number, name in enumerate(names)
    ]
    (folder / COSTS).write_text(json.dumps(rows))
    if ended:
        keep_machine(folder)


def test_a_stage_is_measured_and_kept_at_once(tmp_path):
    clock = Clock(tmp_path / COSTS)
    with clock.stage("count"):
        sum(range(200_000))
    (stage,) = read_stages(tmp_path / COSTS)
    assert stage.name == "count"
    assert 0 < stage.cpu <= stage.cpu_so_far
    assert stage.peak > 2**20


def test_medians_and_ratios_stand_in_the_table_and_what_was_not_measured_is_said(tmp_path):
    whole = ["load", "components", "clusters 1.0", "markers 1.0", "umap", "write"]
    whole += [f"{step} {resolution}" for resolution in RESOLUTIONS[1:] for step in ("clusters", "markers")]
    for number, cpu in enumerate((10.0, 20.0, 60.0), start=1):
        wrote(tmp_path / "1000" / f"ours-warm-{number}", cpu / 4, whole)
    wrote(tmp_path / "1000" / "plain-warm-1", 20.0, whole[:4])
    rows = {row.split(" | ")[1]: row for row in table_of(tmp_path).splitlines()[2:]}
    assert rows["counts → marker table, CPU seconds"].endswith("| 1 and 3 | 80.0 | 20.0 | 4.0 × |")
    assert rows["the whole, UMAP and write in both, CPU seconds"].endswith("| 0 and 3 | not measured | 30.0 |  |")
    assert rows["counts → marker tables of five resolutions, CPU seconds"].endswith("| not measured | 60.0 |  |")


def test_a_run_that_was_cut_short_does_not_count_and_is_not_kept(tmp_path):
    runs, results = tmp_path / "runs", tmp_path / "results"
    names = ["load", "clusters 1.0", "markers 1.0"]
    wrote(runs / "1000" / "ours-warm-1", 2.0, names)
    wrote(runs / "1000" / "ours-warm-2", 50.0, names, ended=False)
    wrote(runs / "1000" / "capped-4", 70.0, names)
    keep_figures(runs, results, COMPARED)
    assert ended_well(results / "1000" / "ours-warm-1")
    assert [one.name for one in (results / "1000").iterdir()] == ["ours-warm-1"]
    assert growth_of(runs).splitlines()[-1] == "| 1,000 | 1 | 6.0 |  | 1.0 |"
    assert "scanpy" in machines([results / "1000" / "ours-warm-1"])


def test_growth_and_the_share_of_a_cold_start(tmp_path):
    names = ["load", "clusters 1.0", "markers 1.0"]
    wrote(tmp_path / "1000" / "ours-warm-1", 2.0, names)
    wrote(tmp_path / "1000" / "ours-cold-1", 4.0, names)
    wrote(tmp_path / "4000" / "ours-warm-1", 6.0, names)
    assert growth_of(tmp_path).splitlines()[-1] == "| 4,000 | 1 | 18.0 | 3.0 × | 1.0 |"
    assert cold_start_of(tmp_path).splitlines()[-1] == "| 1,000 | ours | 12.0 | 6.0 | 6.0 (50%) |"


def test_the_overhead_is_what_a_process_takes_more_and_dagster_between_assets_is_told_apart(tmp_path):
    wrote(tmp_path / "1000" / "direct-usual_1-1", 4.0, ["load", "clusters 1.0", "markers 1.0", "file"])
    assets = ["normalized_adata", "leiden_clusters 1.0", "marker_table 1.0", "annotated_adata"]
    wrote(tmp_path / "1000" / "dagster-usual_1-1", 2.0, [one for asset in assets for one in ("between assets", asset)])
    wrote(tmp_path / "1000" / "dagster-usual_5-1", 2.0, assets)
    assert (
        table_of_overhead(tmp_path).splitlines()[2] == "| 1,000 | 1 | 1 and 1 | CPU seconds | 16.0 | 16.0 | 0.0 | 0% |"
    )
    assert "| 1,000 | 1 | 12.0 | 6.0 |" in partitions_of(tmp_path).splitlines()
