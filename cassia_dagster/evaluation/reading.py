"""Reads cell types that others wrote as free text: `knowledge.resolver`, in the light of where the cells are from.

Known labels are read strictly, for what is read into them would be held against ours; answers of others generously,
as a person would, for a fair comparison.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from cassia_dagster.knowledge.anatomy import organs_named
from cassia_dagster.knowledge.ontology import load_ontology
from cassia_dagster.knowledge.resolver import resolve_name
from cassia_dagster.records import Species

_ADJECTIVES = {"pancreas": "pancreatic", "liver": "hepatic"}
"""Where the ontology does not name a type by the organ itself, as in "kidney cell"."""


def read_gold_labels(labels: Iterable[str], tissue: str = "", species: Species = "human") -> dict[str, str | None]:
    """Find the Cell Ontology terms of known labels, for `agreement.compare_with_gold`; ``None`` where in doubt.

    Parameters
    ----------
    labels
        In any order; repeated ones are read once.
    tissue
        Free text, as in the dataset's catalog entry; ``""`` where unknown.
    species
        Terms of the other species are passed over.
    """
    return {label: _read_strictly(label, tissue, species) for label in dict.fromkeys(labels)}


def read_label(text: str, tissue: str = "", species: Species = "human") -> str | None:
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
    species
        Terms of the other species are passed over.

    Returns
    -------
    str
        ``None`` where no reading names a type, or only one as broad as "epithelial cell".
    """
    ontology = load_ontology()
    for reading in dict.fromkeys(_readings(" ".join(text.split()))):
        term = _read_strictly(reading, tissue, species)
        if term is not None and not ontology.is_root_level(term):
            return term
    return None


def _read_strictly(label: str, tissue: str, species: Species) -> str | None:
    """Read a label with the sample's organ before it ("acinar": "pancreatic acinar cell"), else as it stands."""
    ontology, text = load_ontology(), " ".join(label.replace("_", " ").split())
    for organ in sorted(organs_named(tissue)):
        for name in (text, f"{text} cell"):
            if term := ontology.resolve(f"{_ADJECTIVES.get(organ, organ)} {name}"):
                return term
    return resolve_name(label, tissue, species).cl_id


def _readings(text: str) -> Iterator[str]:
    outside = " ".join(re.sub(r"\([^()]*\)", " ", text).split())
    yield from (text, outside)
    yield from re.findall(r"\(([^()]+)\)", text)
    for name in (outside, re.split(r"\s(?:of|in|from|with)\s", outside)[0], *outside.split("/")):
        words = name.split()
        for start in range(1, len(words)):
            yield " ".join(words[start:])
        yield name
