"""Which genes speak for which cell type, and how loudly: marker knowledge as one matrix a species."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from cassia_dagster.knowledge.ontology import Ontology, load_ontology
from cassia_dagster.knowledge.tables import read_rows, read_toml, versions
from cassia_dagster.records import Species

_GENES_PER_TYPE = 50
_MIN_SOURCES = 3
_MAX_DESCENDANTS = 170


@dataclass(frozen=True, eq=False)
class MarkerKnowledge:
    """Weights of genes for types. Get it from :func:`load_markers`."""

    version: str
    species: Species
    types: tuple[str, ...]
    """CL ids of the types that can be told by their markers, one a column of ``weights``."""
    genes: tuple[str, ...]
    """Symbols of the species, one a row of ``weights``."""
    weights: NDArray[np.float32]
    """Genes × types; each column has unit length, so that types with many known markers do not win by number."""
    against: Mapping[str, frozenset[str]]
    """Genes that a type of that CL id does not express."""
    _rows: Mapping[str, int]
    _former: Mapping[str, str]

    @property
    def species_genes(self) -> frozenset[str]:
        """All genes that speak for some type."""
        return frozenset(self.genes)

    def symbol(self, gene: str) -> str:
        """The symbol used here for a gene, which may be named by a former one (SDPR is CAVIN2)."""
        return gene if gene in self._rows else self._former.get(gene, gene)

    def row(self, gene: str) -> int | None:
        """Row of a gene in ``weights``, by present or former symbol."""
        return self._rows.get(self.symbol(gene))

    def weight(self, cl_id: str, gene: str) -> float:
        """How loudly a gene speaks for a type; 0 where it does not, or where the type has no known markers."""
        row = self.row(gene)
        return float(self.weights[row, self.types.index(cl_id)]) if row is not None and cl_id in self.types else 0.0


@cache
def _identity_free() -> re.Pattern[str]:
    return re.compile("|".join(read_toml("judgement.toml")["genes"]["no_identity"]))


@cache
def tells_identity(gene: str) -> bool:
    """Whether a gene can tell what a cell is: not one of cell cycle, stress, ribosomes, mitochondria or sex."""
    return _identity_free().match(gene.upper()) is None


def is_answer(ontology: Ontology, cl_id: str) -> bool:
    """Whether a term may be the answer for a cluster: it says what a cell is, not what it does or where it was kept."""
    return not ontology.is_root_level(cl_id) and _never_answers().search(ontology.label(cl_id)) is None


@cache
def _never_answers() -> re.Pattern[str]:
    answers = read_toml("judgement.toml")["answers"]
    return re.compile("|".join((*answers["never"], *answers["states"], *answers["uncommon"])))


@cache
def load_markers(species: Species) -> MarkerKnowledge:
    """Marker knowledge of a species; for the mouse by way of one-to-one orthologs of the human genes.

    The weight of gene g for type t is :math:`\\log(1 + w_{gt}) \\cdot \\log(T / T_g)` before the columns are scaled:
    w, the consensus weight of the sources, of the 50 heaviest genes a type; T types, of which :math:`T_g` know g.
    """
    ontology = load_ontology()
    consensus, against = _read_edges()
    types = tuple(t for t in consensus if _is_told_by_markers(ontology, t))
    heaviest = [_heaviest(consensus[t]) for t in types]
    n_types_of = Counter(gene for weights in heaviest for gene in weights)
    human_genes = sorted(n_types_of)
    rows = {gene: row for row, gene in enumerate(human_genes)}
    weights = np.zeros((len(rows), len(types)), dtype=np.float32)
    for column, of_type in enumerate(heaviest):
        for gene, weight in of_type.items():
            weights[rows[gene], column] = np.log1p(weight) * np.log(len(types) / n_types_of[gene])
    weights /= np.linalg.norm(weights, axis=0)

    to_species = _symbols_of(species)
    kept = [gene for gene in human_genes if gene in to_species] if to_species else human_genes
    symbols = tuple(to_species.get(gene, gene) for gene in kept)
    return MarkerKnowledge(
        version=f"cellconsensus {versions()['cellconsensus']}, celltypepilot {versions()['celltypepilot']}",
        species=species,
        types=types,
        genes=symbols,
        weights=np.ascontiguousarray(weights[[rows[gene] for gene in kept]]),
        against={t: frozenset(to_species.get(g, g) for g in genes) for t, genes in against.items()},
        _rows={symbol: row for row, symbol in enumerate(symbols)},
        _former={} if to_species else {former: symbol for former, symbol in read_rows("aliases.tsv.gz")},
    )


def _read_edges() -> tuple[dict[str, dict[str, float]], dict[str, set[str]]]:
    consensus: dict[str, dict[str, float]] = {}
    against: defaultdict[str, set[str]] = defaultdict(set)
    for cl_id, gene, weight, sign, source in read_rows("markers.tsv.gz"):
        if sign == "-":
            against[cl_id].add(gene)
        elif source == "cellconsensus":
            consensus.setdefault(cl_id, {})[gene] = float(weight)
    return consensus, against


def _is_told_by_markers(ontology: Ontology, cl_id: str) -> bool:
    return (
        is_answer(ontology, cl_id)
        and ontology.n_sources(cl_id) >= _MIN_SOURCES
        and ontology.n_descendants(cl_id) <= _MAX_DESCENDANTS
    )


def _heaviest(weights: Mapping[str, float]) -> dict[str, float]:
    return dict([(gene, weight) for gene, weight in weights.items() if tells_identity(gene)][:_GENES_PER_TYPE])


def _symbols_of(species: Species) -> dict[str, str]:
    """Human to species symbol; empty for human, whose symbols are the table's own."""
    return {} if species == "human" else {human: mouse for human, mouse in read_rows("orthologs.tsv.gz")}
