"""A benchmark with a small network: what takes turns, what happens to what fails, what an interrupt leaves."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from places import GOLDENS

from vithybrid_cli.bench.benchmark import benchmark
from vithybrid_cli.bench.material import Material, Plan, prepared
from vithybrid_cli.bench.measurements import IN_TURN, OURS, SLOWER, Part, Subject, Timing
from vithybrid_cli.bench.result import Software
from vithybrid_cli.bench.turns import Log, Task
from vithybrid_cli.errors import UsageError

GOLDEN = GOLDENS / "hf-hybrid-small"
PLAN = Plan(
    parts=(Part.DECODE, Part.NETWORK, Part.WHOLE),
    engines=("torch",),
    dtypes=("float32",),
    batches=(2,),
    device="cpu",
    workers=1,
    repeats=2,
    seconds=0.0,
)
DECODING = Subject(Part.DECODE)
NETWORK, WHOLE = (Subject(part, OURS, "torch", "float32", 2) for part in (Part.NETWORK, Part.WHOLE))


class Told:
    """A log that keeps what it is told."""

    def __init__(self) -> None:
        self.progress: list[str] = []
        self.complaints: list[str] = []
        self.log = Log(self.progress.append, self.complaints.append)


@dataclass
class FakePeer:
    """Takes ten seconds for a picture; Ctrl-C comes with its ``interrupted_at``-th measurement."""

    name: str = "peer"
    interrupted_at: int = 0
    software: Mapping[str, Software] = field(default_factory=lambda: {"peer": Software({"peer": "1.2"})})
    measured: int = 0

    def tasks(self, part: Part, batch: int | None) -> Iterator[Task]:
        if part is Part.NETWORK:
            yield Task(Subject(part, self.name, None, "float32", batch), self._measure, lambda: None)

    def _measure(self) -> Timing:
        self.measured += 1
        if self.measured == self.interrupted_at:
            raise KeyboardInterrupt
        return Timing(10.0, 1)


@pytest.fixture(scope="module")
def material() -> Iterator[Material]:
    with prepared(str(GOLDEN), GOLDEN, [], 2, Told().log) as found:
        yield found


def test_decoding_then_the_networks_then_the_whole_way_take_turns(material: Material) -> None:
    told = Told()
    result = benchmark(PLAN, material, told.log, "the command")
    assert [list(turn) for turn in result.turns] == [[DECODING, NETWORK, WHOLE]] * 2
    assert [turn[DECODING].images for turn in result.turns] == [2, 2]
    assert [turn[NETWORK].images for turn in result.turns] == [2, 2]
    assert [turn[WHOLE].images for turn in result.turns] == [16, 16]  # eight batches: the first and last are slower
    assert [(ratio.subject, ratio.against) for ratio in result.ratios] == [(WHOLE, SLOWER), (WHOLE, IN_TURN)]
    assert (result.complete, result.errors, told.complaints) == (True, {}, [])
    assert told.progress[-3:] == ["batch 2: warming up", "batch 2: turn 1 of 2", "batch 2: turn 2 of 2"]


def test_a_result_says_what_was_asked_for_and_where_it_ran(material: Material) -> None:
    result = benchmark(replace(PLAN, parts=(Part.NETWORK,)), material, Told().log, "the command")
    record = result.record()
    assert (record["command"], record["model"]) == ("the command", str(GOLDEN))
    assert (record["pictures"], record["own_pictures"], record["repeats"], record["device"]) == (2, True, 2, "cpu")
    assert record["picture_bytes"] > 10_000
    assert record["machine"]["cores"] >= 1
    assert {"vithybrid", "python", "torch", "pillow", "numpy"} <= record["software"][OURS]["versions"].keys()
    assert record["software"][OURS]["threads"] >= 1


def test_each_batch_size_has_its_own_turns(material: Material) -> None:
    plan = replace(PLAN, parts=(Part.NETWORK,), batches=(1, 3))
    result = benchmark(plan, material, Told().log, "")
    assert [subject.batch for turn in result.turns for subject in turn] == [1, 1, 3, 3]


def test_decoding_alone_loads_no_network_and_knows_no_batches(material: Material) -> None:
    told = Told()
    result = benchmark(replace(PLAN, parts=(Part.DECODE,), batches=(1, 3)), material, told.log, "")
    assert [list(turn) for turn in result.turns] == [[DECODING]] * 2
    assert told.progress[0] == "decoding: warming up"


def test_an_engine_that_auto_has_chosen_already_is_measured_once(material: Material) -> None:
    plan = replace(PLAN, parts=(Part.NETWORK,), engines=("openvino", "auto", "torch"))
    result = benchmark(plan, material, Told().log, "")
    assert sorted(str(subject.engine) for subject in result.turns[0]) == ["openvino", "torch"]


def test_what_cannot_be_loaded_is_told_and_the_others_are_measured(material: Material) -> None:
    told = Told()
    result = benchmark(replace(PLAN, dtypes=("tf32", "float32")), material, told.log, "")
    missing = [Subject(part, OURS, "torch", "tf32") for part in (Part.NETWORK, Part.WHOLE)]
    assert list(result.errors) == missing
    assert [complaint.partition(":")[0] for complaint in told.complaints] == ["vithybrid torch tf32"]
    assert [list(turn) for turn in result.turns] == [[DECODING, NETWORK, WHOLE]] * 2


def test_a_benchmark_that_can_load_nothing_is_an_error(material: Material) -> None:
    with pytest.raises(UsageError, match="tf32"):
        benchmark(replace(PLAN, dtypes=("tf32",)), material, Told().log, "")


def test_a_benchmark_of_which_nothing_came_out_is_an_error(material: Material, tmp_path: Path) -> None:
    gone = replace(material, pictures=(str(tmp_path / "gone.jpg"),))
    with pytest.raises(UsageError, match=r"gone\.jpg cannot be labelled"):
        benchmark(replace(PLAN, parts=(Part.DECODE,)), gone, Told().log, "")


def test_a_peer_takes_its_turns_beside_ours(material: Material) -> None:
    result = benchmark(replace(PLAN, parts=(Part.NETWORK,)), material, Told().log, "", [FakePeer()])
    theirs = Subject(Part.NETWORK, "peer", None, "float32", 2)
    assert [list(turn) for turn in result.turns] == [[NETWORK, theirs]] * 2
    (ratio,) = result.ratios
    assert (ratio.subject, ratio.against) == (NETWORK, "peer")
    assert ratio.spread.values == tuple(turn[NETWORK].rate / 0.1 for turn in result.turns)
    assert result.record()["software"]["peer"]["versions"] == {"peer": "1.2"}


def test_an_interrupt_leaves_what_was_measured_before_it(material: Material) -> None:
    plan = replace(PLAN, parts=(Part.NETWORK,), repeats=5)
    result = benchmark(plan, material, Told().log, "", [FakePeer(interrupted_at=2)])
    assert result.complete is False
    assert [len(measurement.timings) for measurement in result.measurements] == [2, 1]


def test_an_interrupt_before_the_first_measurement_leaves_nothing(material: Material) -> None:
    class Interrupting(FakePeer):
        def tasks(self, part: Part, batch: int | None) -> Iterator[Task]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        benchmark(PLAN, material, Told().log, "", [Interrupting()])
