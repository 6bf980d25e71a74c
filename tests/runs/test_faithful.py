"""Which pictures measure maps: as many of each label, in an order that nothing but the pictures decides."""

import pytest

from vithybrid_cli.runs.explain.faithful import spread


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        pytest.param(0, set(), id="none"),
        pytest.param(1, {0}, id="one"),
        pytest.param(3, {0, 3, 5}, id="one of each label"),
        pytest.param(5, {0, 1, 3, 4, 5}, id="two of each that has two"),
        pytest.param(9, {0, 1, 2, 3, 4, 5}, id="all"),
    ],
)
def test_pictures_are_spread_over_labels(count: int, expected: set[int]) -> None:
    assert spread(["cat", "cat", "cat", "dog", "dog", "owl", None], count) == expected
