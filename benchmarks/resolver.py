"""Measures how names are read as terms of the Cell Ontology; writes the figures of the docs.

``CASSIA_EVALUATION_DATA=FOLDER uv run python -m benchmarks.resolver`` replaces the table in ``docs/evaluation.md``. It
takes a minute.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.cells import SAMPLES
from benchmarks.page import evaluation_data, write_blocks
from cassia_dagster.knowledge.names import Named
from cassia_dagster.knowledge.ontology import load_ontology
from cassia_dagster.knowledge.resolver import Resolution, resolve_name

BARS = {"first": 0.90, "first of synonyms": 0.65, "resolved": 0.95}

HEADINGS = ("names", "n", "the first candidate is right", "at least", "resolved", "of these, right", "at least")


class Read(NamedTuple):
    """A name as it was read, and the term that it stands for."""

    term: str
    resolution: Resolution


class Accuracy(NamedTuple):
    """How often names were read right."""

    n: int
    first: int
    """Names whose first candidate is their term."""
    resolved: int
    """Names of which the resolver is sure."""
    right: int
    """Of these, the ones that it read as their term."""


def read_gold(folder: Path) -> Iterator[Read]:
    """Read each gold label of the data sets in the tissue that a user would give."""
    with (folder / "gold_label_to_CL.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if row["cl_id"]:
                sample = SAMPLES.get(row["dataset"])
                tissue, species = (sample.tissue, sample.species) if sample else ("", "human")
                yield Read(row["cl_id"], resolve_name(row["label"], tissue, species))


def read_synonyms(every: int = 1) -> Iterator[Read]:
    """Read each synonym of the ontology (or some of them) with that name left out of what the resolver knows."""
    ontology = load_ontology()
    names = [Named(cl_id, name) for cl_id in ontology for name in ontology.synonyms(cl_id)]
    for one in names[::every]:
        yield Read(one.term, resolve_name(one.name, left_out=one))


def accuracy(names: Iterator[Read]) -> Accuracy:
    """Count how names were read."""
    n = first = resolved = right = 0
    for one in names:
        candidates, cl_id = one.resolution.candidates, one.resolution.cl_id
        n += 1
        first += bool(candidates) and candidates[0].cl_id == one.term
        resolved += cl_id is not None
        right += cl_id == one.term
    return Accuracy(n, first, resolved, right)


def table(rows: dict[str, tuple[Accuracy, float]]) -> str:
    """Write the figures as Markdown; of each row, how many first candidates must be right."""
    lines = [f"| {' | '.join(HEADINGS)} |", f"|---|{'--:|' * (len(HEADINGS) - 1)}"]
    for title, (one, bar) in rows.items():
        right = f"{one.right / one.resolved:.1%}" if one.resolved else ""
        cells = [f"{one.n:,}", f"{one.first / one.n:.1%}", f"{bar:.0%}", f"{one.resolved / one.n:.0%}", right]
        lines.append(f"| {title} | {' | '.join(cells)} | {BARS['resolved']:.0%} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write the page."""
    written = table(
        {
            "gold labels of the data sets": (accuracy(read_gold(evaluation_data())), BARS["first"]),
            "synonyms of the ontology, each left out in turn": (accuracy(read_synonyms()), BARS["first of synonyms"]),
        }
    )
    print(written)
    write_blocks({"resolver": written})


if __name__ == "__main__":
    main()
