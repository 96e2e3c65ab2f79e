"""Naming the clusters of a table several times, by CASSIA's names, and how far the names agree on the Cell Ontology."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cassia_dagster.compat.models import chosen_model, note_unused
from cassia_dagster.compat.pipeline import N_GENES, place_of
from cassia_dagster.errors import ConfigurationError, InputError
from cassia_dagster.singlecell.resolutions import GIVEN

if TYPE_CHECKING:
    import pandas as pd

    from cassia_dagster.knowledge.consensus import Consensus, Vote
    from cassia_dagster.llm.door import Door
    from cassia_dagster.records import AnnotatedCluster, ClusterEvidence

MOST_RUNS = 50

_AGREEMENT = 0.6


def runCASSIA_batch_n_times(  # noqa: N802 - CASSIA's name
    n: int,
    marker: pd.DataFrame | str | Path,
    output_name: str = "cell_type_analysis_results",
    model: str | None = None,
    temperature: float | None = None,
    tissue: str = "lung",
    species: str = "human",
    additional_info: str | None = None,
    max_workers: int = 10,
    provider: str = "openrouter",
    n_genes: int = N_GENES,
    **others: object,
) -> list[Path]:
    """Annotate and validate the clusters of a table n times, independently, without scores and second looks.

    Parameters
    ----------
    n
        Runs, from 1 to 50. The first has the questions of `runCASSIA_pipeline`; no run is ever paid for twice.
    output_name
        Each run writes ``<output_name>_<run>_full.csv``, from 1.
    marker, model, temperature, tissue, species, additional_info, max_workers, provider, n_genes
        As for `runCASSIA_pipeline`.
    others
        Parameters of CASSIA that change nothing here are taken, with a warning that says why.

    Returns
    -------
    list of Path
        The files. An embedded model says the same in each, which is no measure of uncertainty.
    """
    from cassia_dagster.agents.annotate import refuse_silence
    from cassia_dagster.agents.crew import for_each
    from cassia_dagster.annotating import check_sample, open_doors, open_store
    from cassia_dagster.llm.repetition import Repetition
    from cassia_dagster.marker_tables import load_markers_of
    from cassia_dagster.outputs.tables import write_inert
    from cassia_dagster.singlecell.marker_evidence import evidence_from_markers
    from resources.home import Home
    from resources.settings import AnnotationSettings

    note_unused("runCASSIA_batch_n_times", others)
    if not 1 <= n <= MOST_RUNS:
        raise ConfigurationError(f"n is {n}; it must be between 1 and {MOST_RUNS}.")
    folder, name = place_of(output_name)
    known = check_sample(species, tissue)
    table, _ = load_markers_of(marker, known)
    context = "" if additional_info in {None, "None"} else str(additional_info)
    evidence = evidence_from_markers(table, species=known, tissue=tissue.strip(), context=context, n_markers=n_genes)
    chosen = chosen_model(model, provider, temperature=temperature)
    paths = []
    with open_store(Home.from_environment(), AnnotationSettings.from_environment().limits(name)) as store:
        doors = open_doors({"annotation": chosen, "validation": chosen}, store)
        for replicate in range(n):
            annotator, validator = Repetition(doors.annotate, replicate), Repetition(doors.validate, replicate)
            ask = partial(_annotated, annotator=annotator, validator=validator, subject=f"{name}/{GIVEN}")
            rows = for_each(evidence, ask, max_workers)
            refuse_silence(rows)
            paths.append(folder / f"{name}_{replicate + 1}_full.csv")
            write_inert(_table(rows), paths[-1])
    return paths


def _annotated(evidence: ClusterEvidence, annotator: Door, validator: Door, subject: str) -> AnnotatedCluster:
    from cassia_dagster.agents.annotate import annotate_cluster

    return annotate_cluster(evidence, annotator, validator, f"{subject}/{evidence.cluster}")


def _table(rows: Sequence[AnnotatedCluster]) -> pd.DataFrame:
    """Write what a run said in the columns of the full table that it knows."""
    import pandas as pd

    from cassia_dagster.agents.merge import UNRESOLVED
    from cassia_dagster.outputs.tables import LIST_SEPARATOR

    records = []
    for row in rows:
        said = row.annotation if row.annotation and row.annotation.label and not row.annotation.unresolved else None
        subtypes = [*(said.subtypes if said else ()), None, None, None]
        records.append(
            {
                "cluster": row.cluster,
                "general_celltype": said.general_celltype if said else UNRESOLVED,
                "celltype_1": said.label if said else UNRESOLVED,
                "celltype_2": subtypes[1],
                "celltype_3": subtypes[2],
                "mixed_celltypes": LIST_SEPARATOR.join(said.mixed_celltypes) if said else "",
                "status": row.status.value,
                "status_reason": row.status_reason,
                "cl_id": row.check.cl_id if row.check else None,
                "rationale": said.rationale if said else "",
                "iterations": len(row.rounds),
            }
        )
    return pd.DataFrame(records, dtype=object)


def runCASSIA_similarity_score_batch(  # noqa: N802 - CASSIA's name
    marker: pd.DataFrame | str | Path | None,  # noqa: ARG001 - CASSIA's parameter
    file_pattern: str,
    output_name: str,
    **others: object,
) -> pd.DataFrame:
    """Say for every cluster how far the runs agree, and what enough of them bear; asks no model.

    Parameters
    ----------
    marker
        Not needed; CASSIA's first parameter.
    file_pattern
        The files of the runs, such as ``"intestine_Uncertainty_*_full.csv"``.
    output_name
        ``<output_name>.csv`` is written.
    others
        Parameters of CASSIA that change nothing here are taken, with a warning that says why.

    Returns
    -------
    pandas.DataFrame
        One row a cluster: ``cluster``, ``runs``, ``similarity_score`` (0 to 100: mean hierarchical F1 of two runs),
        ``modal_label``, ``modal_share``, ``consensus`` (the most detailed name that 60 % of the runs bear) and
        ``consensus_cl_id``.

    Raises
    ------
    InputError
        If fewer than two files fit, or they are about different clusters.
    """
    import pandas as pd

    from cassia_dagster.knowledge.consensus import find_consensus, least_votes
    from cassia_dagster.outputs.tables import write_inert

    note_unused("runCASSIA_similarity_score_batch", others)
    folder, name = place_of(output_name)
    votes = _votes(file_pattern)
    found = {cluster: find_consensus(cast, least_votes(len(cast), _AGREEMENT)) for cluster, cast in votes.items()}
    table = pd.DataFrame([_row(cluster, one) for cluster, one in found.items()], dtype=object)
    write_inert(table, folder / f"{name}.csv")
    return table


def _votes(pattern: str) -> dict[str, list[Vote]]:
    import pandas as pd

    from cassia_dagster.agents.merge import UNRESOLVED
    from cassia_dagster.knowledge.consensus import Vote

    path = Path(pattern)
    files = sorted(path.parent.glob(path.name))
    if len(files) < 2:
        raise InputError(f"{pattern!r} fits {len(files)} files; at least two runs are needed.")
    votes: dict[str, list[Vote]] = {}
    for number, file in enumerate(files):
        try:
            table = pd.read_csv(file, dtype=str, keep_default_na=False)
        except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
            raise InputError(f"{file} cannot be read: {error}. Give what runCASSIA_batch_n_times wrote.") from error
        if not {"cluster", "celltype_1", "cl_id"} <= set(table.columns):
            raise InputError(f"{file} has no column cluster, celltype_1 or cl_id: runCASSIA_batch_n_times writes them.")
        if number and set(table["cluster"]) != set(votes):
            raise InputError(f"{file} is about other clusters than {files[0]}.")
        for row in table.to_dict("records"):
            label = None if row["celltype_1"] == UNRESOLVED else str(row["celltype_1"])
            votes.setdefault(str(row["cluster"]), []).append(Vote(label=label, cl_id=str(row["cl_id"]) or None))
    return votes


def _row(cluster: str, consensus: Consensus) -> dict[str, object]:
    alike = consensus.mean_pairwise_f1
    return {
        "cluster": cluster,
        "runs": consensus.votes,
        "similarity_score": None if alike is None else round(100 * alike, 1),
        "modal_label": consensus.modal_label or "unresolved",
        "modal_share": round(consensus.modal_share, 3),
        "consensus": consensus.label or "unresolved",
        "consensus_cl_id": consensus.cl_id,
    }
