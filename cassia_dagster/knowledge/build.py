"""Makes the knowledge tables in ``data/`` from the packages of the dependency group ``knowledge``.

Run it as ``uv run --group knowledge python -m cassia_dagster.knowledge.build``; twice gives the same bytes.
"""

from __future__ import annotations

import csv
import gzip
import json
import pickle
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from cassia_dagster.errors import InputError
from cassia_dagster.knowledge.anatomy import organs_named
from cassia_dagster.knowledge.spelling import normalise
from cassia_dagster.knowledge.tables import read_rows, read_toml

DATA = Path(__file__).parent / "data"
GENES_PER_TYPE = 80
"""Genes kept of each type, by weight: the long tail of single mentions is noise, and the file stays small."""
SOURCES = ("cap-upload-validator", "cellconsensus", "celltypepilot", "celltypist", "cellxgene-ontology-guide")


class Term(NamedTuple):
    """A Cell Ontology term as it is kept."""

    cl_id: str
    label: str
    parents: tuple[str, ...]
    synonyms: tuple[str, ...]
    organs: tuple[str, ...]


class Edge(NamedTuple):
    """A gene that speaks for (+) or against (-) a type."""

    cl_id: str
    gene: str
    weight: float
    sign: str
    source: str


class _DataOnlyUnpickler(pickle.Unpickler):
    """Reads dicts, strings and numbers, and refuses whatever could run code."""

    def find_class(self, module: str, name: str) -> Any:
        raise InputError(f"The marker pickle asks for {module}.{name}; only plain data is read. Do not use this file.")


def package_folder(package: str) -> Path:
    """Where an installed package keeps its files; it is not imported."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise InputError(f"Package {package!r} is not installed; run this with `uv run --group knowledge`.")
    return Path(spec.origin).parent


def read_ontology(path: Path) -> tuple[Term, ...]:
    """Terms of the Cell Ontology that are in use, in order of their ids.

    Synonyms that hold for one species or taxon only are left out: "alpha cell" would be a neuron of the mouse retina.
    """
    raw = _read_terms(path)
    in_use = {cl_id: term for cl_id, term in raw.items() if cl_id.startswith("CL:") and not term["deprecated"]}
    uncommon = re.compile("|".join(read_toml("judgement.toml")["answers"]["uncommon"]))
    terms = []
    for cl_id, term in sorted(in_use.items()):
        parents = sorted(a for a, hops in term["ancestors"].items() if hops == 1 and a in in_use)
        common = () if uncommon.search(term["label"]) else term.get("synonyms", ())
        synonyms = sorted({_one_line(s) for s in common if not uncommon.search(s)})
        family = (term["label"], *(raw[a]["label"] for a in term["ancestors"] if a in raw))
        organs = sorted(frozenset[str]().union(*map(organs_named, family)) - {"blood"})
        terms.append(Term(cl_id, _one_line(term["label"]), tuple(parents), tuple(synonyms), tuple(organs)))
    return tuple(terms)


def _read_terms(path: Path) -> dict[str, dict[str, Any]]:
    zstandard = import_module("zstandard")  # comes with the ontology guide, so it is not among our own packages
    with path.open("rb") as compressed:
        terms: dict[str, dict[str, Any]] = json.load(zstandard.ZstdDecompressor().stream_reader(compressed))
    return terms


def _one_line(text: str) -> str:
    return " ".join(text.replace("|", "/").split())


def read_places(path: Path, organ_of: Mapping[str, str]) -> Iterator[tuple[str, str, str, str]]:
    """Terms of Uberon in use that are an organ, a kind of it or a part of it: id, label, organs and names.

    Names are spelled as they are looked up, the label's first.
    """
    for uberon_id, term in sorted(_read_terms(path).items()):
        organs = sorted({organ_of[one] for one in (uberon_id, *term["ancestors"]) if one in organ_of})
        if organs and uberon_id.startswith("UBERON:") and not term["deprecated"]:
            names = dict.fromkeys(map(normalise, (term["label"], *sorted(term.get("synonyms", ())))))
            yield uberon_id, _one_line(term["label"]), "|".join(organs), "|".join(name for name in names if name)


def read_consensus(path: Path, known: frozenset[str]) -> tuple[dict[str, int], Iterator[Edge]]:
    """Number of sources of each type, and its heaviest genes, from cellconsensus."""
    with path.open("rb") as stream:
        cache = _DataOnlyUnpickler(stream).load()
    weights: Mapping[str, Mapping[str, float]] = cache["consensus"]
    n_sources = {cl_id: int(n) for cl_id, n in sorted(cache["n_sources"].items()) if cl_id in known}

    def edges() -> Iterator[Edge]:
        for cl_id in n_sources:
            heaviest = sorted(weights[cl_id].items(), key=lambda item: (-item[1], item[0]))[:GENES_PER_TYPE]
            yield from (Edge(cl_id, gene, round(weight, 1), "+", "cellconsensus") for gene, weight in heaviest)

    return n_sources, edges()


def read_curated(path: Path, known: frozenset[str], genes: frozenset[str]) -> Iterator[Edge]:
    """The few genes for and against each of the common types, from celltypepilot; weights are all 1."""
    tissues = json.loads(path.read_text(encoding="utf-8"))["tissues"]
    stack = [item for tissue in tissues.values() for item in tissue["cell_types"].values()]
    while stack:
        entry = stack.pop()
        stack.extend(entry.get("subtypes", {}).values())
        if entry["cl_id"] not in known:
            continue
        positive, negative = set(entry["positive_markers"]), set(entry["negative_markers"])
        # A gene listed on both sides is a slip of its curators (CD27 of the naive B cell).
        for sign, chosen in (("+", positive - negative), ("-", negative - positive)):
            yield from (Edge(entry["cl_id"], gene, 1.0, sign, "celltypepilot") for gene in chosen & genes)


def read_orthologs(path: Path, genes: frozenset[str]) -> dict[str, str]:
    """Mouse to human symbol, for the genes of the marker table.

    One-to-one orthologs first. Where the mouse has several genes for a human one, all stand for it (Ins1 and Ins2 for
    INS); where it has one for several, that with the same name, else the first (Adh1 for ADH1A). Genes that the table
    of orthologs leaves out are taken by their name (Cd68 for CD68). What has no telling name, or a
    misleading partner, is in ``mouse_genes.csv``.
    """
    with path.open(encoding="utf-8", newline="") as stream:
        pairs = sorted({(row[1], row[0]) for row in csv.reader(stream) if len(row) > 1 and row[0] and row[1]})
    found = {mouse: human for mouse, human in read_rows("mouse_genes.csv") if human in genes or not human}
    by_mouse: dict[str, list[str]] = {}
    for mouse, human in pairs:
        if human in genes:
            by_mouse.setdefault(mouse, []).append(human)
    for mouse, humans in by_mouse.items():
        found.setdefault(mouse, mouse.upper() if mouse.upper() in humans else humans[0])
    for human in genes:
        found.setdefault(human.capitalize(), human)
    return {mouse: human for mouse, human in sorted(found.items()) if human}


def read_genes(path: Path) -> list[tuple[str, str, int]]:
    """Ensembl id, symbol and length of the named genes of one species; a retired id has length -1."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = [(row["ENSEMBL_gene"], row["HGNC_symbol"], int(row["b"])) for row in csv.DictReader(stream)]
    return [
        row for row in rows if re.fullmatch(r"ENS(MUS)?G\d{11}", row[0]) and not row[1].startswith("ENS") and row[1]
    ]


def number_genes(genes: Iterable[tuple[str, str, int]]) -> list[tuple[int, str]]:
    """Number of the id, and symbol: first the longest gene of each symbol, then the others."""
    ranked = sorted(
        ((int(cl_id[-11:]), symbol, length) for cl_id, symbol, length in genes), key=lambda g: (-g[2], g[0])
    )
    first = {symbol: number for number, symbol, _ in reversed(ranked)}
    return sorted(((n, symbol) for n, symbol, _ in ranked), key=lambda row: (first[row[1]] != row[0], row[0]))


def read_former(path: Path, genes: frozenset[str], ids: dict[str, str], earlier: Path) -> dict[str, str]:
    """Former symbol or alias to present symbol, of human genes.

    From a table of aliases, for what the table of genes or the marker table has; and from an earlier release, where
    the same id had another symbol.
    """
    aliases: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    present = genes.union(ids.values())
    with earlier.open(encoding="utf-8", newline="") as stream:
        renamed = {row[1]: ids[row[0]] for row in csv.reader(stream) if row[0] in ids and not row[1].startswith("ENS")}
    pairs = sorted((aliases | renamed).items())
    return {old: new for old, new in pairs if new in present and old not in present and old.isprintable()}


def write_table(name: str, header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Tab-separated; compressed without a time stamp when the name ends in ``.gz``."""
    text = "".join("\t".join(map(str, row)) + "\n" for row in (header, *rows)).encode()
    (DATA / name).write_bytes(gzip.compress(text, mtime=0) if name.endswith(".gz") else text)


def write_genes(aliases: Path, earlier: Path, marker_genes: frozenset[str]) -> None:
    """Write the tables of gene names."""
    folder = package_folder("cap_upload_validator") / "gene_mapping" / "data"
    genes = {"human": read_genes(folder / "homo_sapiens.csv"), "mouse": read_genes(folder / "mus_musculus.csv")}
    for species, of_species in genes.items():
        write_table(f"genes_{species}.tsv.gz", ("ensembl_number", "symbol"), number_genes(of_species))
    ids = {ensembl: symbol for ensembl, symbol, _ in genes["human"]}
    former = read_former(aliases, marker_genes, ids, earlier)
    write_table("former_symbols.tsv.gz", ("former", "symbol"), former.items())


def main() -> None:
    """Write all tables."""
    consensus = package_folder("cellconsensus") / "data"
    guide = package_folder("cellxgene_ontology_guide") / "data"
    atlas = package_folder("celltypepilot") / "data" / "marker_atlas.json"
    ontology_file = max(guide.glob("CL-ontology-v*.json.zst"))
    anatomy_file = max(guide.glob("UBERON-ontology-v*.json.zst"))
    samples = package_folder("celltypist") / "data" / "samples"

    terms = read_ontology(ontology_file)
    known = frozenset(term.cl_id for term in terms)
    n_sources, consensus_edges = read_consensus(consensus / "consensus_cache_full.pkl", known)
    edges = list(consensus_edges)
    genes = frozenset(edge.gene for edge in edges)
    curated = sorted(set(read_curated(atlas, known, genes)))

    header = ("cl_id", "label", "parents", "synonyms", "organs", "n_sources")
    rows = ((*t[:2], *("|".join(field) for field in t[2:]), n_sources.get(t.cl_id, 0)) for t in terms)
    write_table("cell_ontology.tsv", header, rows)
    write_table("markers.tsv.gz", Edge._fields, (*edges, *curated))
    write_table(
        "orthologs.tsv.gz",
        ("mouse", "human"),
        read_orthologs(samples / "Ensembl105_Human2Mouse_Genes.csv", genes).items(),
    )
    organ_of = {uberon_id: organ for organ, uberon_id, *_ in read_rows("uberon.csv")}
    write_table("places.tsv.gz", ("uberon_id", "label", "organs", "names"), read_places(anatomy_file, organ_of))
    write_genes(consensus / "gene_alias.json", samples / "GENCODEv44_Gene_id2name.csv", genes)
    found = {name: version(name) for name in SOURCES}
    found["cell-ontology"] = ontology_file.name.removeprefix("CL-ontology-v").removesuffix(".json.zst")
    found["uberon"] = anatomy_file.name.removeprefix("UBERON-ontology-v").removesuffix(".json.zst")
    (DATA / "versions.json").write_text(json.dumps(found, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
