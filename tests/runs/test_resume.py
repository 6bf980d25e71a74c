"""``classify -o FILE --resume``: however a run ended, the file becomes what one run without a break writes."""

import errno
import fcntl
import io
import json
import os
import pty
import random
import re
import resource
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL
import pytest
import typer
from fake_program import LABELS, FakeEngine, fake_classifier, open_fake
from PIL import Image
from places import GOLDENS, ROOT
from typer.testing import CliRunner

from vithybrid_cli.commands.app import app
from vithybrid_cli.commands.classify import classify
from vithybrid_cli.commands.guard import as_flag
from vithybrid_cli.commands.progress import Progress
from vithybrid_cli.errors import options_spelt
from vithybrid_cli.output import Format, open_writer
from vithybrid_cli.output.read_back import READABLE, DamagedOutput, read_back
from vithybrid_cli.pipeline.batches import Batches
from vithybrid_cli.results import ImageResult, Prediction
from vithybrid_cli.runs.interrupts import Interrupted, Interrupts
from vithybrid_cli.runs.record import open_record
from vithybrid_cli.runs.resume import resume_point
from vithybrid_cli.sources.inputs import Sources

MODEL = str(GOLDENS / "hf-hybrid-small")
OTHER_MODEL = str(GOLDENS / "hf-hybrid-patch2-odd")
PROGRAM = [sys.executable, str(ROOT / "tests" / "fake_program.py"), "classify", "-m", MODEL]
UNDECODABLE = os.fsdecode(b"caf\xe9.png")

every_format = pytest.mark.parametrize("output_format", [pytest.param(item, id=item) for item in READABLE])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with twelve pictures of different brightness, a white one, and files that are none."""
    for number in range(12):
        Image.new("RGB", (4, 4), (20 * number,) * 3).save(tmp_path / f"{number}.png")
    Image.new("RGB", (4, 4), "white").save(tmp_path / "4a.png")  # which has no numbers as its scores
    for name in ("0a.png", "2a.png", "2b.png"):
        (tmp_path / name).write_bytes(b"no picture")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs in this process has the engine of fake_program, and a cache of its own."""
    monkeypatch.setenv("VITHYBRID_CACHE", str(tmp_path / ".cache"))
    monkeypatch.setattr("vithybrid_cli.runs.label.open_classifier", open_fake)


def run(*arguments: str, stdin: bytes | None = None) -> Any:
    """Run classify in this process; the result has exit_code, stdout and stderr."""
    return CliRunner().invoke(app, ["classify", "-m", MODEL, *arguments], input=stdin, catch_exceptions=False)


def resume(output: Path, inputs: Sequence[str], top_k: int = 5, threshold: float | None = None) -> int:
    """The exit code of a resumed run; typer's reading of arguments takes longer than all the rest."""
    try:
        with options_spelt(as_flag):
            classify(list(inputs), MODEL, output=output, resume=True, top_k=top_k, threshold=threshold, quiet=True)
    except typer.Exit as end:
        return end.exit_code
    return 0


def start(*arguments: str, seconds_per_batch: float = 0.05, **options: Any) -> subprocess.Popen[bytes]:
    """Start classify in a process of its own."""
    environment = {**os.environ, "SECONDS_PER_BATCH": str(seconds_per_batch)}
    return subprocess.Popen([*PROGRAM, *arguments], env=environment, stderr=subprocess.PIPE, **options)


def wait_for(file: Path, size: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until ``file`` has at least ``size`` bytes, or the process has ended."""
    while process.poll() is None and not (file.exists() and file.stat().st_size >= size):
        time.sleep(0.002)


def names(output: Path, output_format: Format) -> list[str]:
    with output.open("rb") as stream:
        return [result.path for result in read_back(output_format, stream, len(LABELS))]


# What a resumed run writes


def assert_mended(
    output: Path, inputs: Sequence[str], cuts: Iterable[int], top_k: int = 5, threshold: float | None = None
) -> None:
    """Cut a file at each of these bytes, and compare what a resumed run makes of it with the whole.

    A run depends on nothing but where it begins, so it is made once for each beginning.
    """
    assert resume(output, inputs, top_k, threshold) == 1
    whole, items, begun = output.read_bytes(), list(Sources(tuple(inputs)).items()), set()
    for cut in cuts:
        output.write_bytes(whole[:cut])
        record = open_record(output, Format(output.suffix[1:]), "resume")
        begin = resume_point(record, iter(items), strict=False)
        assert begin.end <= cut
        assert begin.complete or list(begin.items) == items[begin.done :]
        if begin.done not in begun or cut == len(whole) - 1:
            begun.add(begin.done)
            assert (cut, resume(output, inputs, top_k, threshold)) == (cut, 1)
            assert output.read_bytes() == whole, f"cut after {cut} bytes"
    assert len(begun) > 1


@every_format
def test_a_file_that_is_cut_at_any_byte_becomes_what_one_run_writes(folder: Path, output_format: Format) -> None:
    (folder / "3.png").rename(folder / "b\nc.png")
    inputs = ["1.png", UNDECODABLE, "b\nc.png", "2.png", "4.png"]  # the second is missing: batches of 3 and 1 pictures
    output = folder / f"out.{output_format}"
    assert resume(output, inputs, 2) == 1
    assert_mended(output, inputs, range(output.stat().st_size), 2)


@every_format
def test_a_run_goes_on_where_batches_end_whatever_was_in_them(folder: Path, output_format: Format) -> None:
    output = folder / f"out.{output_format}"
    assert resume(output, ["."]) == 1
    assert_mended(output, ["."], [end.start() for end in re.finditer(b"\n", output.read_bytes())])


@pytest.mark.parametrize("output_format", ["csv", "tsv"])
def test_a_picture_may_have_any_number_of_rows(folder: Path, output_format: str) -> None:
    output = folder / f"out.{output_format}"
    assert resume(output, ["."], threshold=0.25) == 1
    cuts = [end.end() for end in re.finditer(b"\n", output.read_bytes())]
    assert_mended(output, ["."], cuts, threshold=0.25)


@pytest.mark.parametrize(
    "output_format",
    [pytest.param(item, id=item, marks=[pytest.mark.thorough] * (item in ("json", "tsv"))) for item in READABLE],
)
def test_a_run_that_is_killed_again_and_again_ends_as_one_without_a_break(folder: Path, output_format: Format) -> None:
    inputs = ["."] * 3
    assert run(*inputs, "-o", f"whole.{output_format}").exit_code == 1
    whole, output = Path(f"whole.{output_format}").read_bytes(), Path(f"out.{output_format}")
    moments = random.Random(output_format)
    for share in sorted(moments.uniform(0, 1) for _ in range(3)):
        with start(*inputs, "-o", str(output), "--resume", "-q") as process:
            wait_for(output, int(share * len(whole)), process)
            time.sleep(moments.uniform(0, 0.05))
            process.kill()
        assert not output.exists() or output.stat().st_size <= len(whole)
    assert resume(output, inputs) == 1
    assert output.read_bytes() == whole
    assert {file.name for file in folder.glob("*.run.json*")} == {
        f"{name}.{output_format}.run.json" for name in ("whole", "out")
    }


@every_format
def test_a_run_begins_where_there_is_no_file_or_an_empty_one(folder: Path, output_format: Format) -> None:
    run(".", "-o", f"whole.{output_format}")
    output = Path(f"out.{output_format}")
    for _ in range(2):
        assert resume(output, ["."]) == 1
        assert output.read_bytes() == Path(f"whole.{output_format}").read_bytes()
        output.write_bytes(b"")


@every_format
def test_a_finished_file_is_left_as_it_is_and_its_failures_count(
    folder: Path, output_format: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = Path(f"out.{output_format}")
    run("0.png", "0a.png", "-o", str(output))
    before = output.read_bytes(), output.stat().st_mtime_ns
    monkeypatch.setattr("vithybrid_cli.runs.label.open_classifier", None)  # there is nothing to classify
    done = run("0.png", "0a.png", "-o", str(output), "--resume")
    assert (done.exit_code, done.stdout, done.stderr) == (1, "", f"{output} has the results of all 2 inputs\n")
    assert (output.read_bytes(), output.stat().st_mtime_ns) == before


@every_format
def test_inputs_that_were_added_at_the_end_are_added_to_a_finished_file(folder: Path, output_format: Format) -> None:
    run(".", "11.png", "-o", f"whole.{output_format}")
    run(".", "-o", f"out.{output_format}")
    assert resume(Path(f"out.{output_format}"), [".", "11.png"]) == 1
    assert Path(f"out.{output_format}").read_bytes() == Path(f"whole.{output_format}").read_bytes()


def test_what_is_done_is_not_read_again(folder: Path) -> None:
    run("0.png", "1.png", "2.png", "3.png", "-o", "out.jsonl")
    whole = Path("out.jsonl").read_bytes()
    for name in ("0.png", "1.png", "2.png"):
        Path(name).unlink()
    Path("out.jsonl").write_bytes(whole[:-1])
    assert resume(Path("out.jsonl"), ["0.png", "1.png", "2.png", "3.png"]) == 0
    assert Path("out.jsonl").read_bytes() == whole


def test_a_list_from_a_stream_goes_on_with_each_input_once_and_in_order(folder: Path) -> None:
    paths = [f"{number % 12}.png" for number in range(40)]
    listed = "\n".join(paths).encode()
    run("-", "-o", "out.csv", stdin=listed)
    whole = Path("out.csv").read_bytes()
    Path("out.csv").write_bytes(whole[: len(whole) * 2 // 3])
    done = run("-", "-o", "out.csv", "--resume", stdin=listed)
    assert done.exit_code == 0
    assert re.fullmatch(r"resuming after \d+ pictures\n", done.stderr)
    assert names(Path("out.csv"), Format.CSV) == paths


def test_a_strict_run_tries_the_picture_again_at_which_it_stopped(folder: Path) -> None:
    inputs = ["0.png", "1.png", "2.png", "0a.png", "3.png", "4.png"]  # the bad one is a batch of its own
    assert run(*inputs, "-o", "out.jsonl", "--strict").exit_code == 1
    stopped = Path("out.jsonl").read_bytes()
    assert run(*inputs, "-o", "out.jsonl", "--strict", "--resume").exit_code == 1
    assert Path("out.jsonl").read_bytes() == stopped
    Image.new("RGB", (4, 4)).save("0a.png")
    assert run(*inputs, "-o", "out.jsonl", "--strict", "--resume").exit_code == 0
    run(*inputs, "-o", "whole.jsonl")
    assert Path("out.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("first", "then", "says"),
    [
        pytest.param([], ["--image-size", "96"], "--image-size 64, now 96", id="another than its own"),
        pytest.param(["--image-size", "96"], [], "--image-size 96, now 64", id="left out"),
        pytest.param([], ["--image-size", "64"], "has the results of all 2 inputs", id="its own by number"),
    ],
)
def test_a_run_goes_on_with_pictures_of_the_same_size(
    folder: Path, first: list[str], then: list[str], says: str
) -> None:
    run("0.png", "1.png", "-o", "out.jsonl", *first)
    assert says in run("0.png", "1.png", "-o", "out.jsonl", "--resume", *then).stderr


def test_a_new_run_without_resume_writes_over_the_file_and_its_record(folder: Path) -> None:
    run(".", "-o", "out.jsonl", "-k", "3")
    run("0.png", "-o", "out.jsonl", "-k", "2")
    assert names(Path("out.jsonl"), Format.JSONL) == ["0.png"]
    assert json.loads(Path("out.jsonl.run.json").read_text(encoding="utf-8"))["top_k"] == 2
    run("0.png", "-o", "out.jsonl", "-f", "table")
    assert not Path("out.jsonl.run.json").exists()


def test_the_record_tells_all_that_decides_the_results(folder: Path) -> None:
    run("0.png", "-o", "out.jsonl", "--device", "cuda:1")
    record = json.loads(Path("out.jsonl.run.json").read_text(encoding="utf-8"))
    assert sorted(record.pop("model")["sha256"]) == ["config.json", "model.safetensors", "preprocessor_config.json"]
    assert sorted(record) == [
        "activation",
        "allow_truncated",
        "attention",
        "background",
        "batch_size",
        "compile",
        "device",
        "dtype",
        "engine",
        "environment",
        "fast_jpeg",
        "format",
        "image_size",
        "live",
        "max_bytes",
        "max_pixels",
        "raw_preview",
        "threshold",
        "top_k",
        "version",
    ]
    assert (record["device"], record["batch_size"], record["image_size"]) == ("cuda", 3, "64")
    assert (record["live"], record["environment"]) == (False, {"Pillow": PIL.__version__, "fake": "1"})


def test_a_record_that_cannot_be_written_again_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Unwritable(ShortOfMemory):
        def run(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
            if self.batches == 2:
                Path("out.jsonl.run.json").unlink()
                Path("out.jsonl.run.json").mkdir()
            return super().run(pixels)

    opened = fake_classifier(Unwritable())
    monkeypatch.setattr("vithybrid_cli.runs.label.open_classifier", lambda *_: opened)
    done = run(*(f"{number}.png" for number in range(12)), "-o", "out.jsonl")
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (
        2,
        "vithybrid: Cannot write to out.jsonl.run.json: Is a directory. Give another --output.",
    )


def test_the_record_says_that_a_list_was_live(folder: Path) -> None:
    run("-", "-o", "out.jsonl", stdin=b"0.png\n")
    assert json.loads(Path("out.jsonl.run.json").read_text(encoding="utf-8"))["live"] is True


class ShortOfMemory(FakeEngine):
    """Finds in its third batch that no more than two pictures fit into memory at once."""

    batches = 0

    def run(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        self.batches += 1
        if self.batches == 3:
            self.batch_limit = 2
        return super().run(pixels)


def test_a_run_that_found_how_much_fits_into_memory_goes_on_with_that(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = [f"{number}.png" for number in range(12)]
    with monkeypatch.context() as patched:
        opened = fake_classifier(ShortOfMemory())
        patched.setattr("vithybrid_cli.runs.label.open_classifier", lambda *_: opened)
        run(*inputs, "-o", "out.jsonl")
    lines = Path("out.jsonl").read_bytes().splitlines(keepends=True)
    assert json.loads(Path("out.jsonl.run.json").read_text(encoding="utf-8"))["batch_limit"] == 2
    Path("out.jsonl").write_bytes(b"".join(lines[:9]))  # three batches
    assert run(*inputs, "-o", "out.jsonl", "--resume").exit_code == 0
    assert Path("out.jsonl").read_bytes().splitlines(keepends=True) == lines


# What is refused


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["-k", "3"], "--top-k 5, now 3", id="top-k"),
        pytest.param(["--threshold", "0.5"], "no --threshold, now 0.5", id="threshold"),
        pytest.param(["-b", "2"], "--batch-size 3, now 2", id="batch size"),
        pytest.param(["--dtype", "float16"], "--dtype float32, now float16", id="dtype"),
        pytest.param(["--attention", "eager"], "--attention sdpa, now eager", id="attention"),
        pytest.param(["--compile"], "no --compile, now with it", id="compile"),
        pytest.param(["--background", "white"], "no --background, now white", id="background"),
        pytest.param(["--max-pixels", "9"], "--max-pixels 178956970, now 9", id="limit"),
        pytest.param(["-f", "csv"], "--format jsonl, now csv", id="format"),
        pytest.param(["--engine", "torch"], "--engine fake, now torch", id="engine"),
        pytest.param(["-m", OTHER_MODEL], f"the model {MODEL}, now {OTHER_MODEL}", id="model"),
        pytest.param(["-m", "base-384"], f"the model {MODEL}, now base-384", id="model that is not here"),
        pytest.param(["-k", "3", "-b", "2"], "--top-k 5, now 3; --batch-size 3, now 2", id="several"),
    ],
)
def test_a_file_of_another_model_or_of_other_options_is_refused(
    folder: Path, arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(folder / "no-cache"))
    run(".", "-o", "out.jsonl")
    whole = Path("out.jsonl").read_bytes()
    done = run(".", "-o", "out.jsonl", "--resume", *arguments)
    assert done.exit_code == 2
    assert done.stderr == (
        f"vithybrid: out.jsonl was made with {says}. Do as the first run did, or leave out --resume to start over.\n"
    )
    assert Path("out.jsonl").read_bytes() == whole


def test_a_model_is_told_by_its_files_and_not_by_its_name(folder: Path) -> None:
    for name in ("copy", "changed"):
        Path(name).mkdir()
        for file in Path(MODEL).glob("*.*"):
            (folder / name / file.name).write_bytes(file.read_bytes())
    run("0.png", "-o", "out.jsonl")
    assert run("0.png", "-o", "out.jsonl", "--resume", "-m", "copy").exit_code == 0
    run("0.png", "-o", "out.jsonl", "-m", "changed")
    config = folder / "changed" / "config.json"
    config.write_text(config.read_text(encoding="utf-8").replace("crane", "heron"), encoding="utf-8")
    done = run("0.png", "-o", "out.jsonl", "--resume", "-m", "changed")
    assert done.exit_code == 2
    assert "was made with other files of the model changed." in done.stderr


@pytest.mark.parametrize(
    ("before", "says"),
    [
        pytest.param({"Pillow": "11.0.0", "fake": "1"}, f"Pillow 11.0.0, now {PIL.__version__}", id="Pillow"),
        pytest.param({"Pillow": PIL.__version__, "fake": "0"}, "fake 0, now 1", id="engine"),
        pytest.param(
            {"Pillow": PIL.__version__, "threads": 8}, "fake unknown, now 1; threads 8, now unknown", id="all"
        ),
    ],
)
def test_a_file_that_another_machine_or_library_has_begun_is_refused(
    folder: Path, before: dict[str, Any], says: str
) -> None:
    run("0.png", "1.png", "-o", "out.jsonl")
    whole = Path("out.jsonl").read_bytes()
    Path("out.jsonl").write_bytes(whole[:-1])
    record = Path("out.jsonl.run.json")
    settings = json.loads(record.read_text(encoding="utf-8"))
    record.write_text(json.dumps({**settings, "environment": before}), encoding="utf-8")
    done = run("0.png", "1.png", "-o", "out.jsonl", "--resume")
    assert (done.exit_code, Path("out.jsonl").read_bytes()) == (2, whole[:-1])
    assert f"out.jsonl was made with {says}" in done.stderr


def test_a_file_of_another_version_is_refused(folder: Path) -> None:
    run("0.png", "-o", "out.jsonl")
    record = Path("out.jsonl.run.json")
    record.write_text(re.sub(r'"version": "[^"]*"', '"version": "0.0.1"', record.read_text()), encoding="utf-8")
    assert "version 0.0.1 of vithybrid, now" in run("0.png", "-o", "out.jsonl", "--resume").stderr


@every_format
@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        pytest.param(["0.png", "2.png", "1.png"], "Result 2 in {} is for 1.png, but input 2 is 2.png", id="order"),
        pytest.param(["0.png"], "Result 2 in {} is for 1.png, but there are no more inputs", id="fewer"),
    ],
)
def test_other_inputs_are_refused_with_the_result_and_both_paths(
    folder: Path, inputs: list[str], says: str, output_format: Format
) -> None:
    output = f"out.{output_format}"
    run("0.png", "1.png", "2.png", "-o", output)
    whole = Path(output).read_bytes()
    done = run(*inputs, "-o", output, "--resume")
    assert done.exit_code == 2
    assert done.stderr.startswith(f"vithybrid: {says.format(output)}. Give the inputs of the first run")
    assert Path(output).read_bytes() == whole


@pytest.mark.parametrize("content", ["", "{}", "[1]", "no json", '{"format": "jsonl", "top_k": "5"}'])
def test_a_damaged_record_is_refused(folder: Path, content: str) -> None:
    run("0.png", "-o", "out.jsonl")
    Path("out.jsonl.run.json").write_text(content, encoding="utf-8")
    done = run("0.png", "-o", "out.jsonl", "--resume")
    assert done.exit_code == 2
    assert "out.jsonl.run.json is no record of a run" in done.stderr


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        pytest.param({"version": None}, "was made with version unknown of vithybrid, now", id="no version"),
        pytest.param({"top_k": 7, "dtype": {"a": None}}, '--top-k 7, now 5; --dtype {"a": null}, now', id="an object"),
        pytest.param({"model": {"name": "m", "sha256": None}}, "was made with the model m, now", id="no digests"),
        pytest.param({"environment": {"Pillow": [1, None]}}, "Pillow [1, null], now", id="a list"),
        pytest.param({"environment": None}, "Pillow unknown, now", id="no environment"),
    ],
)
def test_a_record_that_somebody_has_changed_is_shown_without_pythons_words(
    folder: Path, changed: dict[str, Any], says: str
) -> None:
    run("0.png", "1.png", "-o", "out.jsonl")
    Path("out.jsonl").write_bytes(Path("out.jsonl").read_bytes()[:-1])
    record = Path("out.jsonl.run.json")
    record.write_text(json.dumps({**json.loads(record.read_text(encoding="utf-8")), **changed}), encoding="utf-8")
    done = run("0.png", "1.png", "-o", "out.jsonl", "--resume")
    assert done.exit_code == 2
    assert says in done.stderr
    assert not re.search(r"None|True|False|'", done.stderr)


@pytest.mark.parametrize("line", ['{"path": null}', '{"path": "0.png", "error": {"type": []}}', "[" * 100_000])
def test_a_line_that_names_nothing_is_damage(folder: Path, line: str) -> None:
    run("0.png", "-o", "out.jsonl")
    Path("out.jsonl").write_text(f"{line}\n", encoding="utf-8")
    done = run("0.png", "-o", "out.jsonl", "--resume")
    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
    assert "out.jsonl is damaged: a line does not hold a result." in done.stderr


def test_a_file_without_a_record_is_refused(folder: Path) -> None:
    Path("out.jsonl").write_text("mine\n", encoding="utf-8")
    done = run("0.png", "-o", "out.jsonl", "--resume")
    assert done.exit_code == 2
    assert "out.jsonl.run.json is missing, so nothing tells how out.jsonl was made" in done.stderr
    assert Path("out.jsonl").read_text(encoding="utf-8") == "mine\n"


@every_format
def test_what_no_run_has_written_is_refused_and_stays(folder: Path, output_format: Format) -> None:
    output = Path(f"out.{output_format}")
    run(".", "-o", str(output))
    whole = output.read_bytes().splitlines(keepends=True)
    for damaged in ([*whole[:2], b"mine\n", *whole[2:]], [b"mine\n", *whole], [*whole[:2], b"\xff\n", *whole[2:]]):
        output.write_bytes(b"".join(damaged))
        done = run(".", "-o", str(output), "--resume")
        assert done.exit_code == 2
        assert done.stderr.startswith(f"vithybrid: {output} is damaged: ")
        assert output.read_bytes() == b"".join(damaged)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param([], "Give its name with --output", id="no file"),
        pytest.param(["-o", "out.txt", "-f", "table"], "json, jsonl, csv or tsv", id="table"),
        pytest.param(["-o", "pipe"], "pipe is none", id="pipe"),
        pytest.param(["-o", "/dev/stdout"], "/dev/stdout is none", id="stdout"),
        pytest.param(["-o", "."], "Cannot write to .: Is a directory", id="folder"),
        pytest.param(["-o", "no/out.csv"], "there is no folder", id="no such folder"),
    ],
)
def test_what_cannot_be_resumed_is_wrong_usage_before_the_model_is_looked_for(
    folder: Path, arguments: list[str], says: str
) -> None:
    os.mkfifo("pipe")
    done = run("0.png", *arguments, "--resume", "-m", "./no-such-model")
    assert done.exit_code == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not Path("out.txt").exists()


def test_two_runs_do_not_write_one_file(folder: Path) -> None:
    with start("-", "-o", "out.jsonl", stdin=subprocess.PIPE) as process:
        wait_for(Path("out.jsonl.run.json"), 1, process)
        done = run("0.png", "-o", "out.jsonl", "--resume")
        assert done.exit_code == 2
        assert "Another run is writing out.jsonl" in done.stderr
        process.kill()


# Where no record can lie


def test_a_pipe_gets_the_results_alone(folder: Path) -> None:
    os.mkfifo("pipe")
    with subprocess.Popen(["cat", "pipe"], stdout=subprocess.PIPE) as reader:
        assert run("0.png", "1.png", "-o", "pipe").exit_code == 0
        assert reader.stdout is not None
        assert len(reader.stdout.read().splitlines()) == 2
    assert not Path("pipe.run.json").exists()


def test_another_name_of_stdout_gets_no_record(folder: Path) -> None:
    with (
        Path("out.jsonl").open("wb") as stdout,
        start("0.png", "1.png", "-o", "/dev/stdout", "-q", stdout=stdout) as process,
    ):
        assert process.wait() == 0
    assert names(Path("out.jsonl"), Format.JSONL) == ["0.png", "1.png"]
    assert not Path("/dev/stdout.run.json").exists()


def test_a_record_that_cannot_be_written_is_one_line_and_the_run_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: Path, text: str) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("vithybrid_cli.runs.record.atomic.write_text", refuse)
    done = run("0.png", "-o", "out.jsonl", "-q")
    assert done.exit_code == 0
    assert "(Permission denied), so --resume will not go on with out.jsonl" in done.stderr
    assert names(Path("out.jsonl"), Format.JSONL) == ["0.png"]


def test_a_name_that_leaves_no_room_for_those_beside_it_is_refused_before_the_run(folder: Path) -> None:
    output = "x" * 245 + ".jsonl"
    done = run("0.png", "-o", output, "-q")
    assert (done.exit_code, Path(output).exists()) == (2, False)
    assert "is too long" in done.stderr


# How a run ends


@pytest.mark.parametrize(
    ("number", "code"),
    [pytest.param(signal.SIGINT, 130, id="Ctrl-C"), pytest.param(signal.SIGTERM, 143, id="SIGTERM")],
)
def test_an_interrupted_run_closes_the_array_and_goes_on_with_resume(
    folder: Path, number: signal.Signals, code: int
) -> None:
    run(".", "-o", "whole.json")
    with start(".", "-o", "out.json", seconds_per_batch=1) as process:
        wait_for(Path("out.json"), 300, process)
        process.send_signal(number)
        assert process.stderr is not None
        said = process.stderr.read().decode()
        assert process.wait() == code
    done = len(json.loads(Path("out.json").read_bytes()))
    assert 0 < done < 16
    assert (
        said.splitlines()[-1]
        == f"interrupted after {done} of 16 pictures, which are in out.json; --resume goes on from there"
    )
    again = run(".", "-o", "out.json", "--resume")
    assert again.exit_code == 1
    assert again.stderr.startswith("resuming after ")
    assert Path("out.json").read_bytes() == Path("whole.json").read_bytes()


def test_ctrl_c_in_a_terminal_ends_the_run_between_two_pictures(folder: Path) -> None:
    terminal, side = pty.openpty()

    def take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    environment = {**os.environ, "SECONDS_PER_BATCH": "1", "TERM": "xterm"}
    arguments = [*PROGRAM, ".", "-o", "out.json"]
    with subprocess.Popen(
        arguments,
        env=environment,
        stdin=side,
        stdout=side,
        stderr=side,
        start_new_session=True,
        preexec_fn=take_terminal,
    ) as process:
        os.close(side)
        wait_for(Path("out.json"), 300, process)
        os.write(terminal, b"\x03")
        shown = b"".join(iter(lambda: _read_terminal(terminal), b""))
        assert process.wait() == 130
    os.close(terminal)
    assert b"Traceback" not in shown
    assert b"pictures, which are in out.json; --resume goes on from there\r\n" in shown
    assert json.loads(Path("out.json").read_bytes())


def _read_terminal(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other side is closed
        return b""


def test_a_signal_lets_the_rest_of_a_batch_come_and_not_the_next_one() -> None:
    seen: list[str] = []

    def read_on(results: Iterator[ImageResult]) -> None:
        for result in results:
            seen.append(result.path)
            if result.path == "4":
                os.kill(os.getpid(), signal.SIGTERM)

    with Interrupts() as interrupts, pytest.raises(Interrupted) as ended:
        read_on(interrupts.between((ImageResult(str(number)) for number in range(9)), Batches(3)))
    assert seen == ["0", "1", "2", "3", "4", "5"]
    assert ended.value.exit_code == 143


def test_a_signal_between_two_results_of_a_batch_loses_none() -> None:
    seen: list[str] = []

    def results() -> Iterator[ImageResult]:
        yield ImageResult("0")
        os.kill(os.getpid(), signal.SIGINT)
        yield from (ImageResult(str(number)) for number in range(1, 9))

    with Interrupts() as interrupts, pytest.raises(Interrupted):
        seen.extend(result.path for result in interrupts.between(results(), Batches(3)))
    assert seen == ["0", "1", "2"]


def test_a_signal_does_not_wait_for_a_batch_that_is_not_there_yet() -> None:
    def results() -> Iterator[ImageResult]:
        yield ImageResult("0")
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)

    with Interrupts() as interrupts, pytest.raises(Interrupted):
        list(interrupts.between(results(), Batches(1)))


def test_a_second_signal_does_not_wait_at_all() -> None:
    def results() -> Iterator[ImageResult]:
        for _ in range(2):
            yield ImageResult("0")
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)

    with Interrupts() as interrupts, pytest.raises(Interrupted):
        list(interrupts.between(results(), Batches(64)))


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts:
            os.kill(os.getpid(), signal.SIGINT)
            assert len(list(interrupts.between(iter([ImageResult("0")] * 2), Batches(1)))) == 2
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("output_format", [Format.JSON, Format.CSV])
def test_a_disk_that_is_full_is_one_line_and_the_run_goes_on_when_there_is_room(
    folder: Path, output_format: Format
) -> None:
    run(".", "-o", f"whole.{output_format}")
    whole, output = Path(f"whole.{output_format}").read_bytes(), Path(f"out.{output_format}")

    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) - 100,) * 2)

    with start(".", "-o", str(output), "-q", seconds_per_batch=0, preexec_fn=no_room) as process:
        assert process.stderr is not None
        said = process.stderr.read().decode()
    assert process.returncode == 2
    assert said == (
        f"vithybrid: Cannot write to {output}: File too large. "
        "What was written stays; make room and go on with --resume.\n"
    )
    assert output.read_bytes() == whole[:-100]
    assert resume(output, ["."]) == 1
    assert output.read_bytes() == whole


def test_progress_begins_at_what_is_done_and_counts_the_rest_as_speed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with Progress(enabled=True, live=False, total=140, done=100, failed=2) as progress:
        now[0] = 10.0
        progress.advance(pictures=20)
    assert capsys.readouterr().err.splitlines()[:2] == [
        "resuming after 100 of 140 pictures",
        "120 of 140 pictures, 2.0/s, 10 s left, 2 failed",
    ]


# What is read back


def written(output_format: Format, results: Sequence[ImageResult]) -> tuple[bytes, list[int]]:
    """All bytes of a file, and its size after each result."""
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer)
    ends = []
    with open_writer(output_format, stream) as writer:
        for result in results:
            writer.write(result)
            ends.append(len(buffer.getvalue()))
    return buffer.getvalue(), ends


@every_format
def test_of_a_file_that_is_cut_no_more_is_read_back_than_is_whole(output_format: Format) -> None:
    predictions = tuple(Prediction(index, label, 0.2) for index, label in enumerate(LABELS))
    paths = ["a", 'b "c",\t\x1b', "two\r\nlines", "a", os.fsdecode(b"\xff\xfe"), "é\u2028写真", "a"]
    results = [ImageResult(path, predictions if number % 3 else ()) for number, path in enumerate(paths)]
    content, ends = written(output_format, results)
    for size in range(len(content) + 1):
        read = list(read_back(output_format, io.BytesIO(content[:size]), len(LABELS)))
        whole = [end for end in ends if end <= size]
        assert [result.end for result in read] in (whole, whole[:-1] if output_format is Format.JSON else whole)


def test_rows_of_another_picture_in_between_are_damage() -> None:
    predictions = tuple(Prediction(index, "label", 0.5) for index in range(2))
    content, _ = written(Format.CSV, [ImageResult("a", predictions), ImageResult("b", predictions)])
    header, *rows = content.splitlines(keepends=True)
    for order in ((0, 3), (1, 0), (0, 2), (2, 1)):
        mixed = [header, *(rows[index] for index in order)]
        if order != (0, 2):
            with pytest.raises(DamagedOutput):
                list(read_back(Format.CSV, io.BytesIO(b"".join(mixed)), 5))
