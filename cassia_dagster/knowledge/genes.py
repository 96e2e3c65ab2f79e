"""Gene names of any vintage to present symbols: Ensembl ids, with or without a version, and former symbols."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from cassia_dagster.errors import InputError
from cassia_dagster.knowledge.tables import read_rows
from cassia_dagster.records import SPECIES, Species

_PREFIXES: dict[Species, str] = {"human": "ENSG", "mouse": "ENSMUSG"}
# GENCODE's annotation names the copies of genes on the Y chromosome's PAR so.
_ENSEMBL_ID = re.compile(r"(ENS(?:MUS)?G)0*(\d+)(?:\.\d+)?(?:_PAR_Y)?")
_FOREIGN = -1
"""Stands for the number of an id of another species."""


@dataclass(frozen=True)
class GeneSymbols:
    """What a dataset's gene names are in present symbols."""

    symbols: tuple[str, ...]
    """One for each name, in their order; no mapping makes two of them alike."""
    from_ids: tuple[str, ...]
    """Names that were Ensembl ids and have a symbol now, each written ``id → symbol``."""
    from_former: tuple[str, ...]
    """The same of names that were former symbols."""
    unknown_ids: tuple[str, ...]
    """Ensembl ids without a symbol in the table, which are kept as they are."""
    second_ids: tuple[str, ...]
    """Ensembl ids that are kept because another gene of the dataset has their symbol."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What became of the names, for the user; nothing where all are as they were."""
        became = (("Ensembl ids", self.from_ids), ("former symbols", self.from_former))
        n_ids = len(self.from_ids) + len(self.unknown_ids) + len(self.second_ids)
        kept = (
            ("have no symbol in the table", self.unknown_ids),
            ("share their symbol with another gene", self.second_ids),
        )
        return (
            *(f"{len(some):,} {what} became present symbols (such as {some[0]})." for what, some in became if some),
            *(
                f"{len(some):,} of {n_ids:,} Ensembl ids ({len(some) / n_ids:.1%}) {why} and are kept as they are "
                f"(such as {some[0]})."
                for why, some in kept
                if some
            ),
        )


def present_symbols(names: Sequence[str], species: Species, where: str) -> GeneSymbols:
    """Do as `symbols_of` does, for names that a user gave.

    Raises
    ------
    InputError
        If the names are mostly Ensembl ids of the other species.
    """
    ids = [name for name in names if _ENSEMBL_ID.fullmatch(name)]
    foreign = [name for name in ids if _number(name, species) == _FOREIGN]
    if len(ids) > len(names) / 2 and len(foreign) > len(ids) / 2:
        other = next(one for one in SPECIES if one != species)
        raise InputError(
            f"{where} names its genes by Ensembl ids of {other} (such as {foreign[0]}), but the species is {species}. "
            f"Are the cells of {other}?"
        )
    return symbols_of(names, species)


def species_of_ids(names: Iterable[str]) -> Species | None:
    """Return the species that most of the names are Ensembl ids of, if most are."""
    given = list(names)
    counts = {one: sum(name.startswith(f"{prefix}0") for name in given) for one, prefix in _PREFIXES.items()}
    likely = max(SPECIES, key=lambda one: counts[one])
    return likely if counts[likely] > len(given) / 2 else None


def symbols_of(names: Iterable[object], species: Species) -> GeneSymbols:
    """Give each gene its present symbol.

    Of several ids with one symbol, the longest gene of the present release gets it and the others keep their id: they
    are copies on other haplotypes, read-through genes or retired ids, whose counts do not belong to it. A former
    symbol is replaced unless the dataset has the present one too.

    Parameters
    ----------
    names
        The names of the genes, ids and symbols in any mixture; ``ENSG00000000003.15`` is read without its version.
    species
        Ids of another species are unknown.

    Examples
    --------
    >>> symbols_of(["ENSG00000167286.9", "SDPR", "INS", "ENSG99999999999"], "human").symbols
    ('CD3D', 'CAVIN2', 'INS', 'ENSG99999999999')
    """
    given = tuple(map(str, names))
    ids, former = _symbol_of_id(species), _present_symbols(species)
    numbers = tuple(_number(name, species) for name in given)
    taken = {name for name, number in zip(given, numbers, strict=True) if number is None}
    best = _best_ids(ids, (number for number in numbers if number is not None), taken)
    # An id says for certain which gene is meant; a former symbol gives way to it.
    taken |= best.keys()
    became: defaultdict[str, list[str]] = defaultdict(list)
    symbols = []
    for name, number in zip(given, numbers, strict=True):
        symbol, kind = _name_id(number, ids, best) if number is not None else _name_former(name, former, taken)
        became[kind].append(name if symbol is None else f"{name} → {symbol}")
        taken.add(symbol or name)
        symbols.append(symbol or name)
    return GeneSymbols(tuple(symbols), *(tuple(became[kind]) for kind in ("id", "former", "unknown", "second")))


def knows_symbol(name: str, species: Species) -> bool:
    """Whether a name is a symbol of a gene of the species, present or former."""
    return name in _present(species) or name in _present_symbols(species)


def _number(name: str, species: Species) -> int | None:
    found = _ENSEMBL_ID.fullmatch(name)
    if found is None:
        return None
    return int(found[2]) if found[1] == _PREFIXES[species] else _FOREIGN


def _best_ids(ids: Mapping[int, tuple[int, str]], numbers: Iterable[int], taken: set[str]) -> dict[str, int]:
    """Symbol → the id that gets it."""
    best: dict[str, int] = {}
    for _, symbol, number in sorted((*ids[number], number) for number in set(numbers) if number in ids):
        if symbol not in taken:
            best.setdefault(symbol, number)
    return best


def _name_id(number: int, ids: Mapping[int, tuple[int, str]], best: dict[str, int]) -> tuple[str | None, str]:
    if number not in ids:
        return None, "unknown"
    symbol = ids[number][1]
    if best.get(symbol) != number:
        return None, "second"
    # An id that comes twice is named once: the second is the user's to explain.
    del best[symbol]
    return symbol, "id"


def _name_former(name: str, former: Mapping[str, str], taken: set[str]) -> tuple[str | None, str]:
    symbol = former.get(name)
    return (symbol, "former") if symbol is not None and symbol not in taken else (None, "kept")


@cache
def _symbol_of_id(species: Species) -> dict[int, tuple[int, str]]:
    """Number of the id → its place in the table, best first, and symbol."""
    rows = read_rows(f"genes_{species}.tsv.gz")
    return {int(number): (place, symbol) for place, (number, symbol) in enumerate(rows)}


@cache
def _present(species: Species) -> frozenset[str]:
    return frozenset(symbol for _, symbol in _symbol_of_id(species).values())


@cache
def _present_symbols(species: Species) -> dict[str, str]:
    """Former symbol → present symbol, for names that no present gene has."""
    present = _present(species)
    pairs = former_symbols(species).items()
    return {former: symbol for former, symbol in pairs if former not in present and symbol in present}


@cache
def former_symbols(species: Species) -> dict[str, str]:
    """Former symbols and aliases, and what they are called now.

    Those of the mouse are the human ones in mouse spelling, since the two nomenclatures are kept in step.
    """
    pairs = ((former, symbol) for former, symbol in read_rows("former_symbols.tsv.gz"))
    return dict(pairs) if species == "human" else {old.capitalize(): new.capitalize() for old, new in pairs}
