"""How long a training run takes is told from its first steps, and small pictures at first do not deceive."""

from collections.abc import Iterator

import pytest

from vithybrid_cli.runs.training_pace import FIRST_STEPS, Pace, work_of


def clock(*seconds: float) -> Iterator[float]:
    """A clock that goes on by these seconds from one look at it to the next."""
    now = 0.0
    for more in seconds:
        now += more
        yield now


def test_the_time_of_all_steps_follows_from_the_first_ones_without_the_very_first() -> None:
    ticks = clock(60.0, *[2.0] * 100)
    pace = Pace(work_of([(64, 64)] * 3, pictures=80, held_out=0), steps=40, clock=lambda: next(ticks))
    assert (pace.left, pace.whole) == (None, None)
    told = [pace.step(0) for _ in range(25)]
    assert told.index(True) == FIRST_STEPS - 1
    assert told.count(True) == 1
    assert pace.left == pytest.approx(2.0 * (3 * 40 - 25))
    assert pace.whole == pytest.approx(2.0 * (3 * 40 - 1))


def test_larger_pictures_to_come_take_longer() -> None:
    ticks = clock(*[1.0] * 100)
    pace = Pace(work_of([(32, 32), (64, 64)], pictures=80, held_out=0), steps=10, clock=lambda: next(ticks))
    for _ in range(10):
        pace.step(0)
    assert pace.left == pytest.approx(4 * 10)


def test_measuring_the_held_out_pictures_counts_for_a_third_of_training_on_as_many() -> None:
    ticks = clock(*[1.0] * 100)
    pace = Pace(work_of([(64, 64)] * 2, pictures=30, held_out=30), steps=3, clock=lambda: next(ticks))
    for _ in range(3):
        pace.step(0)
    assert pace.left == pytest.approx(1 + 3 + 1)
    pace.measured(0)
    assert pace.left == pytest.approx(3 + 1)


def test_a_short_epoch_is_enough_to_tell_and_a_single_step_is_not() -> None:
    ticks = clock(*[1.0] * 100)
    pace = Pace(work_of([(64, 64)] * 9, pictures=5, held_out=0), steps=5, clock=lambda: next(ticks))
    assert [pace.step(0) for _ in range(5)] == [False, False, False, False, True]
    pace = Pace(work_of([(64, 64)] * 9, pictures=5, held_out=0), steps=1, clock=lambda: next(ticks))
    assert [pace.step(epoch) for epoch in range(3)] == [False, True, False]


def test_epochs_that_were_done_before_do_not_count() -> None:
    ticks = clock(*[1.0] * 100)
    work = work_of([(64, 64)] * 4, pictures=10, held_out=0)
    pace = Pace(work, steps=2, epochs_done=3, clock=lambda: next(ticks))
    pace.step(3)
    pace.step(3)
    assert pace.left == pytest.approx(0)
