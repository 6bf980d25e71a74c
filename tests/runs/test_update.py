"""``classify -o FILE --update``: whatever happened before, the file becomes what a run over all inputs writes.

Batches of one picture: what shares a batch with another does not matter here, as it does to an update's last digits.
"""

import errno
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fake_program import open_fake
from PIL import Image
from places import GOLDENS, ROOT
from typer.testing import CliRunner

from vithybrid_cli.commands.app import app
from vithybrid_cli.output import Format
from vithybrid_cli.output.read_back import READABLE, read_back

MODEL = str(GOLDENS / "hf-hybrid-small")
ALONE = ["-m", MODEL, "-b", "1"]
PROGRAM = [sys.executable, str(ROOT / "tests" / "fake_program.py"), "classify", *ALONE]
UNDECODABLE = os.fsdecode(b"caf\xe9.png")

two_formats = pytest.mark.parametrize("output_format", ["json", "csv"])  # where a process for each would take long
every_format = pytest.mark.parametrize("output_format", [pytest.param(item, id=item) for item in READABLE])


def paint(name: str, brightness: int) -> None:
    """A picture of this name, whose size and time are others than those of one of another brightness."""
    Path(name).unlink(missing_ok=True)
    Image.new("RGB", (4, 4 + brightness % 5), (brightness,) * 3).save(name)
    os.utime(name, ns=(0, 10**18 + brightness))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with eight pictures in ``p`` and no network."""
    monkeypatch.chdir(tmp_path)
    Path("p").mkdir()
    for number in range(8):
        paint(f"p/{number}.png", 20 * number)
    monkeypatch.setenv("VITHYBRID_CACHE", str(tmp_path / ".cache"))
    monkeypatch.setattr("vithybrid_cli.runs.label.open_classifier", open_fake)
    return tmp_path


def run(*arguments: str, stdin: bytes | None = None) -> Any:
    """Run classify in this process; the result has exit_code, stdout and stderr."""
    return CliRunner().invoke(app, ["classify", *ALONE, *arguments], input=stdin, catch_exceptions=False)


def update(output: str, *inputs: str) -> Any:
    return run(*(inputs or ("p",)), "-o", output, "--update")


def no_network(*_: object) -> None:
    raise AssertionError("a network is loaded")


def fresh(output_format: str, *inputs: str) -> bytes:
    """What a run over all inputs writes."""
    Path("fresh").mkdir(exist_ok=True)
    run(*(inputs or ("p",)), "-o", f"fresh/out.{output_format}")
    return Path(f"fresh/out.{output_format}").read_bytes()


def beside(output: str) -> list[str]:
    return sorted(file.name.removeprefix(output) for file in Path().glob(f"*{output}*"))


def names(output: str) -> list[str]:
    with Path(output).open("rb") as stream:
        return [result.path for result in read_back(Format(Path(output).suffix[1:]), stream, 5)]


# What becomes of the file


@every_format
def test_new_changed_and_vanished_pictures_make_the_file_of_a_fresh_run(folder: Path, output_format: str) -> None:
    output = f"out.{output_format}"
    assert run("p", "-o", output).exit_code == 0
    paint("p/1a.png", 33)
    paint("p/9.png", 99)
    paint("p/4.png", 201)
    Path("p/2.png").unlink()
    Path("p/3.png").unlink()
    done = update(output)
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "labelled 2 new, 1 changed; kept 5; dropped 2 that are no longer among the inputs\n"
    assert Path(output).read_bytes() == fresh(output_format)
    assert beside(output) == ["", ".files.jsonl", ".run.json"]


@every_format
def test_an_unchanged_folder_is_left_as_it_is_and_loads_no_network(
    folder: Path, output_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = f"out.{output_format}"
    Path("p/5a.png").write_bytes(b"no picture")
    Image.new("RGB", (4, 4), "white").save("p/5b.png")  # which has no numbers as its scores
    for number in range(2):
        monkeypatch.setattr("vithybrid_cli.runs.label.open_classifier", no_network if number else open_fake)
        files = {file: file.stat().st_mtime_ns for file in folder.glob("out.*")} if number else {}
        done = update(output)
        assert done.exit_code == 1
    assert files == {file: file.stat().st_mtime_ns for file in folder.glob("out.*")}
    assert len(files) == 3
    assert done.stderr.splitlines()[0].startswith("p/5a.png: This is no picture")
    assert (
        done.stderr.splitlines()[1]
        == f"nothing new: {output} has the results of all 10 inputs, of which 2 could not be read"
    )


@every_format
def test_the_last_picture_may_have_fewer_labels_than_were_asked_for(
    folder: Path, output_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["p", "-o", f"out.{output_format}", "--threshold", "0.2", "--update"]
    assert run(*arguments).exit_code == 0
    monkeypatch.setattr("vithybrid_cli.runs.label.open_classifier", no_network)
    assert run(*arguments).stderr.startswith("nothing new")


@every_format
def test_without_a_file_it_is_a_first_run(folder: Path, output_format: str) -> None:
    done = update(f"out.{output_format}")
    assert (done.exit_code, done.stderr) == (0, "")
    assert Path(f"out.{output_format}").read_bytes() == fresh(output_format)


def test_a_picture_replaced_by_one_of_another_size_or_time_is_labelled_anew(folder: Path) -> None:
    update("out.jsonl")
    before = Path("p/0.png").stat()
    paint("p/0.png", 3)
    os.utime("p/0.png", ns=(0, before.st_mtime_ns))
    size = Path("p/5.png").stat().st_size
    Path("p/5.png").write_bytes(padded("p/7.png", size))
    assert Path("p/0.png").stat().st_size != before.st_size
    assert Path("p/5.png").stat().st_size == size
    assert update("out.jsonl").stderr == "labelled 2 changed; kept 6\n"
    assert Path("out.jsonl").read_bytes() == fresh("jsonl")


def padded(name: str, size: int) -> bytes:
    """A picture as so many bytes; decoders do not look at what follows its end."""
    return Path(name).read_bytes().ljust(size, b"\0")


def test_results_stand_in_the_order_of_the_inputs(folder: Path) -> None:
    update("out.json", "p/3.png", "p/1.png")
    done = update("out.json", "p/1.png", "p/2.png", "p/3.png")
    assert done.stderr == "labelled 1 new; kept 2\n"
    assert names("out.json") == ["p/1.png", "p/2.png", "p/3.png"]
    assert update("out.json", "p/3.png", "p/1.png", "p/2.png").stderr == "kept 3\n"
    assert Path("out.json").read_bytes() == fresh("json", "p/3.png", "p/1.png", "p/2.png")


@every_format
def test_a_picture_that_is_named_twice_is_there_twice_and_labelled_once(folder: Path, output_format: str) -> None:
    output, twice = f"out.{output_format}", ["p/1.png", "p/0.png", "p/1.png", "p/2.png", "p/2.png"]
    update(output, "p/0.png", "p/1.png", "p/1.png")
    assert update(output, *twice).stderr == "labelled 1 new; kept 3\n"
    assert Path(output).read_bytes() == fresh(output_format, *twice)
    assert update(output, *twice).stderr.startswith("nothing new")


@every_format
def test_names_of_any_bytes_are_told_apart(folder: Path, output_format: str) -> None:
    output = f"out.{output_format}"
    for number, name in enumerate((UNDECODABLE, r"caf\udce9.png", 'two\nlines,\t"q".png')):
        paint(f"p/{name}", 10 + number)
        assert update(output).exit_code == 0
        assert Path(output).read_bytes() == fresh(output_format)
        paint(f"p/{name}", 60 + number)
        assert update(output).exit_code == 0
        assert Path(output).read_bytes() == fresh(output_format)
    (folder / "p" / UNDECODABLE).unlink()
    update(output)
    assert Path(output).read_bytes() == fresh(output_format)
    assert update(output).stderr.startswith("nothing new")


def test_a_list_on_stdin_is_taken_to_its_end(folder: Path) -> None:
    listed = b"p/0.png\np/2.png\n"
    run("-", "-o", "out.csv", "--update", stdin=listed)
    done = run("-", "-o", "out.csv", "--update", stdin=b"p/1.png\n" + listed)
    assert done.stderr == "labelled 1 new; kept 2\n"
    assert Path("out.csv").read_bytes() == fresh("csv", "p/1.png", "p/0.png", "p/2.png")


def test_what_had_an_error_is_tried_again(folder: Path) -> None:
    Path("p/1.png").write_bytes(b"no picture")
    Path("p/2.png").write_bytes(b"")
    update("out.jsonl", "p", "later.png")
    shutil.copy("p/0.png", "p/1.png")
    shutil.copy("p/0.png", "later.png")
    done = update("out.jsonl", "p", "later.png")
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1] == "labelled 2 that could not be read before; kept 6; could not read 1"
    assert Path("out.jsonl").read_bytes() == fresh("jsonl", "p", "later.png")


def test_a_picture_that_is_named_and_gone_becomes_an_error(folder: Path) -> None:
    update("out.jsonl", "p/0.png", "p/1.png")
    Path("p/1.png").unlink()
    assert update("out.jsonl", "p/0.png", "p/1.png").exit_code == 1
    assert Path("out.jsonl").read_bytes() == fresh("jsonl", "p/0.png", "p/1.png")


def test_with_strict_the_first_error_is_the_last_result_and_what_was_known_stays(folder: Path) -> None:
    update("out.jsonl")
    paint("p/1a.png", 7)
    Path("p/2a.png").write_bytes(b"no picture")
    paint("p/3a.png", 8)
    done = run("p", "-o", "out.jsonl", "--update", "--strict", "-q")
    assert (done.exit_code, done.stderr) == (
        1,
        "vithybrid: stopped at p/2a.png, the first picture that could not be read, as --strict asks\n",
    )
    assert [name[2:-4] for name in names("out.jsonl")] == ["0", "1", "1a", "2", "2a", *"34567"]
    Path("p/2a.png").unlink()
    assert run("p", "-o", "out.jsonl", "--update", "--strict").exit_code == 0
    assert Path("out.jsonl").read_bytes() == fresh("jsonl")


def test_an_empty_place_does_not_empty_the_file(folder: Path) -> None:
    update("out.jsonl")
    whole = Path("out.jsonl").read_bytes()
    Path("p").rename("q")
    Path("p").mkdir()
    done = update("out.jsonl")
    assert done.exit_code == 2
    assert "Nothing was found to read, so out.jsonl would lose all its results." in done.stderr
    assert Path("out.jsonl").read_bytes() == whole


@pytest.mark.parametrize("inputs", [["p/*.png"], ["p/0.png", "p/1.png"]], ids=["a pattern", "files"])
def test_inputs_that_lead_nowhere_do_not_empty_the_file(folder: Path, inputs: list[str]) -> None:
    update("out.jsonl", *inputs)
    whole = Path("out.jsonl").read_bytes()
    Path("p").rename("q")
    assert update("out.jsonl", *inputs).exit_code == 2
    assert Path("out.jsonl").read_bytes() == whole


def test_what_is_known_below_a_folder_that_is_not_there_now_stays(folder: Path) -> None:
    shutil.copytree("p", "q")
    update("out.jsonl", "q", "p")
    whole = Path("out.jsonl").read_bytes()
    Path("q").rename("away")
    paint("p/9.png", 9)
    done = update("out.jsonl", "q", "p")
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1] == "labelled 1 new; kept 16; could not read 1"
    assert names("out.jsonl") == [*(f"q/{number}.png" for number in range(8)), "q", *names_in("p")]
    Path("p/9.png").unlink()
    Path("away").rename("q")
    assert update("out.jsonl", "q", "p").exit_code == 0
    assert Path("out.jsonl").read_bytes() == whole


def test_what_is_known_below_a_folder_that_cannot_be_listed_stays(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree("p", "p/q")
    update("out.jsonl")
    whole = Path("out.jsonl").read_bytes()
    scandir = os.scandir

    def guarded(path: str) -> Any:
        if path == "p/q":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", guarded)
        assert update("out.jsonl").exit_code == 1
        assert len(names("out.jsonl")) == 17
    assert update("out.jsonl").exit_code == 0
    assert Path("out.jsonl").read_bytes() == whole


@pytest.mark.parametrize("pattern", ["q/*.png", "q/**/*.png", "q*/*.png", "./q/*.png", "q/*"])
@pytest.mark.parametrize("gone", [True, False])
def test_what_is_known_of_a_pattern_that_matches_nothing_now_stays(folder: Path, pattern: str, gone: bool) -> None:
    shutil.copytree("p", "q")
    update("out.jsonl", pattern, "p/1.png", "p/2.png")
    whole = Path("out.jsonl").read_bytes()
    Path("q").rename(".away")
    if not gone:
        Path("q").mkdir()
    done = update("out.jsonl", pattern, "p/2.png")
    assert "kept 9; dropped 1 that is no longer among the inputs; could not read 1\n" in done.stderr
    assert len(names("out.jsonl")) == 8 + 1 + 1
    if not gone:
        Path("q").rmdir()
    Path(".away").rename("q")
    assert update("out.jsonl", pattern, "p/1.png", "p/2.png").exit_code == 0
    assert Path("out.jsonl").read_bytes() == whole


@pytest.mark.parametrize("lost", ["q", "q/", "q*"])
def test_what_is_known_below_a_folder_that_is_empty_now_stays_beside_other_inputs(folder: Path, lost: str) -> None:
    Path("q").mkdir()
    for name in ("q/a.png", "q/b.png"):
        paint(name, 3)
    update("out.jsonl", "p/0.png", lost, "p/1.png")
    whole = Path("out.jsonl").read_bytes()
    Path("q").rename("away")
    Path("q").mkdir()
    done = update("out.jsonl", "p/0.png", lost, "p/1.png")
    holds = "matches" if "*" in lost else "holds"
    assert (done.exit_code, done.stderr.splitlines()) == (
        0,
        [
            f"{lost} {holds} no pictures now, so its 2 results are kept; leave it out of the inputs to drop them",
            "nothing new: out.jsonl has the results of all 4 inputs",
        ],
    )
    assert Path("out.jsonl").read_bytes() == whole
    assert update("out.jsonl", "p/0.png").stderr == "kept 1; dropped 3 that are no longer among the inputs\n"


def test_what_is_excluded_now_is_dropped(folder: Path) -> None:
    shutil.copytree("p", "q")
    update("out.jsonl", "q", "p")
    done = run("q", "p", "--exclude", "q/*", "-o", "out.jsonl", "--update")
    assert done.stderr.splitlines()[-1] == "kept 8; dropped 8 that are no longer among the inputs"


def test_what_is_known_behind_a_link_that_leads_nowhere_now_stays(folder: Path) -> None:
    Path("p").rename("away")
    Path("p").mkdir()
    paint("p/a.png", 1)
    Path("p/link").symlink_to("../away")
    update("out.jsonl")
    whole = Path("out.jsonl").read_bytes()
    Path("away").rename("farther")
    done = update("out.jsonl")
    assert done.exit_code == 1
    assert "p/link: This is a link to ../away" in done.stderr
    assert done.stderr.splitlines()[-1] == "kept 9; could not read 1"
    Path("farther").rename("away")
    assert update("out.jsonl").exit_code == 0
    assert Path("out.jsonl").read_bytes() == whole


@pytest.mark.parametrize(("count", "lost"), [(1, "its only result"), (3, "all its 3 results")])
def test_a_file_of_other_inputs_is_refused_and_stays(folder: Path, count: int, lost: str) -> None:
    update("out.jsonl", *names_in("p")[:count])
    whole = Path("out.jsonl").read_bytes()
    done = update("out.jsonl", *names_in("p")[count:])
    assert (done.exit_code, done.stderr) == (
        2,
        f"vithybrid: None of the inputs is in out.jsonl, so it would lose {lost}. "
        "Give the inputs of the first run and what is new, or leave out --update to start over.\n",
    )
    assert Path("out.jsonl").read_bytes() == whole


def test_one_input_is_said_as_one(folder: Path) -> None:
    update("out.jsonl", "p/0.png")
    assert update("out.jsonl", "p/0.png").stderr == "nothing new: out.jsonl has the results of its 1 input\n"
    assert run("p/0.png", "-o", "out.jsonl", "--resume").stderr == "out.jsonl has the results of its 1 input\n"


def names_in(folder: str) -> list[str]:
    return sorted(str(file) for file in Path(folder).iterdir())


def test_a_link_stays_a_link_and_permissions_stay(folder: Path) -> None:
    Path("real").mkdir()
    Path("out.jsonl").symlink_to("real/labels")
    run("p", "-o", "out.jsonl", "-f", "jsonl")
    Path("real/labels").chmod(0o640)
    paint("p/9.png", 9)
    assert update("out.jsonl").exit_code == 0
    assert Path("out.jsonl").is_symlink()
    assert Path("real/labels").read_bytes() == fresh("jsonl")
    assert Path("real/labels").stat().st_mode & 0o777 == 0o640
    assert [file.name for file in Path("real").iterdir()] == ["labels"]


# What is kept beside it


def test_sizes_and_times_that_were_lost_are_said_and_kept_from_then_on(folder: Path) -> None:
    update("out.csv")
    Path("out.csv.files.jsonl").unlink()
    assert update("out.csv").stderr.splitlines() == [
        "size and time of 8 pictures were not kept, so one that was replaced before now is not noticed",
        "kept 8",
    ]
    assert update("out.csv").stderr.startswith("nothing new")
    paint("p/3.png", 77)
    assert "1 changed; kept 7" in update("out.csv").stderr
    assert Path("out.csv").read_bytes() == fresh("csv")


def test_a_result_that_is_another_than_was_stamped_is_not_taken_for_it(folder: Path) -> None:
    update("out.jsonl")
    old = Path("out.jsonl").read_bytes()
    paint("p/3.png", 77)
    update("out.jsonl")
    Path("out.jsonl").write_bytes(old)  # from a backup, without what lies beside it
    assert "size and time of 1 picture were not kept" in update("out.jsonl").stderr


def test_a_run_anew_forgets_what_was_known(folder: Path) -> None:
    update("out.jsonl")
    Path("out.jsonl.update.jsonl").write_text("{}\n", encoding="utf-8")
    run("p/0.png", "-o", "out.jsonl", "-k", "2")
    assert beside("out.jsonl") == ["", ".files.jsonl", ".run.json"]
    assert len(Path("out.jsonl.files.jsonl").read_bytes().splitlines()) == 1
    run("p/0.png", "-o", "out.jsonl", "-f", "table")
    assert beside("out.jsonl") == [""]


def test_results_of_another_model_in_the_journal_are_not_taken(folder: Path) -> None:
    update("out.jsonl")
    entry = {"path": "p/9.png", "size": 1, "mtime_ns": 1, "error": None, "text": "wrong"}
    Path("out.jsonl.update.jsonl").write_text(f'{{"settings": "others"}}\n{json.dumps(entry)}\n', encoding="utf-8")
    paint("p/9.png", 9)
    assert update("out.jsonl").stderr == "labelled 1 new; kept 8\n"
    assert Path("out.jsonl").read_bytes() == fresh("jsonl")


@pytest.mark.parametrize("damage", [b"\x00\xff", b'{"path": 1}', b"[]", b'{"path": "p/0.png", "size": 1e400}', b"7"])
def test_damaged_lines_beside_the_file_say_nothing(folder: Path, damage: bytes) -> None:
    update("out.jsonl")
    for suffix in (".files.jsonl", ".update.jsonl"):
        with Path(f"out.jsonl{suffix}").open("ab") as stream:
            stream.write(damage)
    paint("p/9.png", 9)
    assert update("out.jsonl").stderr == "labelled 1 new; kept 8\n"
    assert Path("out.jsonl").read_bytes() == fresh("jsonl")


def test_the_record_says_that_a_file_was_updated_and_it_can_be_resumed(folder: Path) -> None:
    update("out.jsonl")
    paint("p/9.png", 9)
    update("out.jsonl")
    assert json.loads(Path("out.jsonl.run.json").read_text(encoding="utf-8"))["updated"] is True
    whole = Path("out.jsonl").read_bytes()
    Path("out.jsonl").write_bytes(whole[:-30])
    assert run("p", "-o", "out.jsonl", "--resume").exit_code == 0
    assert Path("out.jsonl").read_bytes() == whole
    assert update("out.jsonl").stderr.startswith("nothing new")


# However it ends


def start(output: str, seconds: float, **options: Any) -> subprocess.Popen[bytes]:
    arguments = [*PROGRAM, "p", "-o", output, "--update"]
    environment = {**os.environ, "SECONDS_PER_BATCH": str(seconds)}
    return subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, **options)


def wait_for(file: Path, lines: int, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None and not (file.exists() and file.read_bytes().count(b"\n") >= lines):
        time.sleep(0.002)


@two_formats
def test_what_a_killed_update_has_computed_is_not_computed_again(folder: Path, output_format: str) -> None:
    output = f"out.{output_format}"
    run("p/0.png", "p/7.png", "-o", output)
    before = Path(output).read_bytes()
    with start(output, 0.3) as process:
        wait_for(Path(f"{output}.update.jsonl"), 4, process)  # the settings, and three results
        process.kill()
    assert Path(output).read_bytes() == before
    with Path(f"{output}.update.jsonl").open("r+b") as stream:
        lines = stream.read().count(b"\n") - 1
        stream.seek(-9, os.SEEK_END)
        stream.truncate()  # its last line is cut
    assert update(output).stderr == f"labelled {6 - lines + 1} new; kept {2 + lines - 1}\n"
    assert Path(output).read_bytes() == fresh(output_format)
    assert beside(output) == ["", ".files.jsonl", ".run.json"]


@pytest.mark.parametrize(
    ("number", "code"),
    [pytest.param(signal.SIGINT, 130, id="Ctrl-C"), pytest.param(signal.SIGTERM, 143, id="SIGTERM")],
)
def test_an_interrupted_update_puts_what_it_has_into_the_file(folder: Path, number: signal.Signals, code: int) -> None:
    run("p/0.png", "p/7.png", "-o", "out.json")
    paint("p/7.png", 3)
    with start("out.json", 0.5) as process:
        wait_for(Path("out.json.update.jsonl"), 3, process)
        process.send_signal(number)
        assert process.stderr is not None
        said = process.stderr.read().decode().splitlines()
        assert process.wait() == code
    there = [record["path"] for record in json.loads(Path("out.json").read_bytes())]
    assert 3 < len(there) < 8
    assert there == [*(f"p/{number}.png" for number in range(len(there) - 1)), "p/7.png"]
    done = len(there) - 2
    assert said[-1] == f"interrupted after {done} of 7 pictures, which are in out.json; --update goes on from there"
    assert update("out.json").stderr == f"labelled {6 - done} new, 1 changed; kept {done + 1}\n"
    assert Path("out.json").read_bytes() == fresh("json")


def test_a_first_run_that_was_killed_is_gone_on_with(folder: Path) -> None:
    with start("out.csv", 0.3) as process:
        wait_for(Path("out.csv"), 12, process)
        process.kill()
    assert 1 < len(names("out.csv")) < 8
    assert update("out.csv").exit_code == 0
    assert Path("out.csv").read_bytes() == fresh("csv")


@pytest.mark.parametrize("output_format", [pytest.param("json", marks=pytest.mark.thorough), "csv"])
def test_after_any_kills_and_changes_the_file_is_that_of_a_fresh_run(folder: Path, output_format: str) -> None:
    output, chance = f"out.{output_format}", random.Random(output_format)
    for turn in range(6):
        for name in chance.sample(range(12), 4):
            change(f"p/{name}.png", chance)
        if turn % 3 != 2:
            with start(output, 0.03) as process:
                wait_for(Path(f"{output}{'.update.jsonl' if turn else ''}"), chance.randrange(1, 5), process)
                time.sleep(chance.uniform(0, 0.1))
                process.kill()
        else:
            update(output)
            assert Path(output).read_bytes() == fresh(output_format)
    assert not [file for file in folder.iterdir() if file.name.endswith(".update.jsonl")]


def change(name: str, chance: random.Random) -> None:
    if chance.random() < 0.2:
        Path(name).unlink(missing_ok=True)
    elif chance.random() < 0.2:
        Path(name).write_bytes(b"x" * chance.randrange(20))
    else:
        paint(name, chance.randrange(250))


@pytest.mark.parametrize("moment", ["file", "stamps", "journal"])
@every_format
def test_an_update_that_is_killed_while_it_writes_is_done_by_the_next(
    folder: Path, output_format: str, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = f"out.{output_format}"
    update(output)
    paint("p/3.png", 88)
    paint("p/4a.png", 99)
    Path("p/1.png").unlink()
    replace, unlink = Path.replace, Path.unlink

    def killed_at(name: str, then: Callable[..., Any]) -> Callable[..., Any]:
        def act(path: Path, *arguments: Any, **options: Any) -> Any:
            target = arguments[0] if arguments else path
            if Path(target).name == name:
                raise SystemExit("killed")
            return then(path, *arguments, **options)

        return act

    stops = {"file": output, "stamps": f"{output}.files.jsonl", "journal": f"{output}.update.jsonl"}
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed_at(stops[moment], replace))
        patched.setattr(Path, "unlink", killed_at(stops["journal"] if moment == "journal" else "", unlink))
        assert update(output).exit_code == 1
    assert Path(f"{output}.update.jsonl").exists()
    monkeypatch.setattr("vithybrid_cli.runs.label.open_classifier", no_network)  # all is computed already
    assert update(output).exit_code == 0
    monkeypatch.setattr("vithybrid_cli.runs.label.open_classifier", open_fake)
    assert Path(output).read_bytes() == fresh(output_format)
    assert update(output).stderr.startswith("nothing new")
    paint("p/5.png", 11)
    assert "labelled 1 changed; kept 7" in update(output).stderr


def test_a_full_disk_is_one_line_and_the_next_update_goes_on(folder: Path) -> None:
    run("p/0.png", "-o", "out.jsonl")
    whole = Path("out.jsonl").read_bytes()

    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    with start("out.jsonl", 0, preexec_fn=no_room) as process:
        assert process.stderr is not None
        said = process.stderr.read().decode()
    assert process.returncode == 2
    assert said == (
        "vithybrid: Cannot write to out.jsonl.update.jsonl: File too large. "
        "What was computed stays; make room and go on with --update.\n"
    )
    assert Path("out.jsonl").read_bytes() == whole
    kept = re.search(r"kept (\d+)", update("out.jsonl").stderr)
    assert kept is not None
    assert int(kept[1]) > 1
    assert Path("out.jsonl").read_bytes() == fresh("jsonl")


@pytest.mark.parametrize("moment", ["out.jsonl.update.jsonl", "out.jsonl.run.json"])
def test_a_full_disk_at_any_moment_asks_for_room(folder: Path, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    update("out.jsonl", "p/0.png")
    then: dict[str, Callable[..., Any]] = {"open": Path.open, "replace": Path.replace}

    def no_room(method: str) -> Callable[..., Any]:
        def act(path: Path, *arguments: Any, **options: Any) -> Any:
            if (path.name, *arguments) == (moment, "ab") or arguments == (Path(moment),):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return then[method](path, *arguments, **options)

        return act

    with monkeypatch.context() as patched:
        for method in then:
            patched.setattr(Path, method, no_room(method))
        done = update("out.jsonl")
    assert (done.exit_code, done.stderr) == (
        2,
        f"vithybrid: Cannot write to {moment}: No space left on device. "
        "What was computed stays; make room and go on with --update.\n",
    )
    assert update("out.jsonl").exit_code == 0
    assert Path("out.jsonl").read_bytes() == fresh("jsonl")


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Begins a context in which nothing can be opened for writing, made or removed; for root too."""
    opened = Path.open

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    def read(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        return opened(path, mode, *arguments, **options) if mode in ("r", "rb") else refuse()

    @contextmanager
    def begin() -> Iterator[None]:
        with monkeypatch.context() as patched:
            patched.setattr(Path, "open", read)
            patched.setattr(os, "access", lambda _, mode: mode != os.W_OK)
            for place, name in ((Path, "unlink"), (Path, "replace"), (os, "open")):
                patched.setattr(place, name, refuse)
            yield

    return begin


def test_where_nothing_may_be_written_an_update_fails_only_if_there_is_something_new(
    folder: Path, read_only: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("notes.png").write_bytes(b"no picture")
    update("out.jsonl", "p", "notes.png")
    monkeypatch.setattr("vithybrid_cli.runs.label.open_classifier", no_network)
    with read_only():
        done = update("out.jsonl", "p", "notes.png")
    assert done.exit_code == 1
    assert (
        done.stderr.splitlines()[-1]
        == "nothing new: out.jsonl has the results of all 9 inputs, of which 1 could not be read"
    )
    for name, brightness in (("p/9.png", 9), ("notes.png", 4), ("p/0.png", None)):
        if brightness is None:
            Path(name).unlink()
        else:
            paint(name, brightness)
        with read_only():
            done = update("out.jsonl", "p", "notes.png")
        assert done.exit_code == 2
        assert "vithybrid: Cannot write to out.jsonl: Permission denied. Give another --output." in done.stderr
        with monkeypatch.context() as patched:
            patched.setattr("vithybrid_cli.runs.label.open_classifier", open_fake)
            update("out.jsonl", "p", "notes.png")


def test_two_updates_do_not_write_one_file(folder: Path) -> None:
    run("p/0.png", "-o", "out.jsonl")
    with start("out.jsonl", 1) as process:
        wait_for(Path("out.jsonl.update.jsonl"), 2, process)
        said = update("out.jsonl", "p/0.png").stderr
        process.kill()
    assert said == "vithybrid: Another run is writing out.jsonl. Wait until it has ended, or give another --output.\n"


# What is refused


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["-k", "3"], "--top-k 5, now 3", id="top-k"),
        pytest.param(["--dtype", "float16"], "--dtype float32, now float16", id="dtype"),
        pytest.param(["-b", "2"], "--batch-size 1, now 2", id="batch size"),
        pytest.param(["-f", "csv"], "--format jsonl, now csv", id="format"),
    ],
)
def test_other_settings_are_refused(folder: Path, arguments: Sequence[str], says: str) -> None:
    update("out.jsonl")
    whole = Path("out.jsonl").read_bytes()
    done = run("p", "-o", "out.jsonl", "--update", *arguments)
    assert (done.exit_code, Path("out.jsonl").read_bytes()) == (2, whole)
    assert done.stderr == (
        f"vithybrid: out.jsonl was made with {says}. Do as the first run did, or leave out --update to start over.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param([], "Give its name with --output", id="stdout"),
        pytest.param(["-o", "out.txt", "-f", "table"], "json, jsonl, csv or tsv", id="table"),
        pytest.param(["-o", "pipe"], "pipe is none. Leave out --update.", id="pipe"),
        pytest.param(["-o", "/dev/stdout"], "/dev/stdout is none", id="name of stdout"),
        pytest.param(["-o", "out.csv", "--resume"], "either resumed or updated", id="with resume"),
        pytest.param(["-o", "mine.jsonl"], "mine.jsonl.run.json is missing", id="no record"),
        pytest.param(["mine.jsonl", "-o", "mine.jsonl"], "mine.jsonl is an input", id="input"),
    ],
)
def test_what_cannot_be_updated_is_wrong_usage_before_the_model_is_looked_for(
    folder: Path, arguments: list[str], says: str
) -> None:
    os.mkfifo("pipe")
    Path("mine.jsonl").write_text("mine\n", encoding="utf-8")
    done = run("p", *arguments, "--update", "-m", "./no-such-model")
    assert done.exit_code == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert Path("mine.jsonl").read_text(encoding="utf-8") == "mine\n"


def test_a_damaged_file_is_refused_and_stays(folder: Path) -> None:
    update("out.jsonl")
    Path("out.jsonl").write_bytes(damaged := Path("out.jsonl").read_bytes() + b"mine\n")
    done = update("out.jsonl")
    assert done.exit_code == 2
    assert done.stderr.endswith("Mend it, or leave out --update to start over.\n")
    assert Path("out.jsonl").read_bytes() == damaged


def test_resume_names_update_where_pictures_are_new(folder: Path) -> None:
    update("out.jsonl")
    paint("p/1a.png", 3)
    assert "--update instead of --resume if there are new ones" in run("p", "-o", "out.jsonl", "--resume").stderr
