"""What is asked for, met or missed."""

from benchmarks.bars import Bar, table_of_bars


def test_a_miss_is_said_and_seen():
    met, missed = table_of_bars(
        [Bar("coverage", "at least 90%", "95%", met=True), Bar("hF1", "at least 0.85", "0.80", met=False)]
    ).splitlines()[2:]
    assert met == "| coverage | at least 90% | 95% | met |"
    assert missed == "| hF1 | at least 0.85 | 0.80 | **missed** |"
