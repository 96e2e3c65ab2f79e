"""Ten partitions of the soak: every one ends, and what is left adds up."""

import pytest

from benchmarks.soak import CLUSTERS, soak

pytestmark = pytest.mark.daemon


def test_ten_partitions_under_faults_end_and_add_up(tmp_path):
    seen = soak(tmp_path, partitions=10, seed=1)
    assert seen.sound, seen
    assert seen.done == 10, seen
    assert seen.rows == 10 * len(CLUSTERS)
    assert seen.calls > seen.rows, "some calls failed and were made again"
