"""What a device reaches, with a clock that is known, and how time is taken on a CPU and on a GPU."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from vithybrid_cli.bench.place import Call, Place, between_events, on_the_clock
from vithybrid_cli.bench.reach import LONGEST_ROUND, Reach, SquareReach, that_matter
from vithybrid_cli.bench.work import Convolution, Layer, Product
from vithybrid_cli.errors import UsageError

CPU = torch.device("cpu")
HERE = Place((CPU,), "float32")
LARGE, SMALL = Convolution(4, 8, 3, 1, 4, 4), Convolution(4, 8, 1, 1, 4, 4)  # nine to one
PRODUCT = Product(2, 3, 5)


class Machine:
    """Takes so many seconds for a call, by what is called; its clock moves by that."""

    def __init__(self, seconds: Callable[[Any], float]) -> None:
        self.seconds = seconds
        self.now = 0.0
        self.called: list[tuple[int, int]] = []  # devices and calls of each run

    def timer(self, calls: Sequence[Call], times: int) -> float:
        took = times * self.seconds(calls[0])
        self.now += took
        self.called.append((len(calls), times))
        return took

    def clock(self) -> float:
        return self.now


def reach(machine: Machine, layers: dict[Layer, int], **others: Any) -> Reach:
    settings: dict[str, Any] = {"place": HERE, "batch": 2, "seconds": 0.0, **others}
    return Reach(layers=layers, timer=machine.timer, clock=machine.clock, **settings)


def kernel(call: Any) -> int:
    """The side of the kernel of a call of ``conv2d``."""
    return int(call.args[1].shape[2])


def test_each_layer_weighs_as_much_as_it_does_in_the_network() -> None:
    machine = Machine(lambda call: 0.25 if kernel(call) == 3 else 0.125)
    measured = reach(machine, {LARGE: 3, SMALL: 2}, flop=10 * SMALL.flop * 29)
    measured.warm_up()
    found = measured.measure()
    assert found.flop_per_second == 2 * (3 * LARGE.flop + 2 * SMALL.flop) / (3 * 0.25 + 2 * 0.125)
    assert found.share == pytest.approx(0.1)  # 27 + 2 of 290
    assert found.shapes == (LARGE.name, SMALL.name)


def test_the_fastest_run_of_a_turn_counts() -> None:
    took = iter([0.5, 0.5, 0.5, 0.125, 0.25])
    measured = reach(Machine(lambda call: next(took)), {LARGE: 1})
    measured.warm_up()  # two runs
    assert measured.measure().flop_per_second == 2 * LARGE.flop / 0.125


def test_the_faster_way_of_a_product_counts() -> None:
    machine = Machine(lambda call: 0.125 if call.func is F.linear else 0.25)
    measured = reach(machine, {PRODUCT: 1})
    measured.warm_up()
    assert measured.measure().flop_per_second == 2 * PRODUCT.flop / 0.125


def test_short_calls_are_repeated_until_they_make_a_run() -> None:
    machine = Machine(lambda call: 2.0**-10)
    measured = reach(machine, {LARGE: 1})
    measured.warm_up()
    rate = measured.measure().flop_per_second
    assert machine.called == [(1, 1), (1, 1), (1, 6), (1, 6), (1, 6)]
    assert rate == 2 * LARGE.flop * 2**10


def test_a_turn_lasts_as_long_as_it_was_asked_to() -> None:
    machine = Machine(lambda call: 0.5)
    measured = reach(machine, {LARGE: 1}, seconds=4.0)
    measured.warm_up()
    measured.measure()
    assert len(machine.called) == 2 + 8


def test_gpus_that_compute_at_the_same_time_add_up() -> None:
    machine = Machine(lambda call: 0.5)
    measured = reach(machine, {LARGE: 1}, place=Place((CPU, CPU), "float32"))
    measured.warm_up()
    assert measured.measure().flop_per_second == 2 * 2 * LARGE.flop / 0.5
    assert machine.called == [(2, 1)] * 5


def test_where_a_type_is_slow_the_layers_with_little_work_are_left_out() -> None:
    machine = Machine(lambda call: 2 * LONGEST_ROUND)
    measured = reach(machine, {SMALL: 1, LARGE: 1}, flop=LARGE.flop + SMALL.flop)
    measured.warm_up()
    found = measured.measure()
    assert found.shapes == (LARGE.name,)
    assert found.share == pytest.approx(0.9)
    assert machine.called == [(1, 1), (1, 1)]  # once to warm up, once in the turn


def test_a_turn_ends_between_two_layers_where_the_machine_has_become_slow() -> None:
    slow = iter([0.1] * 4 + [LONGEST_ROUND] * 2)
    machine = Machine(lambda call: next(slow))
    measured = reach(machine, {SMALL: 1, LARGE: 1})
    measured.warm_up()
    assert measured.measure().shapes == (LARGE.name, SMALL.name)  # each once


@pytest.mark.parametrize(
    ("rate", "side"), [pytest.param(1e12, 2048, id="fast"), pytest.param(1e10, 1024, id="slow"), (1e9, 512)]
)
def test_the_square_product_is_the_largest_that_does_not_take_too_long(rate: float, side: int) -> None:
    machine = Machine(lambda call: 2 * call.args[0].numel() * len(call.args[1]) / rate)
    pointwise_too = SquareReach(HERE, {}, 1, 0.0, clock=machine.clock, timer=machine.timer)
    pointwise_too.warm_up()
    found = pointwise_too.measure()
    assert (found.shapes, found.share) == ((f"{side}³",), None)
    assert found.flop_per_second == pytest.approx(rate, rel=0.001)


def test_layers_of_a_single_token_do_not_matter() -> None:
    whole, token = Product(577, 768, 768), Product(1, 768, 768)
    assert that_matter({whole: 11, token: 1}) == {whole: 11}
    assert that_matter({token: 1}) == {token: 1}  # all that there is
    assert that_matter({}) == {}


def test_small_layers_are_really_computed_here() -> None:
    measured = Reach(Place.of("cpu", "cpu", "bfloat16", None), {LARGE: 1, PRODUCT: 2}, 2, 0.0)
    measured.warm_up()
    assert measured.measure().flop_per_second > 0


@pytest.fixture
def threads() -> Iterator[int]:
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


def test_a_cpu_computes_with_the_threads_of_the_engine(threads: int) -> None:
    with Place.of("cpu", "auto", "float32", 1).computing():
        assert torch.get_num_threads() == 1
        assert torch.is_inference_mode_enabled()
    assert Place.of("cpu", "auto", "float32", None).threads is not None


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "The free memory of cpu is too small"),
        (NotImplementedError("not implemented for 'Half'"), "cannot compute this in float32 on cpu"),
    ],
)
def test_what_does_not_fit_or_is_not_there_is_an_error_for_people(error: Exception, says: str) -> None:
    with pytest.raises(UsageError, match=says), HERE.computing():
        raise error


def test_on_a_clock_nothing_is_waited_for_between_the_runs() -> None:
    done: list[str] = []
    now = iter([1.0, 3.5])
    calls = [partial(done.append, name) for name in ("a", "b")]
    assert on_the_clock(lambda: done.append("wait"), calls, 2, lambda: next(now)) == 2.5
    assert done == ["wait", "a", "b", "a", "b", "wait"]


def test_a_gpu_is_timed_by_its_own_events_and_waited_for_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    current = ["none"]

    class Event:
        """Of the device that is current; it took as many milliseconds as there were calls before it, and ten times."""

        def __init__(self, *, enable_timing: bool) -> None:
            assert enable_timing
            self.at = 0

        def record(self) -> None:
            done.append(f"event on {current[0]}")
            self.at = len(done)

        def synchronize(self) -> None:
            done.append("wait")

        def elapsed_time(self, other: "Event") -> float:
            return 10.0 * (other.at - self.at)

    @contextmanager
    def on(device: torch.device) -> Iterator[None]:
        current[0] = str(device)
        yield

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "device", on)
    devices = [torch.device("cuda", index) for index in range(2)]
    calls = [lambda: done.append(f"call on {current[0]}")] * 2
    assert between_events(devices, calls, 3) == 0.04
    each = [["event on " + name, *["call on " + name] * 3, "event on " + name] for name in ("cuda:0", "cuda:1")]
    assert done == [*each[0], *each[1], "wait", "wait"]


def test_a_gpu_has_its_switch_for_tf32_set_before_each_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    switched: list[bool] = []
    monkeypatch.setattr("vithybrid_cli.engines.torch_devices.set_tf32", switched.append)
    for dtype in ("tf32", "float32"):
        with Place((torch.device("cuda", 0),), dtype).computing():
            pass
    assert switched == [True, False]
