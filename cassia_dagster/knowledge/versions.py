"""Which knowledge an answer came from: the versions of its sources, and one name for all of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from cassia_dagster.knowledge.tables import versions


def source_versions(lab_markers: str = "") -> dict[str, str]:
    """Return the version of each source that the tables were made from, and of a lab's own table if one counts."""
    return {**versions(), **({"lab-markers": lab_markers} if lab_markers else {})}


@cache
def knowledge_version() -> str:
    """Return a hash of the tables and of the code that reads them: another hash may mean other answers."""
    folder = Path(__file__).parent
    return _hash(path for path in folder.rglob("*") if path.suffix in {".py", ".csv", ".tsv", ".gz", ".toml"})


@cache
def gene_names_version() -> str:
    """Return a hash of what gives genes their present symbols: another hash may mean other names."""
    folder = Path(__file__).parent
    return _hash([folder / "genes.py", *folder.glob("data/genes_*"), folder / "data" / "former_symbols.tsv.gz"])


def _hash(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]
