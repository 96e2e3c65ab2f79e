"""Measures the embedded model, and CASSIA's published answers, on published data; writes the figures of the docs.

``CASSIA_EVALUATION_DATA=FOLDER uv run python -m benchmarks.published`` replaces the figures in ``docs/evaluation.md``
and the calibration in ``cassia_dagster/evaluation``. With ``--keep-cells`` the figures of whole data sets, which take
minutes, stay as they are.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.bars import (
    BARS_HF1,
    LEAST_COVERAGE,
    LEAST_SCORED_HIGH,
    MOST_CONTRADICTED,
    OTHER_HF1,
    Bar,
    table_of_bars,
)
from benchmarks.cells import measure_cells
from benchmarks.islets import CASES
from benchmarks.page import evaluation_data, write_blocks
from cassia_dagster.agents.embedded import EmbeddedBackend
from cassia_dagster.evaluation import without_gold
from cassia_dagster.evaluation.benchmark import BenchmarkRun, run_benchmark, score_given
from cassia_dagster.evaluation.cases import Case, read_cases
from cassia_dagster.evaluation.without_gold import Calibration, ScoreCalibration, calibrate, calibrate_scores
from cassia_dagster.files import replacing
from cassia_dagster.llm.door import Door
from cassia_dagster.llm.store import Store
from cassia_dagster.singlecell.marker_evidence import evidence_from_markers
from cassia_dagster.singlecell.marker_files import read_marker_table

if TYPE_CHECKING:
    import pandas as pd

PUBLISHED = {"CASSIA, GPT-4o": "gpt4o", "CASSIA, Claude 3.5": "claude35"}
"""Whose answers were published, and what their files are called."""

TABLES = {"pancreas_de": "pancreas", "pbmc3k_seurat_de": "blood"}
"""Seurat tables with statistics, and where their cells are from."""

HEADINGS = (
    "clusters", "answers of", "n", "mean hF1 (95 %)", "hF1 where named", "grade", "exact", "exact or finer",
    "contradiction", "coverage", "right with ≥ 75", "of ≥ 75, right",
)  # fmt: skip


def cassia_cases(folder: Path) -> pd.DataFrame:
    """CASSIA's kidney and lung clusters, each once, with the answers that were published for them."""
    import pandas as pd

    def key(table: pd.DataFrame) -> pd.Series:
        return table["True Cell Type"] + "|" + table["Tissue"].str.lower()

    table = pd.read_csv(folder / "markers" / "cassia_benchmark_dev43.csv", dtype=str, keep_default_na=False)
    table = table[~key(table).duplicated()]
    cases = pd.DataFrame(
        {
            "species": table["Species"],
            "tissue": table["Tissue"],
            "gold_label": table["True Cell Type"],
            "gold_cl_id": table["gold_cl_id"],
            "markers": table["Marker List"],
        }
    )
    for title, name in PUBLISHED.items():
        theirs = pd.read_csv(folder / "markers" / f"cassia_predictions_{name}_dev43.csv", dtype=str)
        answers = dict(zip(key(theirs), theirs["Predicted Sub Cell Types_processed"], strict=True))
        cases[title] = [answers[one] for one in key(table)]
    return cases


def table_cases(folder: Path, name: str, tissue: str) -> tuple[Case, ...]:
    """The clusters of a Seurat table, with their statistics."""
    import pandas as pd

    gold = pd.read_csv(folder / "markers" / "de_gold.csv", dtype=str)
    of_cluster = gold[gold["table"] == name].set_index("cluster")
    table = read_marker_table(folder / "markers" / f"{name}.csv.gz")
    return tuple(
        Case(
            case=f"{name}/{one.cluster}",
            gold_label=str(of_cluster.loc[one.cluster, "gold_label"]),
            gold_id=str(of_cluster.loc[one.cluster, "gold_cl_id"]),
            evidence=one,
        )
        for one in evidence_from_markers(table, species="human", tissue=tissue)
    )


def marker_cases(folder: Path) -> dict[str, tuple[Case, ...]]:
    """All clusters that are known by their markers, by the name of their set."""
    with TemporaryDirectory() as place:
        path = Path(place) / "cassia.csv"
        cassia_cases(folder).to_csv(path, index=False)
        return {
            "kidney and lung (CASSIA's)": read_cases(path),
            **{f"{tissue} ({name})": table_cases(folder, name, tissue) for name, tissue in TABLES.items()},
            "islets (the demo's)": read_cases(CASES),
        }


class Measured(NamedTuple):
    """What is known of the clusters that are known by their markers."""

    runs: list[tuple[str, BenchmarkRun]]
    by_standing: list[Calibration]
    """By the published answers: only models that never saw the offline shortlist can say what it is worth to agree."""
    by_score: list[ScoreCalibration]
    """By the embedded model's answers, and the scores that it gave them."""


def measure_marker_tables(folder: Path) -> Measured:
    """Answer all cases by the embedded model, score what was published, and calibrate by both."""
    sets = marker_cases(folder)
    with TemporaryDirectory() as place, Store.open(Path(place) / "models.sqlite") as store:
        door = Door(EmbeddedBackend(), store)
        runs = [(name, run_benchmark(cases, door, store, "embedded")) for name, cases in sets.items()]
    kidney_and_lung = next(iter(sets.values()))
    published = [score_given(kidney_and_lung, title) for title in PUBLISHED]
    ours = [one for _, run in runs for one in run.answers]
    return Measured(
        runs=[runs[0], *((runs[0][0], run) for run in published), *runs[1:]],
        by_standing=calibrate((one.standing, one.compared) for run in published for one in run.answers),
        by_score=calibrate_scores((one.score, one.compared) for one in ours if one.score is not None),
    )


def table_of_runs(rows: Sequence[tuple[str, BenchmarkRun]]) -> str:
    """Write the figures of marker tables as Markdown."""
    lines = [f"| {' | '.join(HEADINGS)} |", f"|---|---{'|--:' * (len(HEADINGS) - 2)}|"]
    for name, run in rows:
        one = run.summary
        low, high = one.mean_hf1_interval
        shares = (one.exact, one.exact_or_finer, one.contradiction, one.coverage)
        trust = (one.right_scored_high, one.high_scored_right)
        cells = [
            name,
            run.title,
            str(one.n),
            f"{one.mean_hf1:.2f} ({low:.2f} to {high:.2f})",
            _number(one.mean_hf1_where_named),
            _number(one.mean_grade),
            *map(_percent, (*shares, *trust)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def bars_of_runs(rows: Sequence[tuple[str, BenchmarkRun]]) -> list[Bar]:
    """Hold the embedded model's figures of marker tables against what is asked for."""
    bars = []
    for name, run in rows:
        one, least = run.summary, BARS_HF1.get(name, OTHER_HF1)
        if run.title != "embedded":
            continue
        right = one.right_scored_high or 0.0
        bars += [
            Bar(f"{name}: mean hF1", f"at least {least:.2f}", f"{one.mean_hf1:.2f}", one.mean_hf1 >= least),
            Bar("contradictions", f"at most {MOST_CONTRADICTED:.0%}", f"{one.contradiction:.0%}",
                one.contradiction <= MOST_CONTRADICTED),
            Bar("coverage", f"at least {LEAST_COVERAGE:.0%}", f"{one.coverage:.0%}", one.coverage >= LEAST_COVERAGE),
            Bar("right labels with ≥ 75", f"at least {LEAST_SCORED_HIGH:.0%}", f"{right:.0%}",
                right >= LEAST_SCORED_HIGH),
        ]  # fmt: skip
    return bars


def table_of_calibration(rows: Sequence[Calibration]) -> str:
    """Write what agreement with the shortlist is worth as Markdown."""
    return _worth("the label and the first of the shortlist", [(row.standing.replace("_", " "), row) for row in rows])


def table_of_scores(rows: Sequence[ScoreCalibration]) -> str:
    """Write what the embedded model's scores are worth as Markdown."""
    ends = [*(f"under {row.at_least:g}" for row in rows[1:]), "up to 100"]
    return _worth("score", [(f"{row.at_least:g} {end}", row) for row, end in zip(rows, ends, strict=True)])


def _worth(what: str, rows: Sequence[tuple[str, Calibration | ScoreCalibration]]) -> str:
    lines = [f"| {what} | n | exact or finer | mean hF1 |", "|---|--:|--:|--:|"]
    for name, row in rows:
        share = _percent(row.right / row.n if row.n else None)
        lines.append(f"| {name} | {row.n} | {share} | {_number(row.mean_hf1)} |")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def main() -> None:
    """Measure, and write page and calibration."""
    folder = evaluation_data()
    measured = measure_marker_tables(folder)
    _write_calibration(measured.by_standing, without_gold.CALIBRATION)
    _write_calibration(measured.by_score, without_gold.SCORE_CALIBRATION)
    blocks = {
        "marker tables": table_of_runs(measured.runs),
        "marker bars": table_of_bars(bars_of_runs(measured.runs)),
        "calibration": table_of_calibration(measured.by_standing),
        "scores": table_of_scores(measured.by_score),
    }
    if "--keep-cells" not in sys.argv:
        blocks |= measure_cells(folder)
    write_blocks(blocks)


def _write_calibration(rows: Sequence[Calibration] | Sequence[ScoreCalibration], name: str) -> None:
    import pandas as pd

    table = pd.DataFrame([row.model_dump(mode="json") for row in rows])
    with replacing(Path(without_gold.__file__).with_name(name)) as temporary:
        table.to_csv(temporary, index=False, float_format="%.3f", lineterminator="\n")


if __name__ == "__main__":
    main()
