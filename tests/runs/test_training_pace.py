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
    pace = Pace(Work([(64, 64)] * 3, steps=40, pictures=320), clock=clock(60.0, *[2.0] * 100))
    assert (pace.left, pace.whole) == (None, None)
    told = [pace.step(0, step) for step in range(25)]
    assert [step for step, is_time in enumerate(told, start=1) if is_time] == [FIRST_STEPS]
    assert pace.left == pytest.approx(2.0 * (3 * 40 - 25))
    assert pace.whole == pytest.approx(2.0 * (3 * 40 - 1))


def test_larger_pictures_to_come_are_expected_to_take_longer() -> None:
    pace = Pace(Work([(32, 32), (64, 64)], steps=10, pictures=80), clock=clock())
    for step in range(10):
        pace.step(0, step)
    assert pace.left == pytest.approx(4 * 10)


def test_what_a_kind_of_step_takes_is_measured_once_there_was_one() -> None:
    pace = Pace(Work([(32, 32), (64, 64)], steps=3, pictures=22), clock=clock(1, 1, 1, 0, 7))
    for step in range(3):
        pace.step(0, step)
    pace.measured()
    pace.step(1, 0)
    assert pace.left == pytest.approx(7 * 2)


def test_measuring_the_held_out_pictures_counts_for_a_third_of_training_on_as_many() -> None:
    pace = Pace(Work([(64, 64)] * 2, steps=3, pictures=30, held_out=30), clock=clock())
    for step in range(3):
        pace.step(0, step)
    assert pace.left == pytest.approx(1 + 3 + 1)
    pace.measured()
    assert pace.left == pytest.approx(3 + 1)


def test_steps_of_the_head_alone_tell_the_least_and_the_time_is_told_again_once_all_learns() -> None:
    work = Work([(64, 64)] * 2, steps=50, pictures=500, held_out=90, head_epochs=0.5)
    pace = Pace(work, clock=clock(*[1.0] * 25, *[12.0] * 25, 7.0))
    told = [pace.step(0, step) for step in range(20)]
    least = [pace.at_least]
    assert pace.left is None
    assert pace.whole == pytest.approx(100 - 1 + 2 * 9)  # as long as such a step, and no longer, is possible
    told += [pace.step(0, step) for step in range(20, 25)]
    least.append(pace.at_least)
    told += [pace.step(0, step) for step in range(25, 50)]
    assert [*least, pace.at_least] == [True, True, False]
    assert pace.left == pytest.approx(50 * 12 + 2 * 9)
    pace.measured()
    assert pace.left == pytest.approx(50 * 12 + 7)
    assert [step for step, is_time in enumerate(told, start=1) if is_time] == [20, 45]


def test_where_all_learns_from_the_beginning_or_nothing_more_is_to_come_the_time_is_no_least() -> None:
    pace = Pace(Work([(64, 64)], steps=4, pictures=4), clock=clock())
    assert [(pace.step(0, step), pace.at_least)[1] for step in range(4)] == [True, False, False, False]
    pace = Pace(Work([(64, 64)], steps=4, pictures=4, head_epochs=1.0), clock=clock())
    assert [(pace.step(0, step), pace.at_least)[1] for step in range(4)] == [False] * 4


def test_where_the_head_learns_alone_for_few_steps_the_time_is_told_after_them() -> None:
    pace = Pace(Work([(64, 64)] * 4, steps=10, pictures=100, head_epochs=0.5), clock=clock())
    told = [pace.step(0, step) for step in range(10)] + [pace.step(1, step) for step in range(10)]
    assert [step for step, is_time in enumerate(told, start=1) if is_time] == [15]


def test_a_short_epoch_is_enough_to_tell_and_a_single_step_is_not() -> None:
    pace = Pace(Work([(64, 64)] * 9, steps=5, pictures=5), clock=clock())
    assert [pace.step(0, step) for step in range(5)] == [False, False, False, False, True]
    pace = Pace(Work([(64, 64)] * 9, steps=1, pictures=1), clock=clock())
    assert [pace.step(epoch, 0) for epoch in range(3)] == [False, True, False]


def test_epochs_that_were_done_before_do_not_count() -> None:
    pace = Pace(Work([(64, 64)] * 4, steps=2, pictures=10, head_epochs=0.5), epochs_done=3, clock=clock())
    assert [pace.step(3, 0), pace.step(3, 1)] == [False, True]
    assert pace.left == pytest.approx(0)
