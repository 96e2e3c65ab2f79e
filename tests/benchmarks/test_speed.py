"""What the costs of stages are made into."""

import json

from benchmarks.speed import RESOLUTIONS, table_of
from benchmarks.stages import Clock, read_stages
from benchmarks.workflow import COSTS


def wrote(folder, cpu, names):
    folder.mkdir(parents=True)
    rows = [
        {"name": name, "cpu": cpu, "wall": cpu, "peak": 2**30, "cpu_so_far": cpu * (number + 1), "wall_so_far": cpu}
        for number, name in enumerate(names)
    ]
    (folder / COSTS).write_text(json.dumps(rows))


def test_a_stage_is_measured_and_kept_at_once(tmp_path):
    clock = Clock(tmp_path / COSTS)
    with clock.stage("count"):
        sum(range(200_000))
    (stage,) = read_stages(tmp_path / COSTS)
    assert stage.name == "count"
    assert 0 < stage.cpu <= stage.cpu_so_far
    assert stage.peak > 2**20


def test_medians_and_ratios_stand_in_the_table_and_a_run_that_was_cut_short_is_not_finished(tmp_path):
    whole = ["load", "components", "clusters 1.0", "markers 1.0", "umap", "write"]
    whole += [f"{step} {resolution}" for resolution in RESOLUTIONS[1:] for step in ("clusters", "markers")]
    for number, cpu in enumerate((10.0, 20.0, 60.0), start=1):
        wrote(tmp_path / "1000" / f"plain-warm-{number}", cpu, whole)
    wrote(tmp_path / "1000" / "ours-warm-1", 5.0, whole[:4])
    rows = {row.split(" | ")[1]: row for row in table_of(tmp_path).splitlines()[2:]}
    assert rows["counts → marker table, CPU seconds"].endswith("| 3 and 1 | 80.0 | 20.0 | 4.0 × |")
    assert "| 120.0 | 20.0 | 6.0 × |" in rows["until the marker table is there, plain with UMAP and write, CPU seconds"]
    assert "| 120.0 | not finished |" in rows["the whole, UMAP and write in both, CPU seconds"]
    assert "| 240.0 | not finished |" in rows["counts → marker tables of five resolutions, CPU seconds"]
