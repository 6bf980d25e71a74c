"""How long a training run takes is told from its first steps; what is quicker at first does not deceive."""

from collections.abc import Callable

import pytest

from vithybrid_cli.runs.training.pace import FIRST_STEPS, Pace, Work


def clock(*seconds: float) -> Callable[[], float]:
    """A clock that goes on by these seconds from one look at it to the next, and then by 1."""
    times = iter(seconds)
    now = [0.0]

    def look() -> float:
        now[0] += next(times, 1.0)
        return now[0]

    return look


def test_the_time_of_all_steps_follows_from_the_first_ones_without_the_very_first() -> None:
    pace = Pace(Work([(64, 64)] * 3, steps=40, batch_size=8), clock=clock(60.0, *[2.0] * 100))
    assert (pace.left, pace.whole) == (None, None)
    told = [pace.step(0, step) for step in range(25)]
    assert [step for step, is_time in enumerate(told, start=1) if is_time] == [FIRST_STEPS]
    assert pace.left == pytest.approx(2.0 * (3 * 40 - 25))
    assert pace.whole == pytest.approx(2.0 * (3 * 40 - 1))


def test_larger_pictures_to_come_are_expected_to_take_longer() -> None:
    pace = Pace(Work([(32, 32), (64, 64)], steps=10, batch_size=8), clock=clock())
    for step in range(10):
        pace.step(0, step)
    assert pace.left == pytest.approx(4 * 10)


def test_what_a_kind_of_step_takes_is_measured_once_there_was_one() -> None:
    pace = Pace(Work([(32, 32), (64, 64)], steps=3, batch_size=8), clock=clock(1, 1, 1, 0, 7))
    for step in range(3):
        pace.step(0, step)
    pace.measured()
    pace.step(1, 0)
    assert pace.left == pytest.approx(7 * 2)


def test_measuring_the_held_out_pictures_counts_for_a_third_of_training_on_as_many() -> None:
    pace = Pace(Work([(64, 64)] * 2, steps=3, batch_size=10, held_out=30), clock=clock())
    for step in range(3):
        pace.step(0, step)
    assert pace.left == pytest.approx(1 + 3 + 1)
    pace.measured()
    assert pace.left == pytest.approx(3 + 1)


def test_steps_in_which_only_the_head_learns_are_quick_and_the_time_is_told_again_after_them() -> None:
    work = Work([(64, 64)] * 2, steps=50, batch_size=10, head_epochs=0.5)
    pace = Pace(work, clock=clock(*[1.0] * 25, *[3.5] * 75))
    told = [pace.step(0, step) for step in range(20)]
    assert pace.left == pytest.approx(5 * 1 + 75 * 3)
    told += [pace.step(0, step) for step in range(20, 50)]
    assert pace.left == pytest.approx(50 * 3.5)
    assert [step for step, is_time in enumerate(told, start=1) if is_time] == [20, 45]


def test_where_the_head_learns_alone_for_few_steps_the_time_is_told_after_them() -> None:
    pace = Pace(Work([(64, 64)] * 4, steps=10, batch_size=10, head_epochs=0.5), clock=clock())
    told = [pace.step(0, step) for step in range(10)] + [pace.step(1, step) for step in range(10)]
    assert [step for step, is_time in enumerate(told, start=1) if is_time] == [15]


def test_a_short_epoch_is_enough_to_tell_and_a_single_step_is_not() -> None:
    pace = Pace(Work([(64, 64)] * 9, steps=5, batch_size=1), clock=clock())
    assert [pace.step(0, step) for step in range(5)] == [False, False, False, False, True]
    pace = Pace(Work([(64, 64)] * 9, steps=1, batch_size=1), clock=clock())
    assert [pace.step(epoch, 0) for epoch in range(3)] == [False, True, False]


def test_epochs_that_were_done_before_do_not_count() -> None:
    pace = Pace(Work([(64, 64)] * 4, steps=2, batch_size=5, head_epochs=0.5), epochs_done=3, clock=clock())
    assert [pace.step(3, 0), pace.step(3, 1)] == [False, True]
    assert pace.left == pytest.approx(0)
