"""How far an asset is with its clusters, as its log tells it."""

from concurrent.futures import ThreadPoolExecutor

import dagster as dg
import pytest

from assets import cluster_progress
from assets.cluster_progress import ClusterProgress
from cassia_dagster.llm.store import Store
from cassia_dagster.records import ScoredCluster, Status


def scored(cluster):
    status = Status.FAILED if cluster == "2" else Status.OK
    return ScoredCluster(cluster=cluster, status=status, score=None, rubric=None)


@pytest.fixture
def lines(monkeypatch, tmp_path):
    """Work on four clusters in threads, and return what the log says."""

    def run(often, work=scored):
        monkeypatch.setattr(cluster_progress, "OFTEN", often)
        said = []
        with Store.open(tmp_path / f"{often}.sqlite") as store:
            context = dg.build_asset_context()
            monkeypatch.setattr(context.log, "info", said.append)
            watched = ClusterProgress(context, store, 4).watching(work)
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(watched, "0123"))
        return said

    return run


def test_the_last_line_counts_every_cluster(lines):
    assert lines(often=60)[-1] == "3 of 4 clusters, 1 failed"


def test_lines_come_no_oftener_than_they_can_be_read(lines):
    assert len(lines(often=60)) == 2  # the first and the last
    assert len(lines(often=0)) == 8


def test_an_error_is_counted_and_passed_on(lines):
    def fails(_):
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        lines(often=0, work=fails)
