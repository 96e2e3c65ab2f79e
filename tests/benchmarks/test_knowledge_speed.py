"""What the offline knowledge costs; the seconds themselves are no test's business."""

from benchmarks.knowledge_speed import BARS, Cost, _islets, table


def test_the_figures_stand_beside_what_they_may_be_at_most():
    lines = table(Cost(start=0.3, clusters=2.5, reading=0.7, megabytes=150.0)).splitlines()
    assert lines[2].endswith("| 0.30 s | 0.5 s |")
    assert lines[-1].endswith("| 150 MB | 200 MB |")
    assert set(BARS) < set(Cost._fields)


def test_clusters_of_the_demo_are_what_is_looked_at():
    clusters = _islets()
    assert len({one.cluster for one in clusters}) == len(clusters) > 10
    assert all(len(one.markers) >= 20 for one in clusters)
