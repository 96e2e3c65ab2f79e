"""Reads the cases of a benchmark: clusters as lists of genes, with the label that is taken to be right."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from cassia_dagster.bounded import read_bounded
from cassia_dagster.errors import InputError
from cassia_dagster.evaluation.reading import read_gold_labels
from cassia_dagster.knowledge.ontology import load_ontology
from cassia_dagster.records import SPECIES, ClusterEvidence, Marker, Record, Species

SHIPPED = "shipped"
"""Stands for the cases that come with the package: clusters of human pancreatic islets."""

LARGEST_FILE = 50_000_000
"""Bytes; a hundred thousand cases of fifty genes have fewer."""

REQUIRED = ("species", "tissue", "gold_label", "markers")


class Case(Record):
    """One cluster whose label is known."""

    case: str
    """Its number in the file, from 1, or what the column ``case`` says; never shows the gold label to a model."""
    gold_label: str
    gold_id: str | None
    """``None`` where the gold label is no term of the Cell Ontology: the case is answered, not compared."""
    evidence: ClusterEvidence
    given: dict[str, str] = Field(default_factory=dict)
    """The other columns: answers of other methods, by the name of the column."""

    @property
    def species(self) -> Species:
        """The species of the cells."""
        return self.evidence.species

    @property
    def tissue(self) -> str:
        """Where the cells are from."""
        return self.evidence.tissue


type Cases = Annotated[tuple[Case, ...], Field(min_length=1)]


def read_cases(path: Path) -> Cases:
    """Read cases from a CSV file.

    Parameters
    ----------
    path
        Also gzipped, as ``.csv.gz``. Columns ``species, tissue, gold_label, markers`` (genes with commas between
        them, best first), and if there are any ``gold_cl_id`` (empty: no term), ``case``, and answers of others.
        Without ``gold_cl_id``, gold labels are read as terms by their names.

    Raises
    ------
    InputError
        With the file, the line and the column.
    """
    import pandas as pd

    if not path.is_file():
        raise InputError(f"There is no file {path}. Give a CSV file with the columns {', '.join(REQUIRED)}.")
    try:
        table = pd.read_csv(read_bounded(path, LARGEST_FILE), dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as CSV: {str(error).splitlines()[0]}.") from error
    if missing := [column for column in REQUIRED if column not in table]:
        raise InputError(
            f"{path} lacks the column {missing[0]}; it has {', '.join(map(str, table.columns))}. "
            f"Cases need {', '.join(REQUIRED)}."
        )
    if table.empty:
        raise InputError(f"{path} has no cases.")
    cases = tuple(_case(row, path, line) for line, row in enumerate(table.to_dict("records"), start=2))
    ids = [case.case for case in cases]
    if doubled := next((one for position, one in enumerate(ids) if one in ids[:position]), None):
        raise InputError(f"{path} has two cases {doubled!r}; the column case must tell them apart.")
    return cases


def read_named_cases(name: str) -> Cases:
    """Read the cases that come with the package, or those of the file that is named.

    Raises
    ------
    InputError
        As `read_cases` does.
    """
    if name != SHIPPED:
        return read_cases(Path(name))
    with as_file(files("cassia_dagster") / "data" / "islets_cases.csv") as path:
        return read_cases(path)


def _case(row: Mapping[Any, str], path: Path, line: int) -> Case:
    from cassia_dagster.singlecell.marker_columns import split_genes

    def refuse(column: str, why: str) -> InputError:
        return InputError(f"{path}, line {line}, column {column}: {row[column]!r} {why}.")

    species = next((one for one in SPECIES if one == row["species"].strip().lower()), None)
    if species is None:
        raise refuse("species", f"is none of {', '.join(SPECIES)}")
    if not row["gold_label"].strip():
        raise refuse("gold_label", "is empty; a case without a right answer cannot be scored")
    genes = split_genes(row["markers"])
    if not all(gene.isprintable() for gene in genes):
        raise refuse("markers", "holds control characters")
    case = row.get("case", "").strip() or str(line - 1)
    return Case(
        case=case,
        gold_label=row["gold_label"].strip(),
        gold_id=_gold_id(row, species, path, line),
        evidence=ClusterEvidence(
            cluster=case,
            n_cells=None,
            share=None,
            markers=tuple(Marker(gene=gene) for gene in genes),
            species=species,
            tissue=row["tissue"].strip(),
        ),
        given={column: text for column, text in row.items() if column not in (*REQUIRED, "case", "gold_cl_id")},
    )


def _gold_id(row: Mapping[Any, str], species: Species, path: Path, line: int) -> str | None:
    if "gold_cl_id" not in row:
        label = row["gold_label"].strip()
        return read_gold_labels([label], row["tissue"], species)[label]
    cl_id = row["gold_cl_id"].strip()
    if cl_id and cl_id not in load_ontology():
        raise InputError(
            f"{path}, line {line}, column gold_cl_id: {cl_id!r} is no term in use of the Cell Ontology "
            f"{load_ontology().version}; ids look like CL:0000236. Leave it empty if there is none."
        )
    return cl_id or None
