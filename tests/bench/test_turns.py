"""How tasks take turns, and how much is done in one."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from vithybrid_cli.bench.amount import Amount, cycled, repeated
from vithybrid_cli.bench.measurements import Part, Subject, Timing
from vithybrid_cli.bench.turns import Log, Task, Turns
from vithybrid_cli.errors import UsageError

ONE_BATCH = Amount(batch=4, images=4, seconds=0.0)
SILENT = Log(lambda text: None, lambda text: None)


class FakeClock:
    """A clock that only moves when something is done."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def work(self, seconds: float) -> Callable[[], None]:
        def call() -> None:
            self.now += seconds

        return call


@pytest.mark.parametrize(
    ("images", "seconds", "calls"),
    [
        pytest.param(4, 0.0, 1, id="once"),
        pytest.param(9, 0.0, 3, id="enough images"),
        pytest.param(4, 5.0, 3, id="enough seconds"),
        pytest.param(40, 5.0, 10, id="enough of both"),
    ],
)
def test_a_turn_has_whole_batches_until_images_and_seconds_are_reached(images: int, seconds: float, calls: int) -> None:
    clock = FakeClock()
    amount = replace(ONE_BATCH, images=images, seconds=seconds)
    assert repeated(clock.work(2.0), amount, clock=clock) == Timing(2.0 * calls, 4 * calls)


def test_calls_run_at_the_same_time_in_a_pool() -> None:
    together = Barrier(2, timeout=60)  # breaks, and fails the test, if one call has to wait for the end of the other
    with ThreadPoolExecutor(2) as pool:
        timing = repeated(together.wait, replace(ONE_BATCH, images=9), parallel=2, pool=pool)
    assert timing.images == 16  # three batches were asked for, and four are two whole rounds


def test_paths_go_round_until_a_whole_number_of_batches_is_enough() -> None:
    amount = Amount(batch=2, images=5, seconds=0.0)
    assert list(cycled(["a", "b", "c"], amount, 0.0, FakeClock())) == ["a", "b", "c", "a", "b", "c"]


def counting(subject: Subject, done: list[str], fails_at: int | None = None) -> Task:
    """A task that notes that it ran; its ``fails_at``-th measurement fails."""

    def measure() -> Timing:
        done.append(subject.program)
        if done.count(subject.program) == fails_at:
            raise UsageError("It broke.")
        return Timing(1.0, 1)

    return Task(subject, measure, lambda: done.append(f"warm {subject.program}"))


def test_tasks_take_turns_after_each_has_run_once_untimed() -> None:
    done: list[str] = []
    said: list[str] = []
    turns = Turns(2, Log(said.append, said.append))
    subjects = [Subject(Part.NETWORK, name) for name in ("a", "b")]
    turns.run("batch 4", [counting(subject, done) for subject in subjects])
    assert done == ["warm a", "warm b", "a", "b", "a", "b"]
    assert turns.turns == [dict.fromkeys(subjects, Timing(1.0, 1))] * 2
    assert said == ["batch 4: warming up", "batch 4: turn 1 of 2", "batch 4: turn 2 of 2"]


def test_a_task_that_fails_is_dropped_and_the_others_go_on() -> None:
    done: list[str] = []
    complaints: list[str] = []
    turns = Turns(3, Log(lambda text: None, complaints.append))
    bad, good = (Subject(Part.NETWORK, name) for name in ("bad", "good"))
    turns.run("batch 4", [counting(bad, done, fails_at=2), counting(good, done)])
    assert [set(turn) for turn in turns.turns] == [{bad, good}, {good}, {good}]
    assert {subject: str(error) for subject, error in turns.errors.items()} == {bad: "It broke."}
    assert complaints == ["bad, network: It broke."]
    assert done.count("bad") == 2


def test_an_interrupt_leaves_what_its_turn_has_measured() -> None:
    done: list[str] = []
    turns = Turns(3, SILENT)
    first, second = (Subject(Part.NETWORK, name) for name in ("first", "second"))

    def interrupted() -> Timing:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        turns.run("batch 4", [counting(first, done), Task(second, interrupted, lambda: None)])
    assert turns.turns == [{first: Timing(1.0, 1)}]
