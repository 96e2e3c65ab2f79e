"""Finds out what a table of markers holds: of clusters or of a lab's cell types, and what is known of its genes."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cassia_dagster.errors import InputError
from cassia_dagster.knowledge.genes import knows_symbol, present_symbols, species_of_ids
from cassia_dagster.knowledge.lab import column_names, genes_of_lab, is_lab_table, read_lab_markers
from cassia_dagster.knowledge.markers import known_genes
from cassia_dagster.knowledge.ontology import load_ontology
from cassia_dagster.marker_tables import load_markers_of
from cassia_dagster.records import SPECIES, Record, Species, natural_order
from cassia_dagster.singlecell.marker_columns import meanings
from cassia_dagster.singlecell.marker_evidence import MAX_P_VAL_ADJ
from cassia_dagster.singlecell.marker_files import columns_of, has_marker_columns, read_marker_table

type Kind = Literal["marker genes of clusters", "a lab's own markers of cell types"]
OF_CLUSTERS: Kind = "marker genes of clusters"
OF_A_LAB: Kind = "a lab's own markers of cell types"


class Group(Record):
    """The rows of a table about one cluster, or one cell type."""

    name: str
    says: str
    """How many genes it has, and of what sort."""


class TableInspection(Record):
    """What a table of markers holds."""

    path: Path
    kind: Kind
    n_rows: int
    columns: Mapping[str, str]
    """As the file names them, and what each is taken for; empty where it is not read."""
    groups: tuple[Group, ...]
    genes: tuple[str, ...]
    """Each once, as the file has it."""
    known_genes: dict[Species, int]
    """How many of the genes, in present symbols, marker knowledge has."""
    unknown: tuple[str, ...]
    """Genes that are no symbols of the species and none of its Ensembl ids."""
    species: Species | None
    notes: tuple[str, ...] = ()
    obstacle: str | None = None
    """Why the table would be refused; nothing if it would not."""

    @property
    def grouped_by(self) -> str:
        """What its rows are about."""
        return "clusters" if self.kind == OF_CLUSTERS else "cell types"

    @property
    def used_by(self) -> str:
        """The command that reads such a table."""
        return "annotate" if self.kind == OF_CLUSTERS else "run"

    @property
    def command(self) -> str:
        """The command that uses the table; of the tissue only the user knows."""
        species = ["--species", self.species or "human"]
        if self.kind == OF_CLUSTERS:
            return f"{shlex.join(['cassia-dagster', 'annotate', str(self.path), *species])} --tissue TISSUE"
        return f"cassia-dagster run CELLS.h5ad {shlex.join([*species, '--markers', str(self.path)])} --tissue TISSUE"


def is_table_of_markers(path: Path) -> bool:
    """Tell by its first line whether a file is a table of markers, and none of cells."""
    return path.is_file() and (is_lab_table(path) or has_marker_columns(path))


def inspect_table(path: Path) -> TableInspection:
    """Look at a table of markers without naming anything by it.

    Parameters
    ----------
    path
        One that `is_table_of_markers`.

    Raises
    ------
    InputError
        If it cannot be read at all; what would be refused in a table that can is part of the result.
    """
    return _of_lab(path) if is_lab_table(path) else _of_clusters(path)


def _of_clusters(path: Path) -> TableInspection:
    table = read_marker_table(path)
    of_cluster = {str(cluster): part for cluster, part in table.groupby("cluster", sort=False)}
    groups = []
    for cluster in natural_order(of_cluster):
        part = of_cluster[cluster]
        left_out = (part["avg_log2FC"] <= 0) | (part["score"] <= 0) | (part["p_val_adj"] > MAX_P_VAL_ADJ)
        down = f", {left_out.sum():,} of them down or not significant" if left_out.any() else ""
        groups.append(Group(name=cluster, says=f"{_genes(len(part))}{down}, the first {', '.join(part['gene'][:3])}"))

    def load(species: Species) -> _Loaded:
        try:
            return _Loaded(groups, load_markers_of(path, species).notes)
        except InputError as error:
            return _Loaded(groups, obstacle=str(error))

    return _inspected(path, OF_CLUSTERS, list(table["gene"]), meanings(columns_of(path)), load)


def _of_lab(path: Path) -> TableInspection:
    def load(species: Species) -> _Loaded:
        try:
            table = read_lab_markers(path, species)
        except InputError as error:
            return _Loaded(obstacle=str(error))
        counts = Counter((row.cl_id, row.sign) for row in table.rows)
        groups = []
        for cl_id in dict.fromkeys(row.cl_id for row in table.rows):
            against = f", {counts[cl_id, '-']} against it" if counts[cl_id, "-"] else ""
            says = f"{cl_id}, {_genes(counts[cl_id, '+'])} for it{against}"
            groups.append(Group(name=load_ontology().label(cl_id), says=says))
        return _Loaded(groups, table.warnings)

    return _inspected(path, OF_A_LAB, genes_of_lab(path), column_names(path), load)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What the method makes of a table, or why it takes none."""

    groups: Sequence[Group] = ()
    notes: tuple[str, ...] = ()
    obstacle: str | None = None


def _inspected(
    path: Path, kind: Kind, rows: Sequence[str], columns: Mapping[str, str], load: Callable[[Species], _Loaded]
) -> TableInspection:
    """Say what is in a table whose rows have these genes, and what the method makes of it for the likely species."""
    genes = tuple(dict.fromkeys(rows))
    species, known = _species_of(genes)
    loaded = load(species or "human")
    return TableInspection(
        path=path,
        kind=kind,
        n_rows=len(rows),
        columns=columns,
        groups=tuple(loaded.groups),
        genes=genes,
        known_genes=known,
        unknown=_unknown(genes, species),
        species=species,
        notes=loaded.notes,
        obstacle=loaded.obstacle,
    )


def _genes(number: int) -> str:
    return f"{number:,} gene{'' if number == 1 else 's'}"


def _species_of(genes: Sequence[str]) -> tuple[Species | None, dict[Species, int]]:
    """Guess whose genes they are: those of their Ensembl ids, else of whom most are known; and count the known."""
    of_ids = species_of_ids(genes)
    if of_ids is not None:
        return of_ids, known_genes(present_symbols(genes, of_ids, "the table").symbols)
    known = known_genes(genes)
    likely = max(SPECIES, key=lambda one: known[one])
    return (likely if known[likely] else None), known


def _unknown(genes: Sequence[str], species: Species | None) -> tuple[str, ...]:
    whose = species or "human"
    present = present_symbols(genes, whose, "the table").symbols
    return tuple(gene for gene, symbol in zip(genes, present, strict=True) if not knows_symbol(symbol, whose))
