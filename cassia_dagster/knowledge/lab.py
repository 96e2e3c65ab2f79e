"""A lab's own marker table: what it says beside the knowledge that ships, read strictly and counted openly."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cassia_dagster.bounded import read_bounded
from cassia_dagster.errors import InputError
from cassia_dagster.knowledge.anatomy import read_tissue
from cassia_dagster.knowledge.genes import knows_symbol, symbols_of
from cassia_dagster.knowledge.markers import MarkerKnowledge, load_markers
from cassia_dagster.knowledge.ontology import load_ontology
from cassia_dagster.knowledge.resolver import resolve_name
from cassia_dagster.records import Species

COLUMNS = ("cell_type", "gene", "sign", "tissue", "source")
"""Columns of a table; only the first two are needed."""

WEIGHT = 0.3
"""What a row adds to the weight of its gene: about as much as the heaviest gene of a shipped type has."""

LARGEST_TABLE = 50_000
LARGEST_FILE = 20_000_000
_SIGNS = {"": "+", "+": "+", "positive": "+", "up": "+", "-": "-", "\N{MINUS SIGN}": "-", "negative": "-", "down": "-"}
_MOST_MESSAGES = 10
_MOST_COMMENTS = 100  # lines above the header that are looked through for it
_LONGEST_HEADER = 10_000


class LabMarker(NamedTuple):
    """A gene that speaks for (+) or against (-) a type, in one tissue or (``""``) in all."""

    cl_id: str
    gene: str
    sign: str
    tissue: str
    source: str


@dataclass(frozen=True)
class LabMarkers:
    """A lab's table. Get it from :func:`read_lab_markers`."""

    rows: tuple[LabMarker, ...]
    species: Species
    warnings: tuple[str, ...] = ()
    """Genes that are no known symbols, with their lines; they count if a dataset has them."""

    @property
    def version(self) -> str:
        """Hash of what the table says; order, spelling of names, sources and comments do not matter."""
        rows = sorted({(row.cl_id, row.gene, row.sign, row.tissue) for row in self.rows})
        content = json.dumps([self.species, rows], ensure_ascii=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]


_tables: dict[str, LabMarkers] = {}


def use_lab_markers(path: Path, species: Species) -> str:
    """Read a table and keep it for this process; return the version that evidence refers to it by.

    Put it into ``ClusterEvidence.lab_markers``: all questions about that evidence then count the table, and whatever
    is made from the evidence carries its version.
    """
    table = read_lab_markers(path, species)
    _tables[table.version] = table
    return table.version


def lab_markers(version: str) -> LabMarkers:
    """Return the table of a version, which must have been read in this process."""
    try:
        return _tables[version]
    except KeyError:
        raise InputError(
            f"The lab's marker table of version {version} was not read. If the file has changed since the clusters "
            "were annotated, annotate them anew; else call use_lab_markers with its path first."
        ) from None


def read_lab_markers(path: Path, species: Species) -> LabMarkers:
    """Read a lab's marker table.

    Parameters
    ----------
    path
        CSV (or, named ``.tsv``, tab-separated; also ``.gz``) with a header. ``cell_type``: a name or a Cell Ontology
        id; ``gene``: a symbol of the species, present or former, or an Ensembl id; ``sign``: + (also where empty) or
        -; ``tissue``: where it holds, everywhere if empty; ``source``: free text. Lines that begin with # are
        comments.
    species
        Whose symbols the genes are.

    Raises
    ------
    InputError
        With the file, the line, the value and the way out, for up to ten lines at once.
    """
    rows: dict[LabMarker, int] = {}
    errors: list[str] = []
    for line, fields in _lines(path):
        try:
            rows.setdefault(_read_row(fields, species), line)
        except InputError as error:
            errors.append(f"line {line}: {error}")
    errors += _two_signs(rows)
    if errors:
        shown = "\n  ".join(errors[:_MOST_MESSAGES])
        more = f"\n  and {len(errors) - _MOST_MESSAGES} more" if len(errors) > _MOST_MESSAGES else ""
        raise InputError(f"{path} cannot be used as a marker table:\n  {shown}{more}")
    if not rows:
        raise InputError(f"{path} has no rows; a marker table has the columns {', '.join(COLUMNS)}.")
    unknown = (
        f"line {line}: {row.gene!r} is no known symbol of {species}"
        for row, line in rows.items()
        if not knows_symbol(row.gene, species)
    )
    return LabMarkers(tuple(rows), species, tuple(unknown))


def is_lab_table(path: Path) -> bool:
    """Tell by its header whether a file is a lab's table: a cell type and a gene, and what only such a table has."""
    if not path.name.lower().removesuffix(".gz").endswith((".csv", ".tsv")):
        return False
    opened = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opened(path, "rt", encoding="utf-8-sig") as file:
            lines = (file.readline(_LONGEST_HEADER) for _ in range(_MOST_COMMENTS))
            header = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError):  # what is wrong with it is told by whoever reads it
        return False
    names = set(_named(header, path))
    return {*COLUMNS[:2]} <= names and bool(names & {"sign", "source"})


def column_names(path: Path) -> dict[str, str]:
    """Say of each column of a lab's table which of ours it is read as; nothing of those that are not read."""
    _, header = _rows_of(path)[0]
    given = _fields(header, _delimiter(path))
    return {name: plain if plain in COLUMNS else "" for name, plain in zip(given, _named(header, path), strict=True)}


def genes_of_lab(path: Path) -> list[str]:
    """Return the gene of each row of a lab's table, as it is written."""
    return [gene for _, fields in _lines(path) if (gene := fields.get("gene", ""))]


def _rows_of(path: Path) -> list[tuple[int, str]]:
    """Lines of the file that are neither empty nor comments, the header first, with their numbers."""
    try:
        text = read_bounded(path, LARGEST_FILE).getvalue().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} cannot be read as UTF-8 text: {error}") from error
    numbered = [(n, one) for n, one in enumerate(text.splitlines(), 1) if one.strip() and not one.startswith("#")]
    if len(numbered) > LARGEST_TABLE:
        raise InputError(f"{path} has {len(numbered):,} lines; a marker table has at most {LARGEST_TABLE:,}.")
    return numbered


def _lines(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    numbered = _rows_of(path)
    header = _named(numbered[0][1], path) if numbered else []
    if missing := [name for name in COLUMNS[:2] if name not in header]:
        raise InputError(
            f"{path} has no column {missing[0]!r}; it has {', '.join(map(repr, header)) or 'none'}. "
            f"A marker table has the columns {', '.join(COLUMNS)}; the last three may be left out."
        )
    for line, one in numbered[1:]:
        yield line, dict(zip_longest(header, _fields(one, _delimiter(path))[: len(header)], fillvalue=""))


def _named(header: str, path: Path) -> list[str]:
    return [name.lower().replace(" ", "_") for name in _fields(header, _delimiter(path))]


def _delimiter(path: Path) -> str:
    return "\t" if path.name.lower().removesuffix(".gz").endswith(".tsv") else ","


def _fields(line: str, delimiter: str) -> list[str]:
    # Each line by itself, so that a quote that is never closed costs one line and not the file.
    return [field.strip() for field in next(csv.reader([line], delimiter=delimiter), [])]


def _read_row(fields: dict[str, str], species: Species) -> LabMarker:
    gene, sign, tissue = fields.get("gene", ""), fields.get("sign", "").lower(), fields.get("tissue", "")
    if not gene or not gene.isprintable() or any(letter in gene for letter in " ,;|"):
        raise InputError(f"gene {gene!r} is no single symbol; give each gene a line of its own")
    if sign not in _SIGNS:
        raise InputError(f"sign {sign!r} is neither + nor -")
    cl_id = _read_type(fields.get("cell_type", ""), tissue, species)
    # As the cells' own genes are called when they are loaded.
    (present,) = symbols_of((gene,), species).symbols
    return LabMarker(cl_id, present, _SIGNS[sign], tissue, fields.get("source", ""))


def _read_type(name: str, tissue: str, species: Species) -> str:
    ontology = load_ontology()
    resolution = resolve_name(name, tissue, species)
    cl_id = name if name in ontology else resolution.cl_id
    if cl_id is None:
        similar = " or ".join(f"{one.label} ({one.cl_id})" for one in resolution.candidates[:3])
        hint = f"did you mean {similar}?" if similar else "write a Cell Ontology label or id, such as CL:0000236"
        raise InputError(f"cell type {name[:100]!r} is {resolution.certainty}; {hint}")
    if ontology.is_root_level(cl_id):
        raise InputError(f"cell type {name[:100]!r} ({ontology.label(cl_id)}) is too broad to be told by markers")
    return cl_id


def _two_signs(rows: dict[LabMarker, int]) -> list[str]:
    first: dict[tuple[str, str, str], tuple[str, int]] = {}
    errors = []
    for row, line in rows.items():
        sign, earlier = first.setdefault((row.cl_id, row.gene, row.tissue.lower()), (row.sign, line))
        if sign != row.sign:
            errors.append(f"line {line}: {row.gene} speaks against a type that it speaks for in line {earlier}")
    return errors


@cache
def markers_with_lab(species: Species, version: str, tissue: str) -> MarkerKnowledge:
    """The shipped knowledge of a species with the rows of a lab's table that hold in a tissue.

    A row for a type adds 0.3 to its gene's weight for that type, whether the type was known before or not. A row
    against it makes its gene speak no longer for the type, and contradict it.
    """
    table, shipped = lab_markers(version), load_markers(species)
    if table.species != species:
        raise InputError(
            f"The marker table {version} holds symbols of {table.species}, but the cells are of {species}."
        )
    rows = [row for row in table.rows if _holds(row.tissue, tissue)]
    types = tuple(dict.fromkeys((*shipped.types, *(row.cl_id for row in rows if row.sign == "+"))))
    column = {cl_id: i for i, cl_id in enumerate(types)}
    number = {row.gene: shipped.row(row.gene) for row in rows}
    new = [gene for gene, found in number.items() if found is None]
    row_of = {gene: found for gene, found in number.items() if found is not None}
    row_of |= {gene: len(shipped.genes) + i for i, gene in enumerate(new)}
    weights = np.zeros((len(shipped.genes) + len(new), len(types)))
    weights[: len(shipped.genes), : len(shipped.types)] = shipped.weights
    against: defaultdict[str, frozenset[str]] = defaultdict(frozenset, shipped.against)
    for cl_id, gene, sign in dict.fromkeys((row.cl_id, row.gene, row.sign) for row in rows):
        if sign == "+":
            weights[row_of[gene], column[cl_id]] += WEIGHT
            against[cl_id] -= {gene}
        else:
            against[cl_id] |= {gene}
            if cl_id in column:
                weights[row_of[gene], column[cl_id]] = 0
    return replace(
        shipped,
        version=f"{shipped.version}, lab {version}",
        types=types,
        weights=weights,
        against=dict(against),
        genes=(*shipped.genes, *new),
        symbols=(*shipped.symbols, *new),
        from_lab=frozenset(row.cl_id for row in rows if row.sign == "+"),
        row_of={**shipped.row_of, **row_of},
    )


def _holds(where: str, tissue: str) -> bool:
    """Whether a row for a tissue speaks of a sample's; where no organ is known, the words must be the same."""
    if not where or not tissue:
        return True
    return bool(read_tissue(where).organs & read_tissue(tissue).organs) or where.lower() == tissue.lower()
