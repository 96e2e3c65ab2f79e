"""Every question and reply of every cluster as plain text, for readers who want to see what was said."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from cassia_dagster.files import replacing
from cassia_dagster.outputs.result import ResolutionResult, final_label
from cassia_dagster.records import ClusterResult, Exchange

FOLDER = "transcripts"

_SAFE = re.compile(r"[0-9a-z][0-9a-z_-]{0,39}")
_PREFIX = "cluster-"
_SUFFIX = ".txt"
_RULE = "=" * 80


def transcript_names(result: ResolutionResult) -> dict[str, str]:
    """Name the transcript of each cluster that a model was asked about, relative to the folder of the report.

    Returns
    -------
    dict
        Cluster id to a path such as ``"transcripts/cluster-3.txt"``. An id that is more than digits, small Latin
        letters and hyphens is replaced by what is left of it and a digest, so that no id leaves the folder, and two
        that differ in case only do not meet in one file.
    """
    return {row.cluster: f"{FOLDER}/{_file_name(row.cluster)}" for row in result.clusters if row.history}


def write_transcripts(result: ResolutionResult, folder: Path) -> list[Path]:
    """Write one text file a cluster, and remove those of clusters that are no more.

    Parameters
    ----------
    result
        A dataset at one resolution.
    folder
        The folder of the report; the files go into ``transcripts/`` below it, each whole or not at all.

    Returns
    -------
    list of Path
        In the order of the clusters.
    """
    names = transcript_names(result)
    paths = [folder / names[row.cluster] for row in result.clusters if row.cluster in names]
    for row in result.clusters:
        if row.cluster in names:
            with replacing(folder / names[row.cluster]) as temporary:
                temporary.write_text(transcript(result, row), encoding="utf-8")
    for left in (folder / FOLDER).glob(f"{_PREFIX}*{_SUFFIX}"):
        if left not in paths:
            left.unlink()
    return paths


def transcript(result: ResolutionResult, row: ClusterResult) -> str:
    """Write the conversation about one cluster, in order; what a terminal would take for a command is spelled out."""
    head = (
        f"Dataset {result.dataset}, resolution {result.resolution}, cluster {row.cluster}: {final_label(row)}\n"
        f"{len(row.history)} exchange{'' if len(row.history) == 1 else 's'}. What stands in a question between <data> "
        "and </data> came from the data.\n"
    )
    parts = [head, *(_exchange(number, one) for number, one in enumerate(row.history, start=1))]
    return _visible("\n".join(parts))


def _exchange(number: int, one: Exchange) -> str:
    title = f"{number}. {one.role}: {one.provider}/{one.model}, template {one.template}"
    return f"{_RULE}\n{title}\n{_RULE}\n\n--- question ---\n{one.question}\n\n--- reply ---\n{one.reply}\n"


def _visible(text: str) -> str:
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(
        one if one.isprintable() or one in "\n\t" else one.encode("unicode_escape").decode("ascii") for one in text
    )


def _file_name(cluster: str) -> str:
    if _SAFE.fullmatch(cluster):
        return f"{_PREFIX}{cluster}{_SUFFIX}"
    readable = re.sub(r"[^0-9a-z]+", "-", cluster.lower()).strip("-")[:40]
    digest = hashlib.sha256(cluster.encode()).hexdigest()[:10]
    return f"{_PREFIX}{readable}.{digest}{_SUFFIX}"
