"""Chooses every constant of the candidates anew on one part of the clusters, and reports what they do on the other.

``CASSIA_EVALUATION_DATA=FOLDER uv run python -m benchmarks.crossfit`` replaces the tables in ``docs/evaluation.md``.
It takes some minutes, and always as many: the steps of the choice are counted beforehand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import chain, repeat
from pathlib import Path
from typing import NamedTuple

from benchmarks.bars import BARS_HF1, Bar, table_of_bars
from benchmarks.page import evaluation_data, write_blocks
from benchmarks.published import marker_cases
from cassia_dagster.evaluation.cases import Case
from cassia_dagster.evaluation.measures import Comparison, compare_terms, interval, measure
from cassia_dagster.knowledge.candidates import name_of
from cassia_dagster.knowledge.ontology import Relation, load_ontology
from cassia_dagster.knowledge.weighing import SETTLED, Weighing
from cassia_dagster.records import ClusterEvidence

GRID: Mapping[str, tuple[float, ...]] = {
    "temperature": (0.1, 0.05, 0.03, 0.02, 0.01),
    "renown": (0.0, 0.3, 0.6, 1.0),
    "lineage_weight": (0.0, 1.0, 2.0, 3.0, 5.0),
    "lineage_markers": (20, 50, 100),
    "n_markers": (50, 30, 20, 15, 10),
    "own_organ": (0.0, 0.3, 0.6, 1.0),
    "other_organ": (1.0, 0.8, 0.6, 0.4, 0.2),
    "half_fit": (0.02, 0.04, 0.08, 0.15),
    "sure": (1.1, 0.9, 0.75, 0.6),
    "clear_kind": (0.5, 0.75, 0.9),
    "mixed": (1.0, 0.4, 0.3, 0.2, 0.1),
    "min_speaking": (1, 2, 3, 5),
    "min_confidence": (0.0, 0.1, 0.25, 0.4),
    "genes_per_type": (80, 65, 50, 35),
    "curated": (0.0, 0.05, 0.1, 0.2),
    "min_sources": (1, 2, 3, 5),
}
"""What may be chosen, in the order in which it is. The first value of each is where the choice begins: the one that
does least, so that whatever the others bring is found on the part that chooses."""

N_PASSES = 2
"""Times that all constants are gone through."""


class Labelled(NamedTuple):
    """A cluster with a gold label that is a term, and the set and tissue that it is from."""

    set: str
    case: Case
    tissue: str


class Part(NamedTuple):
    """What was chosen without some clusters, and what it makes of these."""

    title: str
    weighing: Weighing
    answers: tuple[tuple[Labelled, Comparison], ...]
    doublets_named: int
    """Of the made-up doublets of the clusters left out, those that were given a name."""
    doublets: int


def choose(clusters: Sequence[Labelled]) -> Weighing:
    """Choose all constants of the grid by the clusters, one after the other, twice.

    A value is taken if the mean of what the clusters are worth rises by it; else the value stays. A cluster is worth
    the hierarchical F1 of its label, and nothing if that is of another lineage. Since every cluster of the sets has an
    answer, made-up doublets stand for those that have none: each is worth 1 if it is not named.
    """
    chosen = replace(SETTLED, **{name: values[0] for name, values in GRID.items()})  # type: ignore[arg-type]
    doublets = made_up_doublets(clusters)
    best = _worth(chosen, clusters, doublets)
    for name, values in chain.from_iterable(repeat(tuple(GRID.items()), N_PASSES)):
        for value in values:
            tried = replace(chosen, **{name: value})  # type: ignore[arg-type]
            worth = best if tried == chosen else _worth(tried, clusters, doublets)
            if worth > best:
                chosen, best = tried, worth
    return chosen


def _worth(weighing: Weighing, clusters: Sequence[Labelled], doublets: Sequence[ClusterEvidence]) -> float:
    of_clusters = sum(
        0.0 if compared.relation is Relation.CONTRADICTION else compared.f1 or 0.0
        for compared in (answer(one.case, weighing) for one in clusters)
    )
    of_doublets = sum(name_of(one, weighing) is None for one in doublets)
    return (of_clusters + of_doublets) / (len(clusters) + len(doublets))


def answer(case: Case, weighing: Weighing) -> Comparison:
    """Compare the first look of the embedded model with the gold label."""
    return compare_terms(name_of(case.evidence, weighing), case.gold_id)


def made_up_doublets(clusters: Sequence[Labelled]) -> list[ClusterEvidence]:
    """Mix every second cluster with the next one of its set whose lineage excludes its own: their markers in turn."""
    ontology = load_ontology()
    made = []
    for place, one in enumerate(clusters):
        others = (*clusters[place + 1 :], *clusters[:place]) if place % 2 == 0 else ()
        for other in others:
            if other.set == one.set and ontology.excludes(str(one.case.gold_id), str(other.case.gold_id)):
                pairs = zip(one.case.evidence.markers, other.case.evidence.markers, strict=False)
                markers = {marker.gene: marker for marker in chain.from_iterable(pairs)}
                made.append(one.case.evidence.model_copy(update={"markers": tuple(markers.values())}))
                break
    return made


def crossfit(clusters: Sequence[Labelled], part_of: Callable[[Labelled], str]) -> Iterator[Part]:
    """Leave each part out in turn: choose by all the others, answer the part."""
    for title in sorted({part_of(one) for one in clusters}):
        left_out = [one for one in clusters if part_of(one) == title]
        weighing = choose([one for one in clusters if part_of(one) != title])
        doublets = made_up_doublets(left_out)
        named = sum(name_of(one, weighing) is not None for one in doublets)
        answers = tuple((one, answer(one.case, weighing)) for one in left_out)
        yield Part(title, weighing, answers, named, len(doublets))


def halves(clusters: Sequence[Labelled]) -> Callable[[Labelled], str]:
    """Part the gold labels in two, every other one of their ids: no type is in both halves, under whatever name."""
    ids = sorted({str(one.case.gold_id) for one in clusters})
    part = {cl_id: "AB"[place % 2] for place, cl_id in enumerate(ids)}
    return lambda one: part[str(one.case.gold_id)]


def table(clusters: Sequence[Labelled], protocols: Mapping[str, Sequence[Part]]) -> str:
    """Write a row for each set and protocol, and one for the constants that ship, as Markdown."""
    lines = [
        "| clusters | constants chosen on | n | mean hF1 (95 %) | exact or finer | contradiction | coverage |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    shipped = tuple((one, answer(one.case, SETTLED)) for one in clusters)
    rows = {protocol: [pair for part in parts for pair in part.answers] for protocol, parts in protocols.items()}
    rows["all of them, as shipped"] = list(shipped)
    for name in (*dict.fromkeys(one.set for one in clusters), "all"):
        for protocol, answers in rows.items():
            compared = [compared for one, compared in answers if name in (one.set, "all")]
            lines.append(f"| {name} | {protocol} | {_figures(compared)} |")
    return "\n".join(lines)


def _figures(compared: Sequence[Comparison]) -> str:
    one = measure(compared)
    if one is None:
        raise ValueError("None of the clusters has a gold label that is a term.")
    low, high = interval([each.f1 or 0.0 for each in compared])
    shares = (f"{share:.0%}" for share in (one.exact_or_finer, one.contradiction, one.coverage))
    return " | ".join((str(one.n), f"{one.mean_hf1:.2f} ({low:.2f} to {high:.2f})", *shares))


def table_of_constants(parts: Sequence[Part], clusters: Sequence[Labelled]) -> str:
    """Write what was chosen without each part as Markdown, what ships, and how many parts chose that."""
    doublets = made_up_doublets(clusters)
    shipped = f"{sum(name_of(one) is not None for one in doublets)} of {len(doublets)}"
    titles = [f"without {part.title}" for part in parts]
    lines = [
        f"| constant | begins at | {' | '.join(titles)} | ships | chosen by |",
        f"|---|--:|{'--:|' * (len(titles) + 2)}",
    ]
    ships = asdict(SETTLED)
    for name, values in GRID.items():
        chosen = [getattr(part.weighing, name) for part in parts]
        written = " | ".join(f"{value:g}" for value in (*chosen, ships[name]))
        agreed = f"{chosen.count(ships[name])} of {len(parts)}"
        lines.append(f"| {name.replace('_', ' ')} | {values[0]:g} | {written} | {agreed} |")
    named = [f"{part.doublets_named} of {part.doublets}" for part in parts]
    lines.append(f"| *made-up doublets of the part left out that were named* | | {' | '.join(named)} | {shipped} | |")
    return "\n".join(lines)


def bar_of(by_halves: Sequence[Part]) -> Bar:
    """Hold what was chosen on the other half against what is asked for."""
    (name, least), *_ = BARS_HF1.items()
    f1s = [compared.f1 or 0.0 for part in by_halves for one, compared in part.answers if one.set == name]
    mean, (low, high) = sum(f1s) / len(f1s), interval(f1s)
    what = f"mean hF1 of {name}, constants chosen on the other half of the types"
    return Bar(what, f"at least {least:.2f}", f"{mean:.2f} ({low:.2f} to {high:.2f})", mean >= least)


def labelled_clusters(folder: Path) -> list[Labelled]:
    """Return the clusters of all marker tables whose gold label is a term."""
    sets = marker_cases(folder)
    return [
        Labelled(name, case, case.tissue.lower())
        for name, cases in sets.items()
        for case in cases
        if case.gold_id is not None
    ]


def main() -> None:
    """Choose, measure, and write the page."""
    clusters = labelled_clusters(evaluation_data())
    by_halves = list(crossfit(clusters, halves(clusters)))
    by_tissue = list(crossfit(clusters, lambda one: one.tissue))
    protocols = {"the other half of the types": by_halves, "the other tissues": by_tissue}
    blocks = {
        "crossfit": table(clusters, protocols),
        "constants": table_of_constants([*by_halves, *by_tissue], clusters),
        "crossfit bar": table_of_bars([bar_of(by_halves)]),
    }
    print("\n\n".join(blocks.values()))
    write_blocks(blocks)


if __name__ == "__main__":
    main()
