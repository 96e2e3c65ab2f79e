"""Which genes speak for which cell type, and how loudly: marker knowledge as one matrix a species."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

from cassia_dagster.errors import InputError
from cassia_dagster.knowledge.genes import former_symbols
from cassia_dagster.knowledge.ontology import load_ontology
from cassia_dagster.knowledge.tables import read_rows, read_toml, versions
from cassia_dagster.knowledge.weighing import SETTLED, Weighing
from cassia_dagster.records import SPECIES, Species

type _Edges = dict[str, dict[str, float]]


@dataclass(frozen=True, eq=False)
class MarkerKnowledge:
    """Weights of genes for types. Get it from :func:`load_markers`."""

    version: str
    species: Species
    types: tuple[str, ...]
    """CL ids of the types that can be told by their markers, one a column of ``weights``."""
    weights: NDArray[np.float64]
    """Genes by types, none below 0."""
    against: Mapping[str, frozenset[str]]
    """CL id → genes (symbols of the species) that the type does not express; only for common types."""
    symbols: tuple[str, ...]
    """Of each row of ``weights``, as the species spells it; the human symbol where the mouse has no such gene."""
    genes: tuple[str, ...]
    """Human symbols, one a row of ``weights``."""
    row_of: Mapping[str, int]
    """Symbol of the species, present or former → its row."""
    from_lab: frozenset[str] = frozenset()
    """Types that a lab's own table speaks for."""

    @property
    def species_genes(self) -> frozenset[str]:
        """All symbols that are understood, former ones included."""
        return frozenset(self.row_of)

    def row(self, gene: str) -> int | None:
        """Row of a gene in ``weights``; former symbols (SDPR, now CAVIN2) and R's spelling (HLA.DRA) are understood."""
        row = self.row_of.get(gene)
        return self.row_of.get(_with_hyphens(gene)) if row is None else row

    def weight(self, cl_id: str, gene: str) -> float:
        """How loudly a gene speaks for a type; 0 where it does not, or where the type is none of ``types``."""
        row = self.row(gene)
        return float(self.weights[row, self.types.index(cl_id)]) if row is not None and cl_id in self.types else 0.0


@cache
def tells_identity(gene: str) -> bool:
    """Whether a gene can tell what a cell is: not one of cell cycle, stress, ribosomes, mitochondria or sex."""
    return _pattern("genes.no_identity").search(_with_hyphens(gene).upper()) is None


def _with_hyphens(gene: str) -> str:
    """Undo what R does to names: HLA.DRA is HLA-DRA. No symbol of either species has a dot that is not a version's."""
    return gene.replace(".", "-")


@cache
def tells_malignancy(gene: str) -> bool:
    """Whether a gene is silent in healthy cells outside germ line and placenta, and on in tumours of any origin."""
    return _pattern("genes.malignancy").search(gene.upper()) is not None


@cache
def is_answer(cl_id: str) -> bool:
    """Whether a term may be the answer for a cluster.

    It says what a cell is; not what it does, what state it is in or how it was kept, and nothing as broad as
    "epithelial cell". The reasons are in ``data/judgement.toml``.
    """
    ontology = load_ontology()
    if ontology.is_root_level(cl_id):
        return False
    return _pattern("answers").search(ontology.label(cl_id)) is None


def species_term(cl_id: str, species: Species) -> str:
    """The term that a type has of its own in a species, else the type; see ``data/species_terms.csv``."""
    return _species_terms().get((species, cl_id), cl_id)


@cache
def _species_terms() -> dict[tuple[str, str], str]:
    return {(species, cl_id): own for species, cl_id, _, own, _ in read_rows("species_terms.csv")}


@cache
def _pattern(section: str) -> re.Pattern[str]:
    table = read_toml("judgement.toml")
    for name in section.split("."):
        table = table[name]
    return re.compile("|".join(pattern for patterns in table.values() for pattern in patterns))


MIN_KNOWN_GENES = 100
"""Fewer known genes than this among a dataset's, and no type could be told from another."""


def known_genes(genes: Iterable[str]) -> dict[Species, int]:
    """Count for each species how many of the names are symbols of its genes."""
    names = {str(gene) for gene in genes}
    return {species: len(load_markers(species).species_genes & names) for species in SPECIES}


def check_genes(genes: Iterable[str], species: Species) -> None:
    """Raise `InputError` if the genes are hardly any of the species' symbols, which would leave all unresolved."""
    names = [str(gene) for gene in genes]
    known = known_genes(names)
    if known[species] >= MIN_KNOWN_GENES:
        return
    likely = max(SPECIES, key=lambda one: known[one])
    hint = f"Are the cells of {likely}?" if known[likely] >= MIN_KNOWN_GENES else "Put gene symbols into var_names."
    raise InputError(
        f"Only {known[species]} of {len(names):,} gene names are known symbols of {species} "
        f"(the first are {', '.join(map(repr, names[:3]))}). {hint}"
    )


def load_markers(species: Species, weighing: Weighing = SETTLED) -> MarkerKnowledge:
    r"""Marker knowledge of a species; that of the mouse is the human one, by way of orthologs.

    The weight of gene g for type t is :math:`\sqrt{w_{gt}} \log(T / T_g)`, scaled to unit length over the genes of t:
    w, the consensus of the sources, of the 65 heaviest genes a type; T types, of which :math:`T_g` know g. Genes that
    curators chose for t gain 0.1.
    """
    human = _load_human(weighing.genes_per_type, weighing.curated, weighing.min_sources)
    return human if species == "human" else _in_mouse(human)


@lru_cache(maxsize=4)
def _load_human(genes_per_type: int, gain: float, min_sources: int) -> MarkerKnowledge:
    ontology = load_ontology()
    consensus, curated, against = _read_edges()
    types = tuple(t for t in consensus if ontology.n_sources(t) >= min_sources and is_answer(t))
    heaviest = [_heaviest(consensus[cl_id], genes_per_type) for cl_id in types]
    n_types = Counter(gene for of_type in heaviest for gene in of_type)
    rows = {gene: row for row, gene in enumerate(sorted({*n_types, *(g for t in types for g in curated[t])}))}
    weights = np.zeros((len(rows), len(types)))
    for column, of_type in enumerate(heaviest):
        values = np.array([sqrt(weight) * log(len(types) / n_types[gene]) for gene, weight in of_type.items()])
        weights[[rows[gene] for gene in of_type], column] = values / np.linalg.norm(values)
    for column, cl_id in enumerate(types):
        weights[[rows[gene] for gene in sorted(curated[cl_id])], column] += gain

    names = former_symbols("human") | {gene: gene for gene in rows}
    return MarkerKnowledge(
        version=f"cellconsensus {versions()['cellconsensus']}, celltypepilot {versions()['celltypepilot']}",
        species="human",
        types=types,
        weights=weights,
        against={cl_id: frozenset(genes) for cl_id, genes in against.items()},
        symbols=tuple(rows),
        genes=tuple(rows),
        row_of={name: rows[symbol] for name, symbol in names.items() if symbol in rows},
    )


def _read_edges() -> tuple[_Edges, Mapping[str, set[str]], Mapping[str, set[str]]]:
    consensus: _Edges = {}
    curated: defaultdict[str, set[str]] = defaultdict(set)
    against: defaultdict[str, set[str]] = defaultdict(set)
    for cl_id, gene, weight, sign, source in read_rows("markers.tsv.gz"):
        if source == "cellconsensus":
            consensus.setdefault(cl_id, {})[gene] = float(weight)
        elif tells_identity(gene):
            (curated if sign == "+" else against)[cl_id].add(gene)
    return consensus, curated, against


def _heaviest(weights: Mapping[str, float], n_genes: int) -> dict[str, float]:
    # The table lists a type's genes heaviest first.
    return dict([(gene, weight) for gene, weight in weights.items() if tells_identity(gene)][:n_genes])


def _pairs(name: str) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in read_rows(name)]


@lru_cache(maxsize=4)
def _in_mouse(human: MarkerKnowledge) -> MarkerKnowledge:
    """The same weights, under the names of mouse genes."""
    partner = dict(_pairs("orthologs.tsv.gz"))
    mice: defaultdict[str, set[str]] = defaultdict(set)
    for mouse, gene in partner.items():
        mice[gene].add(mouse)
    mouse_of = {gene: mouse for mouse, gene in reversed(partner.items())}
    former = {name.capitalize(): symbol for name, symbol in former_symbols("human").items()}
    row = {gene: number for number, gene in enumerate(human.genes)}
    return replace(
        human,
        species="mouse",
        against={cl_id: frozenset(m for gene in genes for m in mice[gene]) for cl_id, genes in human.against.items()},
        symbols=tuple(mouse_of.get(gene, gene) for gene in human.genes),
        row_of={name: row[gene] for name, gene in (former | partner).items() if gene in row},
    )
