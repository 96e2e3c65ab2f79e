"""Is it A or B? Candidate types of one list of markers, by CASSIA's name of the function and its parameters."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cassia_dagster.compat.models import USUAL_PROVIDER, chosen_model, note_unused
from cassia_dagster.compat.pipeline import place_of
from cassia_dagster.errors import ConfigurationError

if TYPE_CHECKING:
    import pandas as pd

    from cassia_dagster.agents.debate import Debate
    from cassia_dagster.records import AnnotatedCluster

_CLUSTER = "markers"


def symphonyCompare(  # noqa: N802 - CASSIA's name
    tissue: str,
    celltypes: Sequence[str],
    marker_set: str | Sequence[str],
    species: str = "human",
    model_preset: str | None = None,
    custom_models: Sequence[str] | None = None,
    output_dir: str | None = None,
    output_basename: str | None = None,
    enable_discussion: bool = True,  # noqa: FBT001, FBT002 - CASSIA's parameter
    max_discussion_rounds: int = 3,
    provider: str = USUAL_PROVIDER,
    **others: object,
) -> dict[str, Any]:
    """Let several models, or one in several persons, decide between two to four candidate types.

    Parameters
    ----------
    tissue, species
        Of the sample.
    celltypes
        Two to four candidates.
    marker_set
        The cluster's markers, best first: a list, or one text with commas between them.
    model_preset
        CASSIA's lists of models have no counterpart: name yours in ``custom_models``.
    custom_models
        Models on the panel, of one provider; the environment's annotator in several persons if none is named, and
        the embedded model where nothing is chosen at all.
    output_dir, output_basename
        Where ``<output_basename>.csv`` (a row a candidate) and ``.json`` (the whole debate) go; nothing is written
        without a name.
    enable_discussion, max_discussion_rounds
        Whether, and how often at most, the panel scores again after it has seen all scores of the round before.
    provider
        Of the models that are named, or ``"embedded"``.
    others
        Parameters of CASSIA that change nothing here are taken, with a warning that says why.

    Returns
    -------
    dict
        ``consensus`` (the candidate that two thirds put first, or ``None``), ``confidence`` (share of the members that
        put the leading one first), ``dataframe`` (a row a candidate), ``summary`` and ``debate``.

    Raises
    ------
    InputError
        If the candidates are too few, too many, or one type under two names.
    """
    from assets.symphony import SymphonyConfig, outcome_of, seated, seats_of
    from cassia_dagster.agents.debate import DebatePlan, compare_candidates
    from cassia_dagster.annotating import open_store
    from resources.home import Home
    from resources.llm import ModelOverride, ModelResource
    from resources.settings import AnnotationSettings

    note_unused("symphonyCompare", others)
    if model_preset and not custom_models:
        warnings.warn(
            f"model_preset {model_preset!r} names models of CASSIA's choice, and has no effect here: say "
            "custom_models=[…], or choose an annotator in the environment.",
            stacklevel=2,
        )
    row = _cluster(marker_set, species, tissue)
    usual = ModelResource.from_environment("annotation").overlaid(chosen_model(None, provider))
    panel = [ModelOverride(**chosen_model(model, provider).model_dump_fields()) for model in custom_models or ()]
    seats = seats_of(usual, SymphonyConfig(cluster=_CLUSTER, candidates=list(celltypes), models=panel))
    rounds = max_discussion_rounds if enable_discussion else 1
    with open_store(Home.from_environment(), AnnotationSettings.from_environment().limits("symphony")) as store:
        debate = compare_candidates(
            row, celltypes, seated(seats, store), f"symphony/{_CLUSTER}", plan=DebatePlan(max_rounds=rounds)
        )
    table = _table(debate)
    if output_basename:
        _write(debate, table, output_basename, output_dir)
    return {
        "consensus": debate.verdict,
        "confidence": debate.agreement,
        "dataframe": table,
        "summary": outcome_of(debate),
        "debate": debate.model_dump(mode="json", exclude={"history"}),
    }


def _cluster(marker_set: str | Sequence[str], species: str, tissue: str) -> AnnotatedCluster:
    import pandas as pd

    from cassia_dagster.annotating import check_sample
    from cassia_dagster.marker_tables import load_markers_of
    from cassia_dagster.records import AnnotatedCluster, Status
    from cassia_dagster.singlecell.marker_evidence import evidence_from_markers

    known = check_sample(species, tissue)
    genes = marker_set if isinstance(marker_set, str) else ", ".join(marker_set)
    table, _ = load_markers_of(pd.DataFrame({"cluster": [_CLUSTER], "genes": [genes]}), known)
    (evidence,) = evidence_from_markers(table, species=known, tissue=tissue.strip())
    return AnnotatedCluster(cluster=_CLUSTER, evidence=evidence, status=Status.UNRESOLVED, annotation=None, check=None)


def _table(debate: Debate) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "celltype": one.name,
                "cl_id": one.cl_id,
                "votes": one.votes,
                "mean_score": one.mean_score,
                "marker_knowledge": one.leaning,
            }
            for one in debate.contenders
        ],
        dtype=object,
    )


def _write(debate: Debate, table: pd.DataFrame, basename: str, output_dir: str | None) -> None:
    from cassia_dagster.files import replacing
    from cassia_dagster.outputs.tables import write_inert

    folder, name = place_of(basename, output_dir)
    try:
        write_inert(table, folder / f"{name}.csv")
        with replacing(folder / f"{name}.json") as temporary:
            temporary.write_text(debate.model_dump_json(indent=1, exclude={"history"}) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"The folder {folder.absolute()} cannot be written: {error.strerror}.") from error
