"""The arithmetic of a benchmark: rates, their spread, and ratios that never mix two turns."""

import pytest

from vithybrid_cli.bench.measurements import (
    IN_TURN,
    OURS,
    SLOWER,
    Measurement,
    Part,
    Spread,
    Subject,
    Timing,
    Turn,
    measurements,
)
from vithybrid_cli.bench.measurements import ratios as all_ratios

DECODING = Subject(Part.DECODE)
PILLOW = Subject(Part.DECODE, "pillow")
NETWORK = Subject(Part.NETWORK, OURS, "torch", "float32", 8)
WHOLE = Subject(Part.WHOLE, OURS, "torch", "float32", 8)
TIMM = Subject(Part.NETWORK, "timm", None, "float32", 8)


def at(rate: float) -> Timing:
    return Timing(10.0, round(rate * 10))


def ratios(turns: list[Turn]) -> dict[tuple[Part, str], tuple[float, ...]]:
    return {(ratio.subject.part, ratio.against): ratio.spread.values for ratio in all_ratios(turns)}


def test_a_rate_is_images_per_second() -> None:
    assert Timing(seconds=4.0, images=10).rate == 2.5


@pytest.mark.parametrize(
    ("values", "median"), [((3.0, 1.0, 2.0), 2.0), ((4.0, 1.0, 2.0, 3.0), 2.5)], ids=["odd number", "even number"]
)
def test_a_spread_has_its_median_and_ends_and_keeps_the_order_of_the_turns(
    values: tuple[float, ...], median: float
) -> None:
    assert Spread(values).record() == {"median": median, "min": 1.0, "max": max(values), "values": list(values)}


def test_a_ratio_is_taken_within_each_turn() -> None:
    # The machine is half as fast in the second turn; a ratio of the medians would be 3.
    turns: list[Turn] = [
        {NETWORK: at(20), TIMM: at(10)},
        {NETWORK: at(10), TIMM: at(5)},
        {NETWORK: at(15), TIMM: at(5)},
    ]
    assert ratios(turns) == {(Part.NETWORK, "timm"): (2.0, 2.0, 3.0)}


def test_a_turn_that_lacks_one_of_the_two_gives_no_ratio() -> None:
    turns: list[Turn] = [{NETWORK: at(20), TIMM: at(10)}, {NETWORK: at(30)}]
    assert ratios(turns) == {(Part.NETWORK, "timm"): (2.0,)}


def test_the_whole_way_is_compared_with_whichever_of_its_parts_was_slower_in_the_turn() -> None:
    turns: list[Turn] = [
        {DECODING: at(100), NETWORK: at(50), WHOLE: at(45)},
        {DECODING: at(40), NETWORK: at(50), WHOLE: at(30)},
    ]
    in_turn = pytest.approx((1.35, 1.35))  # of a rate of 33 and 22
    assert ratios(turns) == {(Part.WHOLE, SLOWER): (0.9, 0.75), (Part.WHOLE, IN_TURN): in_turn}


def test_the_whole_way_is_compared_with_its_parts_one_after_the_other() -> None:
    turns: list[Turn] = [{DECODING: at(100), NETWORK: at(25), WHOLE: at(19)}]  # a picture takes 10 ms and 40 ms
    assert ratios(turns)[Part.WHOLE, IN_TURN] == pytest.approx((0.95,))


def test_decoding_and_the_whole_way_are_compared_with_pillow_alone() -> None:
    turns: list[Turn] = [{DECODING: at(90), PILLOW: at(100), WHOLE: at(80)}]
    against = "pillow decoding alone"
    assert ratios(turns) == {(Part.DECODE, against): (0.9,), (Part.WHOLE, against): (0.8,)}


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(Subject(Part.NETWORK, "timm", None, "bfloat16", 8), id="another type"),
        pytest.param(Subject(Part.NETWORK, "timm", None, "float32", 1), id="another batch size"),
        pytest.param(Subject(Part.PROCESS, "timm", None, "float32"), id="another part"),
        pytest.param(Subject(Part.NETWORK, OURS, "openvino", "float32", 8), id="an engine of ours"),
    ],
)
def test_what_is_not_alike_is_not_compared(other: Subject) -> None:
    assert ratios([{NETWORK: at(20), other: at(10)}]) == {}


def test_measurements_come_by_part_and_then_in_the_order_of_their_turns() -> None:
    turns: list[Turn] = [{TIMM: at(1), NETWORK: at(1), DECODING: at(1)}, {WHOLE: at(1), TIMM: at(1)}]
    assert [measurement.subject for measurement in measurements(turns, {})] == [DECODING, TIMM, NETWORK, WHOLE]


def test_what_failed_is_a_measurement_with_its_reason_and_the_turns_until_then() -> None:
    (ours, timm) = measurements([{NETWORK: at(2)}, {NETWORK: at(4)}], {TIMM: "not there"})
    assert (ours.error, ours.rate) == (None, Spread((2.0, 4.0)))
    assert timm == Measurement(TIMM, (), "not there")
    record = timm.record()
    assert [record[name] for name in ("images_per_second", "seconds", "images", "peak_bytes")] == [None] * 4


def test_the_most_memory_of_any_turn_counts() -> None:
    turns: list[Turn] = [{NETWORK: Timing(1, 1, 100)}, {NETWORK: Timing(1, 1, 300)}, {NETWORK: Timing(1, 1, 200)}]
    assert measurements(turns, {})[0].peak_bytes == 300


def test_the_record_of_a_measurement_says_what_was_measured_and_how_long() -> None:
    turns: list[Turn] = [{NETWORK: Timing(2.0, 16)}, {NETWORK: Timing(4.0, 16)}]
    assert [measurement.record() for measurement in measurements(turns, {})] == [
        {
            "part": "network",
            "program": "vithybrid",
            "engine": "torch",
            "dtype": "float32",
            "batch": 8,
            "images_per_second": {"median": 6.0, "min": 4.0, "max": 8.0, "values": [8.0, 4.0]},
            "seconds": {"median": 3.0, "min": 2.0, "max": 4.0, "values": [2.0, 4.0]},
            "images": 16,
            "peak_bytes": None,
            "error": None,
        }
    ]
