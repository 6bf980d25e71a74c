"""Times that people wait are told in a unit that they can grasp."""

import pytest

from vithybrid_cli.output.duration import duration


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (-3, "0 s"),
        (0.4, "0 s"),
        (99.4, "99 s"),
        (99.7, "100 s"),
        (100, "2 min"),
        (3600, "60 min"),
        (99.4 * 60, "99 min"),
        (99.6 * 60, "100 min"),
        (100 * 60, "1 h 40 min"),
        (7200, "2 h"),
        (7800, "2 h 10 min"),
        (9.99 * 3600, "9 h 59 min"),
        (10.2 * 3600, "10 h"),
        (23.7 * 3600, "24 h"),
        (47.9 * 3600, "48 h"),
        (48 * 3600, "2 days"),
        (51 * 3600, "2 days 3 h"),
        (30.4 * 86_400, "30 days"),
        (5000 * 86_400, "5,000 days"),
    ],
)
def test_a_time_is_told_in_one_unit_or_two(seconds: float, said: str) -> None:
    assert duration(seconds) == said
