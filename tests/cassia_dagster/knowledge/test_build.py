from __future__ import annotations

import gzip
import pickle
from importlib.util import find_spec
from pathlib import Path

import pytest

from cassia_dagster.errors import InputError
from cassia_dagster.knowledge import build

PACKAGES = (
    "cap_upload_validator",
    "cellconsensus",
    "celltypepilot",
    "celltypist",
    "cellxgene_ontology_guide",
    "zstandard",
)


class _Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("this must not run",))


def test_a_pickle_that_asks_for_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cache.pkl"
    path.write_bytes(pickle.dumps({"consensus": _Harmful()}))
    with pytest.raises(InputError, match="print"):
        build.read_consensus(path, frozenset())
    assert capsys.readouterr().out == ""


def test_heaviest_genes_of_known_types_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "cache.pkl"
    genes = {f"G{i:03}": float(i) for i in range(200)}
    path.write_bytes(pickle.dumps({"consensus": {"CL:1": genes, "CL:2": genes}, "n_sources": {"CL:1": 3, "CL:2": 4}}))
    n_sources, edges = build.read_consensus(path, frozenset({"CL:1"}))
    kept = list(edges)
    assert n_sources == {"CL:1": 3}
    assert len(kept) == build.GENES_PER_TYPE
    assert kept[0] == ("CL:1", "G199", 199.0, "+", "cellconsensus")


def test_orthologs_prefer_the_same_name_and_take_what_the_table_leaves_out(tmp_path: Path) -> None:
    path = tmp_path / "orthologs.csv"
    path.write_text("human,mouse\nINS,Ins1\nINS,Ins2\nKRT5,Krt5\nKRT5,Gm5478\nKRT6A,Krt5\nLONELY,\n")
    mice = build.read_orthologs(path, frozenset({"INS", "KRT5", "KRT6A", "CD68"}))
    assert mice["Ins1"] == mice["Ins2"] == "INS"
    assert mice["Krt5"] == "KRT5"
    assert mice["Cd68"] == "CD68"


def test_a_missing_package_says_how_to_install_it() -> None:
    with pytest.raises(InputError, match="uv run --group knowledge"):
        build.package_folder("no_such_package")


@pytest.mark.long
@pytest.mark.skipif(
    any(find_spec(package) is None for package in PACKAGES), reason="needs the dependency group `knowledge`"
)
def test_building_again_gives_the_same_bytes_and_what_is_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = build.DATA
    made = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        monkeypatch.setattr(build, "DATA", folder)
        build.main()
        made.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert made[0] == made[1]
    assert {name: _text(name, content) for name, content in made[0].items()} == {
        name: _text(name, (shipped / name).read_bytes()) for name in made[0]
    }


def _text(name: str, content: bytes) -> bytes:
    # Another zlib may compress to other bytes.
    return gzip.decompress(content) if name.endswith(".gz") else content
