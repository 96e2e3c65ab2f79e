"""Reads cell types that others wrote as free text, as generously as a person would, for a fair comparison."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cassia_dagster.evaluation.agreement import map_gold_labels
from cassia_dagster.knowledge.ontology import load_ontology


def read_label(text: str, tissue: str = "") -> str | None:
    """Find the Cell Ontology term that a free-text label names, or the nearest that it is a kind of.

    The label is read whole, then without what stands in brackets, then by that alone; then its leading words are
    left out one by one ("classical alveolar type II cell": "alveolar type II cell"), since what comes first qualifies
    what comes last. "Urothelial cell of the renal pelvis" is an urothelial cell, and of two names with a stroke between
    them the first counts.

    Parameters
    ----------
    text
        A label such as ``"Proximal Tubule Cells (S1 segment)"``.
    tissue
        Where the cells are from: "principal cell" means more in the kidney.

    Returns
    -------
    str
        ``None`` where no reading names a type, or only one as broad as "epithelial cell".
    """
    ontology = load_ontology()
    for reading in dict.fromkeys(_readings(" ".join(text.split()))):
        term = map_gold_labels([reading], tissue)[reading]
        if term is not None and not ontology.is_root_level(term):
            return term
    return None


def _readings(text: str) -> Iterator[str]:
    outside = " ".join(re.sub(r"\([^()]*\)", " ", text).split())
    yield from (text, outside)
    yield from re.findall(r"\(([^()]+)\)", text)
    for name in (outside, re.split(r"\s(?:of|in|from|with)\s", outside)[0], *outside.split("/")):
        words = name.split()
        for start in range(1, len(words)):
            yield " ".join(words[start:])
        yield name
