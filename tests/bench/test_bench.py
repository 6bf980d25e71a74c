"""The parts of a benchmark: what is counted, how turns go round, and what the processes at work do."""

import io
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import torch
from places import GOLDENS

from vithybrid_cli.bench import members, processes
from vithybrid_cli.bench.installed import Missing, installed
from vithybrid_cli.bench.machine import processor
from vithybrid_cli.bench.measurements import OURS, Part, Subject, Timing
from vithybrid_cli.bench.members import Member
from vithybrid_cli.bench.ours import cycled
from vithybrid_cli.bench.peers import PEERS, pillow_alone
from vithybrid_cli.bench.pictures import SIZE, make_pictures, readable
from vithybrid_cli.bench.plan import Files, Plan
from vithybrid_cli.bench.processes import process_tasks, timed
from vithybrid_cli.bench.random_weights import described, make, published, write_random
from vithybrid_cli.bench.rotation import Rotation, Task
from vithybrid_cli.bench.run import Log, Run
from vithybrid_cli.bench.serve import Request, read_paths, repeated
from vithybrid_cli.bench.worker import Crew, Failed, Fallback, Worker, why_ended
from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.load import load_network
from vithybrid_cli.errors import ImageError, ModelError, UsageError
from vithybrid_cli.hub import catalog
from vithybrid_cli.images.decode import decode
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.model.build import build
from vithybrid_cli.model.config import BitClassifierConfig, NetworkConfig, VitConfig

GOLDEN = GOLDENS / "hf-hybrid-small"
TRACEBACK = "Traceback (most recent call last):\n"
NETWORK = Request(Part.NETWORK, batch=4, images=4, seconds=0.0)


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


class FakeServer:
    """Answers each request with so many images per second; the facts are those of an engine."""

    def __init__(self, rate: float, *, fails_at: int | None = None, **facts: Any) -> None:
        self.rate, self.fails_at = rate, fails_at
        self.facts = facts
        self.requests: list[Request] = []
        self.closed: bool | None = None

    def measure(self, request: Request) -> Timing:
        self.requests.append(request)
        if len(self.requests) == self.fails_at:
            raise Failed("no memory is left")
        return Timing(request.images / self.rate, request.images)

    def close(self, *, at_once: bool = False) -> None:
        self.closed = at_once


@pytest.fixture
def plan() -> Plan:
    return Plan(
        model=GOLDEN,
        pictures=("1.jpg", "2.jpg", "3.jpg"),
        parts=(Part.DECODE, Part.NETWORK, Part.WHOLE),
        engines=("torch",),
        dtypes=("float32",),
        batches=(),
        device="cpu",
        workers=1,
        against=(),
        python=sys.executable,
        repeats=2,
        seconds=0.5,
    )


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "every", tmp_path / "first", tmp_path / "pixels")


class Told:
    """What a run says."""

    def __init__(self) -> None:
        self.progress: list[str] = []
        self.complaints: list[str] = []
        self.log = Log(self.progress.append, self.complaints.append)


# --- how much is done in a turn


@pytest.mark.parametrize(
    ("images", "seconds", "calls"),
    [
        pytest.param(4, 0.0, 1, id="once"),
        pytest.param(9, 0.0, 3, id="enough images"),
        pytest.param(4, 5.0, 3, id="enough seconds"),
        pytest.param(40, 5.0, 10, id="enough of both"),
    ],
)
def test_a_turn_has_whole_batches_until_there_are_images_and_seconds_enough(
    images: int, seconds: float, calls: int
) -> None:
    clock = FakeClock()
    request = replace(NETWORK, images=images, seconds=seconds)
    assert repeated(clock.work(2.0), request, clock=clock) == Timing(2.0 * calls, 4 * calls)


def test_calls_that_may_be_under_way_at_once_are() -> None:
    together = Barrier(2, timeout=60)  # breaks, and fails the test, if one call has to wait for the end of the other
    with ThreadPoolExecutor(2) as pool:
        timing = repeated(together.wait, replace(NETWORK, images=9), parallel=2, pool=pool)
    assert timing.images == 16  # three batches were asked for, and four are two whole rounds


def test_paths_go_round_until_enough_after_a_whole_batch() -> None:
    assert list(cycled(["a", "b", "c"], 2, lambda images: images >= 5)) == ["a", "b", "c", "a", "b", "c"]


def test_pillow_decodes_until_it_has_enough(tmp_path: Path) -> None:
    paths = make_pictures(tmp_path / "pictures", 2)
    timing = pillow_alone.decoding(Request(Part.DECODE, 1, 5, 0.0), paths)
    assert timing.images == 5


# --- turns


def counting(subject: Subject, done: list[str], fails_at: int | None = None) -> Task:
    """A task that takes down that it ran, and fails at its so-manieth measurement."""

    def measure() -> Timing:
        done.append(subject.program)
        if done.count(subject.program) == fails_at:
            raise Failed("it broke")
        return Timing(1.0, 1)

    return Task(subject, measure, lambda: done.append(f"warm {subject.program}"))


def test_tasks_take_turns_after_each_has_run_once_without_being_counted() -> None:
    done: list[str] = []
    told = Told()
    rotation = Rotation(2, told.log.progress, lambda subject, message: None)
    subjects = [Subject(Part.NETWORK, name) for name in ("a", "b")]
    rotation.run("batch 4", [counting(subject, done) for subject in subjects])
    assert done == ["warm a", "warm b", "a", "b", "a", "b"]
    assert rotation.turns == [dict.fromkeys(subjects, Timing(1.0, 1))] * 2
    assert told.progress == ["batch 4: warming up", "batch 4: turn 1 of 2", "batch 4: turn 2 of 2"]


def test_what_fails_is_left_out_from_then_on_and_the_others_go_on() -> None:
    done: list[str] = []
    complaints: list[str] = []
    rotation = Rotation(3, lambda text: None, lambda subject, message: complaints.append(message))
    bad, good = (Subject(Part.NETWORK, name) for name in ("bad", "good"))
    rotation.run("batch 4", [counting(bad, done, fails_at=2), counting(good, done)])
    assert [set(turn) for turn in rotation.turns] == [{bad, good}, {good}, {good}]
    assert (rotation.errors, complaints) == ({bad: "it broke"}, ["it broke"])
    assert done.count("bad") == 2


def test_an_interrupt_leaves_what_was_measured_before_it() -> None:
    done: list[str] = []
    rotation = Rotation(3, lambda text: None, lambda subject, message: None)
    first, second = (Subject(Part.NETWORK, name) for name in ("first", "second"))

    def interrupted() -> Timing:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rotation.run("batch 4", [counting(first, done), Task(second, interrupted, lambda: None)])
    assert rotation.turns == [{first: Timing(1.0, 1)}]


# --- a whole run, with servers that compute nothing


def open_instead(monkeypatch: pytest.MonkeyPatch, *wanted: tuple[Member, FakeServer | Failed]) -> None:
    """Let a run open these."""

    def opener(server: FakeServer | Failed) -> Callable[[], Any]:
        def start() -> FakeServer:
            if isinstance(server, Failed):
                raise server
            return server

        return start

    found = [replace(member, open=opener(server)) for member, server in wanted]
    monkeypatch.setattr(members, "ours", lambda plan, files: found)


def member(engine: str | None, dtype: str | None, *parts: Part, program: str = OURS) -> Member:
    return Member(program, engine, dtype, parts, open=lambda: pytest.fail("it is not to be opened"))


def test_a_run_measures_decoding_then_the_networks_then_the_whole_way(
    plan: Plan, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder, engine = FakeServer(100), FakeServer(10, engine="torch", batch_size=2, threads=3, gpus=["a GPU"])
    open_instead(
        monkeypatch,
        (member("torch", "float32", Part.NETWORK, Part.WHOLE), engine),
        (member(None, None, Part.DECODE), decoder),
    )
    with Run(plan, files, Told().log) as run:
        run.measure()
    decoding = Subject(Part.DECODE, OURS)
    network, whole = (Subject(part, OURS, "torch", "float32", 2) for part in (Part.NETWORK, Part.WHOLE))
    assert [list(turn) for turn in run.rotation.turns] == [[decoding, network, whole]] * 2
    # Warm-up of both parts, then twice the least of each: one batch, and eight batches or all three pictures.
    assert [(request.images, request.seconds) for request in engine.requests] == [
        (2, 0),
        (2, 0),
        *[(2, 0.5), (16, 0.5)] * 2,
    ]
    assert [request.images for request in decoder.requests] == [1, 3, 3]
    assert (run.gpus, run.software[OURS].threads) == (("a GPU",), 3)
    assert (engine.closed, decoder.closed) == (False, False)


def test_each_batch_size_that_is_asked_for_has_turns_of_its_own(
    plan: Plan, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FakeServer(10, engine="torch", batch_size=2)
    open_instead(monkeypatch, (member("torch", "float32", Part.NETWORK), engine))
    with Run(replace(plan, parts=(Part.NETWORK,), batches=(1, 8)), files, Told().log) as run:
        run.measure()
    assert [subject.batch for turn in run.rotation.turns for subject in turn] == [1, 1, 8, 8]


def test_an_engine_that_cannot_be_opened_is_told_and_the_others_are_measured(
    plan: Plan, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()
    open_instead(
        monkeypatch,
        (member("openvino", "float32", Part.NETWORK, Part.WHOLE), Failed("it is not installed", "UsageError")),
        (member("torch", "float32", Part.NETWORK, Part.WHOLE), FakeServer(10, engine="torch", batch_size=2)),
    )
    with Run(plan, files, told.log) as run:
        run.measure()
    parts = (Part.NETWORK, Part.WHOLE)
    assert run.rotation.errors == {Subject(part, OURS, "openvino", "float32"): "it is not installed" for part in parts}
    assert told.complaints == ["vithybrid openvino float32: it is not installed"]
    assert {subject.engine for turn in run.rotation.turns for subject in turn} == {"torch"}


@pytest.mark.parametrize(("kind", "error"), [("UsageError", UsageError), ("ModelError", ModelError), ("", UsageError)])
def test_an_engine_that_alone_was_asked_for_and_cannot_be_opened_ends_the_run(
    kind: str, error: type[Exception], plan: Plan, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = FakeServer(10)
    open_instead(
        monkeypatch,
        (member(None, None, Part.DECODE), decoder),
        (member("openvino", "float32", Part.NETWORK), Failed("it is not installed", kind)),
    )
    with pytest.raises(error, match="it is not installed"), Run(plan, files, Told().log) as run:
        run.measure()
    assert decoder.closed is True  # at once


def test_an_engine_that_auto_has_chosen_already_is_measured_once(
    plan: Plan, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen, named = (FakeServer(10, engine="torch", batch_size=2) for _ in range(2))
    open_instead(
        monkeypatch,
        (member("auto", "float32", Part.NETWORK), chosen),
        (member("torch", "float32", Part.NETWORK), named),
    )
    with Run(replace(plan, parts=(Part.NETWORK,)), files, Told().log) as run:
        run.measure()
    assert [subject.engine for turn in run.rotation.turns for subject in turn] == ["torch", "torch"]
    assert (named.requests, named.closed) == ([], False)


def test_a_run_of_which_nothing_of_ours_came_out_is_an_error(
    plan: Plan, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FakeServer(10, fails_at=1, engine="torch", batch_size=2)
    open_instead(monkeypatch, (member("torch", "float32", Part.NETWORK), engine))
    with pytest.raises(UsageError, match="no memory is left"), Run(plan, files, Told().log) as run:
        run.measure()


def test_peers_have_the_parts_and_types_that_are_asked_for(plan: Plan, files: Files) -> None:
    asked = replace(plan, dtypes=("float32", "bfloat16"))
    every = [(m.program, m.dtype, m.parts) for m in members.peers(asked, files, list(PEERS.values()))]
    assert every == [
        *[(name, dtype, (Part.NETWORK,)) for name in ("transformers", "timm", "openvino") for dtype in asked.dtypes],
        ("pillow", None, (Part.DECODE,)),
    ]
    assert list(members.peers(replace(plan, parts=(Part.WHOLE,)), files, list(PEERS.values()))) == []


# --- whole processes


def test_our_process_is_the_command_that_a_user_types(
    plan: Plan, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def untimed(command: list[str], images: int, cache: Path | None) -> Timing:
        commands.append(command)
        return Timing(1, images)

    monkeypatch.setattr(processes, "timed", untimed)
    (task,) = process_tasks(Part.PROCESS, plan, files, [("torch", "float32")], [PEERS["timm"]])
    assert (task.subject, task.measure().images) == (Subject(Part.PROCESS, OURS, "torch", "float32"), 3)
    task.warm_up()
    every, first = (" ".join(command) for command in commands)
    assert every.startswith(f"{sys.executable} -m vithybrid_cli classify --files-from {files.pictures} --null --model")
    assert first == every.replace(str(files.pictures), str(files.first))
    assert "--engine torch --dtype float32 --device cpu" in every


def test_a_cold_start_is_one_picture(plan: Plan, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "timed", lambda command, images, cache: Timing(1, images))
    against = [PEERS["transformers"]]
    ours, theirs = process_tasks(Part.START, plan, files, [("torch", "float32")], against)
    assert (ours.measure().images, theirs.measure().images) == (1, 1)
    assert theirs.subject == Subject(Part.START, "transformers", None, "float32")


def test_a_process_is_timed_with_its_memory() -> None:
    timing = timed([sys.executable, "-c", "block = bytes(80_000_000)"], 5)
    assert timing.images == 5
    assert timing.seconds > 0
    if sys.platform != "win32":
        assert timing.peak_bytes is not None
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # before its exec a child is as large as this
        assert 80_000_000 < timing.peak_bytes < 400_000_000 + own


def test_a_process_that_fails_is_told_by_its_exception() -> None:
    with pytest.raises(Failed, match=r"^ValueError: no such thing$"):
        timed([sys.executable, "-c", "raise ValueError('no such thing')"], 1)


@pytest.mark.parametrize(
    ("exit_code", "written", "says"),
    [
        pytest.param(-9, "a warning\n", "it was ended by the signal SIGKILL, as when memory runs out", id="signal"),
        pytest.param(1, "", "it ended with exit code 1", id="silence"),
        pytest.param(2, "first\nvithybrid: no such model\n\n", "vithybrid: no such model", id="a line"),
        pytest.param(
            1,
            f"{TRACEBACK}  File x\nKeyError: 1\n\nDuring …\n\n{TRACEBACK}  File y\n    call()\n"
            "RuntimeError: Exception from x:\nCheck failed\n",
            "RuntimeError: Exception from x: Check failed",
            id="traceback with a message of several lines",
        ),
    ],
)
def test_why_a_process_ended_is_one_line(exit_code: int, written: str, says: str) -> None:
    assert why_ended(exit_code, io.BytesIO(written.encode())) == says


# --- workers


def test_a_crew_does_its_part_each_and_is_as_fast_as_all_of_them(tmp_path: Path) -> None:
    paths = make_pictures(tmp_path / "pictures", 3)
    listed = tmp_path / "list"
    listed.write_bytes(b"".join(os.fsencode(path) + b"\0" for path in paths))
    crew = Crew([Worker("peers.pillow_alone", {"pictures": str(listed), "first": first}) for first in range(2)])
    try:
        timing = crew.measure(Request(Part.DECODE, 1, 7, 0.0))
        assert (timing.images, crew.measure(Request(Part.DECODE, 1, 1, 0.0)).images) == (8, 2)
        assert timing.seconds > 0
        assert set(crew.facts["versions"]) == {"python", "pillow"}
    finally:
        crew.close()


def test_another_way_is_taken_once_where_the_first_one_fails() -> None:
    opened: list[FakeServer] = []

    def opening(fails_at: int) -> Callable[[], Any]:
        def start() -> FakeServer:
            opened.append(FakeServer(10, fails_at=fails_at))
            return opened[-1]

        return start

    server = Fallback(opening(1), opening(2))
    assert server.measure(NETWORK).images == 4
    assert [len(worker.requests) for worker in opened] == [1, 1]
    assert opened[0].closed is True
    with pytest.raises(Failed):
        server.measure(NETWORK)


def test_what_a_user_can_mend_comes_out_of_a_worker_with_its_kind(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="of no/such-model is not known") as caught:
        Worker("random_weights", {"model": "no/such-model", "out": str(tmp_path)})
    assert isinstance(caught.value.as_ours(), UsageError)


# --- is it there


def fake_python(tmp_path: Path, answer: str) -> str:
    """A program that answers to whatever it is asked."""
    file = tmp_path / "python"
    file.write_text(f"#!/bin/sh\necho '{answer}'\n")
    file.chmod(0o755)
    return str(file)


def test_a_peer_that_is_there_gives_its_versions(tmp_path: Path) -> None:
    python = fake_python(tmp_path, '{"python": "3.13.1", "torch": "2.13", "transformers": "4.57.6", "pillow": "12"}')
    assert installed(PEERS["transformers"], python)["transformers"] == "4.57.6"


@pytest.mark.parametrize(
    ("peer", "answer", "says"),
    [
        pytest.param(
            "timm", '{"python": "3.12.0", "torch": "2"}', "has no timm: {python} -m pip install torch timm", id="absent"
        ),
        pytest.param(
            "transformers",
            '{"python": "3.12.0", "torch": "2", "transformers": "5.1", "pillow": "12"}',
            "transformers 5.1 has no Hybrid ViT any more: {python} -m pip install torch transformers==4.57.6 pillow",
            id="too new",
        ),
        pytest.param("timm", '{"python": "3.10.2"}', "is Python 3.10.2, and 3.11 is needed", id="old Python"),
    ],
)
def test_a_peer_that_is_not_there_names_the_command_of_pip(peer: str, answer: str, says: str, tmp_path: Path) -> None:
    python = fake_python(tmp_path, answer)
    with pytest.raises(Missing) as caught:
        installed(PEERS[peer], python)
    assert says.format(python=python) in str(caught.value)


def test_our_own_python_is_not_to_get_what_replaces_our_libraries() -> None:
    with pytest.raises(Missing, match=r"python3 -m venv peers && peers/bin/pip install torch transformers==4\.57\.6"):
        installed(PEERS["transformers"], sys.executable)


@pytest.mark.parametrize("name", ["no-such-python", "README.md"])
def test_what_is_no_python_is_wrong_usage(name: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("words")
    with pytest.raises(UsageError, match="is no Python that runs"):
        installed(PEERS["timm"], str(tmp_path / name))


# --- pictures, weights and the machine


def test_pictures_are_made_the_same_each_time_and_are_as_large_as_photographs(tmp_path: Path) -> None:
    once, again = (make_pictures(tmp_path / name, 5) for name in ("once", "again"))
    contents = [Path(path).read_bytes() for path in once]
    assert contents == [Path(path).read_bytes() for path in again]
    assert len(set(contents)) == 5
    assert all(80_000 < len(content) < 140_000 for content in contents)
    assert [decode(path).size for path in once] == [SIZE, SIZE, SIZE, SIZE[::-1], SIZE]


def test_pictures_that_cannot_be_read_come_with_the_reason(tmp_path: Path) -> None:
    (good,) = make_pictures(tmp_path / "pictures", 1)
    bad = str(tmp_path / "pictures" / "bad.jpg")
    Path(bad).write_bytes(b"")
    found = dict(readable([str(tmp_path / "pictures")]))
    assert found[good] is None
    assert isinstance(found[bad], ImageError)


def test_the_files_of_a_run_hold_all_pictures_the_first_and_pixels(tmp_path: Path) -> None:
    files = Files.write(tmp_path, ["a b.jpg", "line\nbreak.jpg"], (6, 8))
    assert read_paths(str(files.pictures)) == ["a b.jpg", "line\nbreak.jpg"]
    assert read_paths(str(files.first)) == ["a b.jpg"]


def test_the_network_without_its_download_has_the_published_size() -> None:
    config, preprocessing = described("base-384")
    with torch.device("meta"):
        network = build(config)
    assert config == published()
    assert sum(parameter.numel() for parameter in network.parameters()) == catalog.BASE_384.parameters
    assert (config.image_size, preprocessing.output_size) == ((384, 384), (384, 384))


def test_a_folder_needs_no_weights_to_get_random_ones(tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "config.json").write_bytes((GOLDEN / "config.json").read_bytes())
    config, preprocessing = described(str(tmp_path / "bare"))
    write_random(config, preprocessing, tmp_path / "made")
    folder = Checkpoint.read(tmp_path / "made")
    logits = load_network(folder)(torch.rand(2, 3, *config.image_size))
    assert folder.preprocessing == preprocessing == Preprocessing.default(config.image_size)
    assert logits.isfinite().all()
    assert logits.std() > 0.01


@pytest.mark.parametrize("name", ["r26-s32-384", "timm/vit_small_r26_s32_384.augreg_in21k_ft_in1k"])
def test_each_model_of_the_catalog_is_known_without_its_download(name: str) -> None:
    config, preprocessing = described(name)
    assert isinstance(config, VitConfig)
    assert config.backbone is not None
    assert (config.image_size, config.backbone.depths) == ((384, 384), (2, 2, 2, 2))
    assert (preprocessing.output_size, preprocessing.image_mean) == ((384, 384), (0.5, 0.5, 0.5))


def smaller(config: NetworkConfig) -> NetworkConfig:
    """A network of the same parts, with one block in each stage and two narrow layers."""
    backbone = config.backbone
    if backbone is not None:
        widths, depths = (32, 64, 64, 64)[: len(backbone.depths)], (1, 1, 1, 1)[: len(backbone.depths)]
        backbone = replace(backbone, embedding_size=16, num_groups=4, hidden_sizes=widths, depths=depths)
    if isinstance(config, BitClassifierConfig):
        assert backbone is not None
        return replace(config, backbone=backbone, labels=config.labels[:8])
    encoder = replace(config.encoder, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
    return replace(config, encoder=encoder, backbone=backbone, labels=config.labels[:8])


@pytest.mark.parametrize(
    ("alias", "outputs"),
    [
        pytest.param("r-ti16-224", 8, id="hybrid with a stem alone"),
        pytest.param("r26-s32-224", 8, id="hybrid of four stages"),
        pytest.param("vit-base-224", 8, id="vit"),
        pytest.param("deit-base-distilled", 8, id="distilled deit"),
        pytest.param("dino-vits16", 32, id="dino without a head"),
        pytest.param("beit-base", 8, id="beit"),
        pytest.param("bit-50", 8, id="bit"),
    ],
)
def test_each_family_with_random_weights_is_read_back(alias: str, outputs: int, tmp_path: Path) -> None:
    full, preprocessing = described(alias)
    config = smaller(full)
    write_random(config, preprocessing, tmp_path)
    folder = Checkpoint.read(tmp_path)
    assert (folder.config, folder.preprocessing) == (config, preprocessing)
    logits = load_network(folder)(torch.rand(2, 3, *config.image_size))
    assert logits.shape == (2, outputs)
    assert logits.isfinite().all()
    assert logits.std() > 0.01


def test_a_network_without_a_head_is_not_measured(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="dino-vits16 has no head"):
        make("dino-vits16", tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_the_architecture_of_another_model_of_the_hub_is_not_known() -> None:
    with pytest.raises(UsageError, match=r"somebody/some-model is not known\. Give -m an alias of `vithybrid models`"):
        described("somebody/some-model")


def test_the_processor_is_named_with_its_family_and_model(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\nmodel name\t: other\n")
    assert processor(cpuinfo) == "AMD EPYC (cpu family 25, model 17)"
    assert processor(tmp_path / "nothing")


def test_the_measuring_code_runs_where_the_package_is_not_installed(tmp_path: Path) -> None:
    """With nothing of ours but what ``child.py`` brings: no site-packages, so neither NumPy nor Pillow."""
    child = Path(members.__file__).parent / "child.py"
    package = child.parent.parent
    command = [sys.executable, "-S", str(child), str(package), "vithybrid_cli.bench.serve", "{}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "has no attribute 'main'" in done.stderr  # the module was found and imported
