"""Confidence intervals, against those that statsmodels 0.14 gives (``proportion_confint(…, method="wilson")``)."""

import pytest

from vithybrid_cli.evaluation.intervals import wilson


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    [
        (1, 3, 0.06149194472039626, 0.7923403991979523),
        (2, 3, 0.2076596008020477, 0.9385080552796037),
        (3, 3, 0.43850296824495444, 1.0),
        (0, 1, 0.0, 0.7934506856227627),
        (0, 10, 0.0, 0.27753279986288926),
        (5, 6, 0.43649717781352965, 0.9699466302516933),
        (842, 1000, 0.8180901541085861, 0.8632923430872941),
    ],
)
def test_an_interval_is_that_of_statsmodels(part: int, whole: int, low: float, high: float) -> None:
    assert wilson(part, whole) == pytest.approx((low, high), abs=1e-12)


def test_nothing_has_no_interval() -> None:
    assert wilson(0, 0) is None


@pytest.mark.parametrize("whole", [1, 7, 50_000])
def test_an_interval_stays_within_0_and_1(whole: int) -> None:
    assert (wilson(0, whole) or (9,))[0] == 0
    assert (wilson(whole, whole) or (9,))[-1] == 1
