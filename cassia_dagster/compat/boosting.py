"""A second look at one cluster of a marker table, by CASSIA's name of the function and its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cassia_dagster.compat.models import cast, chosen_model, note_unused
from cassia_dagster.compat.pipeline import place_of
from cassia_dagster.errors import ConfigurationError, InputError

if TYPE_CHECKING:
    import pandas as pd

    from cassia_dagster.agents.boost import BoostPlan
    from cassia_dagster.records import AnnotatedCluster, Annotation, ClusterEvidence, ScoredCluster

_NAMES = ("general_celltype", "celltype_1", "celltype_2", "celltype_3", "mixed_celltypes")
_READ = frozenset({"cluster", *_NAMES, "status", "score", "rationale"})
"""Columns of the full table that a second look cannot do without."""


def runCASSIA_annotationboost(  # noqa: N802 - CASSIA's name
    full_result_path: str | Path,
    marker: pd.DataFrame | str | Path,
    cluster_name: str,
    major_cluster_info: str,
    output_name: str,
    num_iterations: int = 3,
    model: str | None = None,
    provider: str = "openrouter",
    temperature: float | None = None,
    search_strategy: str = "breadth",
    species: str = "human",
    additional_task: str = "",
    **others: object,
) -> pd.DataFrame:
    """Look again at one cluster: state rival hypotheses, look their genes up, and keep or change the label.

    Parameters
    ----------
    full_result_path
        ``…_full.csv``, as `runCASSIA_pipeline` wrote it.
    marker
        The marker table that it was made from.
    cluster_name
        The cluster, exactly as the table has it.
    major_cluster_info
        Where the cells are from, such as ``"Human Large Intestine"``.
    output_name
        How the files' names begin: ``…_summary.html``, and the tables.
    num_iterations
        Rounds of hypotheses, 4 at most.
    model, provider, temperature
        Who looks, as for `runCASSIA_pipeline`.
    search_strategy
        ``"breadth"`` tests all open hypotheses in each round, ``"depth"`` one a round.
    species
        ``"human"`` or ``"mouse"``.
    additional_task
        A question of your own, such as ``"Is this malignant?"``.
    others
        Parameters of CASSIA that change nothing here are taken, with a warning that says why.

    Returns
    -------
    pandas.DataFrame
        The cluster's row of ``…_full.csv``, with what was found.

    Raises
    ------
    InputError
        If the cluster is in neither table.
    """
    from cassia_dagster.agents.boost import boost_cluster
    from cassia_dagster.annotating import open_doors, open_store, result_of_table, write_results
    from cassia_dagster.outputs.tables import full_table
    from cassia_dagster.records import ClusterResult, Grouping
    from resources.home import Home
    from resources.settings import AnnotationSettings

    note_unused("runCASSIA_annotationboost", others)
    folder, name = place_of(output_name)
    if (folder / f"{name}_full.csv").absolute() == Path(full_result_path).absolute():
        raise ConfigurationError(
            f"The output name {output_name!r} would replace {full_result_path}, which has the other clusters too, by "
            "one row. Choose another output_name."
        )
    plan = _plan(search_strategy, num_iterations, additional_task)
    evidence = _evidence_of(marker, str(cluster_name), species, _tissue(major_cluster_info))
    annotated, scored = _read_back(Path(full_result_path), evidence)
    chosen = chosen_model(model, provider, temperature=temperature)
    limits = AnnotationSettings.from_environment().limits(name)
    with open_store(Home.from_environment(), limits) as store:
        doors = open_doors(cast(chosen, chosen, chosen, chosen), store)
        boosted = boost_cluster(annotated, scored, doors.boost, doors.score, f"{name}/{evidence.cluster}", plan=plan)
        totals = store.totals(store.run)
    label = (boosted.annotation and boosted.annotation.label) or "unresolved"
    general = (boosted.annotation and boosted.annotation.general_celltype) or label
    row = ClusterResult(
        annotated=annotated,
        scored=scored,
        boosted=boosted,
        grouping=Grouping(cluster=evidence.cluster, broad=general, intermediate=label, detailed=label),
    )
    result = result_of_table((row,), name, evidence.species, evidence.tissue, totals)
    write_results(result, folder, report=f"{name}_summary.html", transcripts=False)
    return full_table(result)


def _plan(strategy: str, rounds: int, task: str) -> BoostPlan:
    from cassia_dagster.agents.boost import MAX_ROUNDS, BoostPlan, BoostStrategy

    if strategy not in set(BoostStrategy):
        raise ConfigurationError(f"search_strategy {strategy!r} is none of {', '.join(BoostStrategy)}.")
    if rounds < 1:
        raise ConfigurationError(f"num_iterations is {rounds}; at least one round is needed.")
    return BoostPlan(BoostStrategy(strategy), min(rounds, MAX_ROUNDS), task)


def _tissue(major_cluster_info: str) -> str:
    """Take the species off the front of "Human Large Intestine"."""
    from cassia_dagster.records import SPECIES

    first, _, rest = major_cluster_info.strip().partition(" ")
    return rest.strip() if first.lower() in SPECIES and rest.strip() else major_cluster_info.strip()


def _evidence_of(marker: pd.DataFrame | str | Path, cluster: str, species: str, tissue: str) -> ClusterEvidence:
    from cassia_dagster.annotating import check_sample
    from cassia_dagster.marker_tables import load_markers_of
    from cassia_dagster.singlecell.marker_evidence import evidence_from_markers

    known = check_sample(species, tissue)
    table = load_markers_of(marker, known).table
    profiles = {one.cluster: one for one in evidence_from_markers(table, species=known, tissue=tissue)}
    if cluster not in profiles:
        raise InputError(f"The marker table has no cluster {cluster!r}; it has {', '.join(profiles)}.")
    return profiles[cluster]


def _read_back(path: Path, evidence: ClusterEvidence) -> tuple[AnnotatedCluster, ScoredCluster]:
    """Make of a row of the full table what is known of the cluster; code checks the label anew."""
    import pandas as pd

    from cassia_dagster.knowledge.evidence import check_annotation
    from cassia_dagster.outputs.tables import as_it_was
    from cassia_dagster.records import AnnotatedCluster, ScoredCluster, Status

    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"{path} cannot be read: {error}. Give the …_full.csv of runCASSIA_pipeline.") from error
    if missing := sorted(_READ - set(table.columns)):
        raise InputError(f"{path} has no column {', '.join(missing)}: it is no …_full.csv of runCASSIA_pipeline.")
    rows: dict[str, dict[str, str]] = {
        as_it_was(row["cluster"]): {str(name): value for name, value in row.items()} for row in table.to_dict("records")
    }
    if evidence.cluster not in rows:
        raise InputError(f"{path} has no cluster {evidence.cluster!r}; it has {', '.join(rows)}.")
    row = rows[evidence.cluster]
    annotation = _annotation(row)
    status = Status(row["status"]) if row["status"] in set(Status) else Status.OK
    return (
        AnnotatedCluster(
            cluster=evidence.cluster,
            evidence=evidence,
            status=status,
            status_reason=row.get("status_reason", ""),
            annotation=annotation,
            check=annotation and check_annotation(annotation, evidence),
        ),
        ScoredCluster(
            cluster=evidence.cluster,
            status=status,
            score=_score(row["score"], path),
            rubric=None,
            reasoning=row.get("scoring_reasoning", ""),
        ),
    )


def _score(written: str, path: Path) -> float | None:
    try:
        return float(written) if written else None
    except ValueError:
        raise InputError(f"{path}: the score {written!r} is no number. Leave it empty where there is none.") from None


def _annotation(row: Mapping[str, str]) -> Annotation | None:
    from cassia_dagster.agents.merge import UNRESOLVED
    from cassia_dagster.outputs.tables import LIST_SEPARATOR
    from cassia_dagster.records import Annotation

    if row["celltype_1"] == UNRESOLVED:
        return None
    return Annotation(
        general_celltype=row["general_celltype"] or None,
        subtypes=tuple(name for name in (row["celltype_1"], row["celltype_2"], row["celltype_3"]) if name),
        mixed_celltypes=tuple(name for name in row["mixed_celltypes"].split(LIST_SEPARATOR) if name),
        cell_state=row.get("cell_state") or None,
        supporting_genes=tuple(gene for gene in row.get("supporting_genes", "").split(", ") if gene),
        contradicting_genes=tuple(gene for gene in row.get("contradicting_genes", "").split(", ") if gene),
        rationale=row["rationale"],
    )
