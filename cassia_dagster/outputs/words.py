"""What codes and numbers are called when a person reads them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cassia_dagster.agents.boost import SCORE_THRESHOLD
from cassia_dagster.agents.merge import UNRESOLVED
from cassia_dagster.evaluation.agreement import Agreement
from cassia_dagster.evaluation.comparison import Change
from cassia_dagster.evaluation.drift import Drift
from cassia_dagster.evaluation.leaderboard import Place
from cassia_dagster.knowledge.names import words_of
from cassia_dagster.knowledge.ontology import Relation, load_ontology
from cassia_dagster.knowledge.spelling import normalise
from cassia_dagster.llm.choice import EMBEDDED
from cassia_dagster.outputs.result import ResolutionResult, final_label, reviewer_of
from cassia_dagster.records import (
    BoostedCluster,
    BoostOutcome,
    ClusterResult,
    Expression,
    Finding,
    ManualOutcome,
    ManualReview,
    Status,
    Unresolved,
)

FINDING_TEXTS = {
    Finding.GENE_ABSENT: "cites genes that are not among the markers",
    Finding.LABEL_UNMAPPED: "label is not in the Cell Ontology",
    Finding.NO_MARKER_SUPPORT: "no marker speaks for the label",
    Finding.LINEAGE_CONTRADICTION: "markers point to another lineage",
    Finding.WEAK_SUPPORT: "markers say too little to be sure",
    Finding.MARKERS_FAVOUR_OTHER: "markers favour another type",
}

STATUSES = {
    Status.OK: "named",
    Status.UNRESOLVED: "unresolved",
    Status.INVALID_REPLY: "no usable reply",
    Status.REFUSED: "model refused",
    Status.FAILED: "failed",
    Status.BUDGET_EXHAUSTED: "budget exhausted",
}

UNRESOLVED_REASONS = {
    Unresolved.NO_MARKERS: "it has no significant markers",
    Unresolved.WEAK_SUPPORT: "its markers support no cell type well enough",
    Unresolved.CONFLICTING_SUPPORT: "its markers support several cell types that exclude each other",
    Unresolved.LOW_QUALITY: "its cells are of low quality",
    Unresolved.MALIGNANT: "its cells look malignant: genes that healthy cells outside the germ line keep silent are on",
}

OUTCOMES = {
    BoostOutcome.NOT_NEEDED: "not needed",
    BoostOutcome.CONFIRMED: "label confirmed",
    BoostOutcome.CHANGED: "label changed",
    BoostOutcome.FAILED: "failed",
}

REVIEWS = {
    ManualOutcome.LABELLED: "got the label from a person",
    ManualOutcome.CONFIRMED: "had the label confirmed by a person",
    ManualOutcome.STALE: "changed since a person gave a label, which is therefore not applied",
}

EXPRESSIONS = {
    Expression.UP: "up",
    Expression.DOWN: "down",
    Expression.NOT_DIFFERENT: "not different",
    Expression.NOT_DETECTED: "not detected",
    Expression.NOT_MEASURED: "not measured",
    Expression.NOT_LISTED: "not among the markers",
}

RELATIONS = {
    Relation.EXACT: "the same term",
    Relation.FINER: "a kind of the given",
    Relation.COARSER: "broader than the given",
    Relation.SIBLING: "a sibling of the given",
    Relation.SAME_LINEAGE: "another type of the same lineage",
    Relation.CONTRADICTION: "another lineage",
    Relation.UNRESOLVED: "no term that can be compared",
    Relation.UNMAPPED: "beside a label that is no term",
}

KINSHIP = {
    Relation.EXACT: "the same type",
    Relation.FINER: "a kind of it",
    Relation.COARSER: "broader than it",
    Relation.SIBLING: "a sibling of it",
    Relation.SAME_LINEAGE: "another type of its lineage",
    Relation.CONTRADICTION: "another lineage",
    Relation.UNRESOLVED: "a broad term",
    Relation.UNMAPPED: "not comparable",
}
"""How a label stands to one that was just named."""

CHANGES = {
    Change.SAME: "the same",
    Change.FINER: "finer",
    Change.COARSER: "coarser",
    Change.SIBLING: "a sibling",
    Change.SAME_LINEAGE: "same lineage",
    Change.CONTRADICTION: "another lineage",
    Change.GAINED: "got a name",
    Change.LOST: "lost its name",
    Change.RENAMED: "renamed",
}

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def ontology_url(cl_id: str | None) -> str | None:
    """Return the public page of a Cell Ontology term, or ``None`` for what is no term."""
    if cl_id is None or not re.fullmatch(r"CL:[0-9]{7}", cl_id):
        return None
    return f"https://purl.obolibrary.org/obo/{cl_id.replace(':', '_')}"


def scientific(value: float) -> str:
    """Write a p-value: ``3.2 × 10⁻⁴⁵``."""
    if value == 0:
        return "< 10⁻³⁰⁰"
    if value >= 0.001:
        return f"{value:.2g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa} × 10{str(int(exponent)).translate(_SUPERSCRIPTS)}"


def also_called(row: ClusterResult, *, daily: bool = False) -> tuple[str, ...]:
    """List other names of a cluster's type, those of daily use first; or these alone.

    Left out is what only repeats the label ("ductal cell of pancreas" a pancreatic ductal cell), and what adds to it:
    "pancreatic endothelial cell" is a kind of endothelial cell.
    """
    ontology, label = load_ontology(), final_label(row)
    cl_id = row.boosted.check.cl_id if row.boosted.check else None
    # A term of another version of the ontology may be none of this one.
    if label == UNRESOLVED or cl_id is None or cl_id not in ontology:
        return ()
    names = ontology.daily_names(cl_id) + (() if daily else ontology.synonyms(cl_id))
    new: dict[str, str] = {}
    for name in names:
        if not _beginnings(name) >= _beginnings(label):
            new.setdefault(normalise(name), name)
    return tuple(new.values())


def _beginnings(name: str) -> set[str]:
    """Of the words of a name, by which "pancreas" and "pancreatic" are the same."""
    return {word[:4] for word in words_of(name)}


def glued(text: str) -> str:
    """Keep a number and its per cent on one line."""
    return re.sub(r"(?<=\d) (?=%)", "\N{NO-BREAK SPACE}", text)


def model_words(model: str) -> str:
    """Name who answered; of the embedded model, whose version stands with the costs, say what it is."""
    return "embedded (no language model)" if model.partition("/")[0] == EMBEDDED else model


def listing(parts: Sequence[str]) -> str:
    """Join as in a sentence: ``a, b and c``."""
    return " and ".join(part for part in (", ".join(parts[:-1]), *parts[-1:]) if part)


def money(usd: float | None) -> str:
    """Write a cost, with cents only where they say something."""
    if usd is None:
        return "price unknown"
    return "no cost" if usd == 0 else f"${usd:,.2f}" if usd >= 1 else f"${usd:.4f}"


def cost_of(result: ResolutionResult) -> str:
    """Write what a result cost, and in how many calls."""
    calls = f"{result.calls:,} call{'' if result.calls == 1 else 's'}"
    cached = f", {result.cached_calls:,} from the cache" if result.cached_calls else ""
    least = f", {result.unpriced_calls:,} of unknown price" if result.unpriced_calls else ""
    return f"{'at least ' if least else ''}{money(result.usd)} ({calls}{cached}{least})"


def review_of(review: ManualReview) -> str:
    """Say what a person said of a cluster, and what became of it."""
    said = {
        ManualOutcome.LABELLED: "Labelled by",
        ManualOutcome.CONFIRMED: "Confirmed by",
        ManualOutcome.STALE: f"Not applied, for the cluster has changed since: {review.label!r}, said",
    }[review.outcome]
    return f"{said} {review.who} on {review.date}: {review.why}"


def reason_of(row: BoostedCluster) -> str:
    """Say why a cluster has no label: what went wrong, or what its markers lack."""
    if row.status_reason or row.annotation is None or row.annotation.unresolved is None:
        return row.status_reason
    return UNRESOLVED_REASONS[row.annotation.unresolved]


def summarise(result: ResolutionResult) -> str:
    """Tell in one paragraph how the annotation went.

    Parameters
    ----------
    result
        A dataset at one resolution.

    Returns
    -------
    str
        Plain text: how many clusters were named, what became of the others, and which want a second look.
    """
    rows = result.clusters
    named = [row for row in rows if final_label(row) != UNRESOLVED]
    low = [row for row in named if row.boosted.score is not None and row.boosted.score < SCORE_THRESHOLD]
    unscored = [row.cluster for row in named if row.boosted.score is None and not reviewer_of(row)]
    found = [row for row in named if row.boosted.check and not row.boosted.check.passed]
    of_all = f"All {len(rows):,}" if len(named) == len(rows) > 1 else f"{len(named):,} of {len(rows):,}"
    sentences = [f"{of_all} clusters {'was' if len(named) == 1 else 'were'} named."]
    for status in Status:
        ids = [row.cluster for row in rows if row.boosted.status == status and row not in named]
        if ids:
            ending = {Status.OK: "got no label", Status.UNRESOLVED: "stayed unresolved"}
            sentences.append(f"{_clusters(ids)} {ending.get(status, f'got no label ({STATUSES[status]})')}.")
    if low:
        ids = [f"{row.cluster} ({row.boosted.score:.3g})" for row in low]
        sentences.append(f"{_clusters(ids)} scored below {SCORE_THRESHOLD:g} and should be looked at first.")
    if unscored:
        sentences.append(f"{_clusters(unscored)} could not be scored.")
    if named and not low and not unscored:
        sentences.append(f"No score is below {SCORE_THRESHOLD:g}.")
    if found:
        ids = [row.cluster for row in found]
        sentences.append(f"Marker knowledge raises doubts about {_clusters(ids, 'cluster')}.")
    elif named:
        sentences.append("Marker knowledge raises no doubts.")
    changed = [row.cluster for row in rows if row.boosted.outcome is BoostOutcome.CHANGED]
    if changed:
        sentences.append(f"A second look changed the label of {_clusters(changed, 'cluster')}.")
    return " ".join([*sentences, *_reviews(rows)])


def _reviews(rows: Sequence[ClusterResult]) -> list[str]:
    reviews = {row.cluster: row.boosted.review.outcome for row in rows if row.boosted.review}
    by_outcome = {told: [one for one, said in reviews.items() if said is outcome] for outcome, told in REVIEWS.items()}
    return [f"{_clusters(ids)} {told}." for told, ids in by_outcome.items() if ids]


def summarise_agreement(agreement: Agreement) -> str:
    """Tell how our labels stand to given ones, by share of cells."""
    shares = sorted(agreement.cell_share.items(), key=lambda item: -item[1])
    parts = [f"{RELATIONS[relation]} for {100 * share:.0f} %" for relation, share in shares if share > 0]
    return glued(f"Beside the given label of most cells of its cluster, our label is {listing(parts)} of the cells.")


def summarise_drift(drift: Drift) -> str:
    """Tell how many clusters are called something else than before, and how many of the cells."""
    changed = sum(row.change is not Change.SAME for row in drift.clusters)
    since = f" since {drift.against}" if drift.against else ""
    if not changed and not drift.changed_share:
        return f"No cluster has another label{since}."
    return (
        f"{changed:,} of {len(drift.clusters):,} clusters {'has' if changed == 1 else 'have'} another label{since}; "
        f"{100 * drift.changed_share:.1f} % of the cells are called something else."
    )


def summarise_board(places: Sequence[Place]) -> str:
    """Tell which model names the cases best, and from which others so many cases do not tell it."""
    ranked = [(one.model, one.summary) for one in places if one.summary]
    if not ranked:
        return "No model gave a usable answer."
    (best, figures), *others = ranked
    cases = f"{figures.n:,} case{'' if figures.n == 1 else 's'} whose known label is a term of the Cell Ontology"
    if not others:
        return f"{best} comes to a mean hierarchical F1 of {figures.mean_hf1:.2f} over {cases}."
    near = [model for model, other in others if other.mean_hf1_interval[1] >= figures.mean_hf1_interval[0]]
    said = f"{best} comes first, with a mean hierarchical F1 of {figures.mean_hf1:.2f} over {cases}."
    if not near:
        return said
    return f"{said} Its interval and that of {listing(near)} overlap: so few cases hardly tell them apart."


def _clusters(ids: Sequence[str], noun: str = "Cluster") -> str:
    return f"{noun}{'' if len(ids) == 1 else 's'} {listing(ids)}"
