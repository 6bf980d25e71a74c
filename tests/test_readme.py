"""The README is true: its commands run, its tables are those of the program; and the scripts in ``examples/`` run."""

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from places import ROOT
from typer.main import get_command

from vithybrid_cli.commands import guard
from vithybrid_cli.commands.app import app
from vithybrid_cli.errors import ImageError
from vithybrid_cli.evaluation.rows import KINDS
from vithybrid_cli.hub import catalog

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
PROSE = re.sub(r"^```.*?^```$", "", TEXT, flags=re.MULTILINE | re.DOTALL)

# What is not run here, and by which words it is known.
NEEDS_PACKAGES = re.compile(r"^(make|python3 -m venv|\. \.venv/bin/activate|pip)\b")
NEEDS_DOWNLOAD = re.compile(r"base-384|cifar-10-binary|vithybrid classify (?!.*-m )")
OPTIONS_OF_OTHERS = {"--constraint"}  # pip's
MAKE_DEMO = "vithybrid classify examples -m tiny -k 3 --format table"  # what it does once all is installed


@dataclass(frozen=True, slots=True)
class Command:
    """A line after ``$``, what is shown below it, and the exit code that a following ``echo $?`` shows."""

    text: str
    output: str = ""
    exit_code: int = 0

    @property
    def runs_here(self) -> bool:
        """Whether it needs neither a package index nor a download."""
        return not NEEDS_PACKAGES.search(self.text) and not NEEDS_DOWNLOAD.search(self.text)


def blocks(language: str) -> list[str]:
    """What stands in the fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def commands(block: str) -> list[Command]:
    """The commands of a console block, in their order."""
    found: list[Command] = []
    for text, output in re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
        if text == "echo $?":
            found[-1] = replace(found[-1], exit_code=int(output))
        else:
            found.append(Command(text, output))
    return found


def loosely(output: str) -> tuple[list[str], list[float]]:
    """The text of an output without bars, and its scores, both percentages and shares as shares."""
    shares = re.sub(r"([\d.]+)%", lambda found: str(float(found[1]) / 100), output)
    lines = [" ".join(re.sub("[█▏▎▍▌▋▊▉]", " ", line).split()) for line in shares.splitlines()]
    parts = re.split(r"(\d\.\d+)", "\n".join(lines))
    return parts[::2], [float(score) for score in parts[1::2]]


def rows(heading: str) -> list[list[str]]:
    """The cells of the table whose first column has this heading, without its head."""
    table = re.search(rf"^\| {re.escape(heading)} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
    assert table is not None, f"the README has no table {heading!r}"
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table[1].splitlines()]


def code(text: str) -> list[str]:
    """What stands in backticks within a line."""
    return re.findall("`([^`]+)`", text)


def options(command: str) -> set[str]:
    """All spellings of a subcommand's options."""
    found: Any = get_command(app)
    return {name for parameter in found.commands[command].params for name in parameter.opts if name.startswith("-")}


def subcommands() -> Iterator[str]:
    root: Any = get_command(app)
    yield from root.commands


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder as the README supposes it: the examples, and a few labelled pictures."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    for name, label in (("cat.png", "cat"), ("rocket.jpg", "rocket")):
        picture = Image.open(ROOT / "examples" / name).convert("RGB")
        for index, part in enumerate(["train", "train", "train", "test"]):
            folder = tmp_path / "photos" / part / label
            folder.mkdir(parents=True, exist_ok=True)
            picture.resize((64 + index, 64)).save(folder / f"{index}.png")
    return tmp_path


def run(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of shell in ``folder``, with this environment's programs first, an empty cache and no network."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "COLUMNS": "80",
        "HF_HOME": str(folder / "cache"),
        "HF_HUB_OFFLINE": "1",
    }
    shell = ["bash", "-o", "pipefail", "-c", text]
    return subprocess.run(shell, cwd=folder, env=environment, capture_output=True, text=True, check=False)


RUNNABLE = [block for block in map(commands, blocks("console")) if any(command.runs_here for command in block)]


@pytest.mark.parametrize("block", [pytest.param(block, id=block[0].text) for block in RUNNABLE])
def test_the_commands_of_a_block_end_as_they_are_said_to(block: list[Command], workplace: Path) -> None:
    for command in block:
        if not command.runs_here:
            continue
        if "| jq " in command.text and shutil.which("jq") is None:
            pytest.skip("jq is not installed")
        done = run(command.text, workplace)
        assert (command.text, done.returncode, done.stderr) == (command.text, command.exit_code, done.stderr)


SHOWN = [command for block in blocks("console") for command in commands(block) if command.output]


@pytest.mark.parametrize("command", [pytest.param(command, id=command.text) for command in SHOWN])
def test_a_command_prints_what_is_shown_below_it(command: Command, workplace: Path) -> None:
    if "| jq " in command.text and shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    text = MAKE_DEMO if command.text == "make demo" else command.text
    if "%" in command.output and "--format" not in text:  # the table of a terminal
        text += " --format table"
    (words, scores), (shown, shown_scores) = loosely(run(text, workplace).stdout), loosely(command.output)
    assert words == shown
    assert scores == pytest.approx(shown_scores, abs=0.005)  # machines round differently


def test_make_demo_is_the_command_that_is_run_for_it() -> None:
    assert f"/{MAKE_DEMO}\n" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_no_more_is_left_out_than_what_fetches_something() -> None:
    left_out = {command.text for block in blocks("console") for command in commands(block) if not command.runs_here}
    assert left_out == {
        "make demo",
        "make test",
        "make tiny",
        "python3 -m venv .venv",
        ". .venv/bin/activate",
        "pip install .",
        "python examples/cifar10.py cifar-10-binary.tar.gz data/cifar10",
        "vithybrid classify examples/cat.png",
        "vithybrid download base-384",
        "HF_HUB_OFFLINE=1 vithybrid classify examples -m base-384",
        "vithybrid train photos/train -o runs/mine -m base-384 --epochs 3 --lr 2e-5 -b 16",
    }


def test_the_two_commands_come_first() -> None:
    assert [command.text for command in commands(blocks("console")[0])] == ["make demo", "make test"]


def test_every_make_target_exists() -> None:
    named = {target for text in [*code(PROSE), *blocks("console")] for target in re.findall(r"\bmake ([a-z-]+)", text)}
    targets = set(re.findall("^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert named >= {"demo", "test", "tiny"}
    assert named - targets == set()


def test_every_option_of_a_command_exists() -> None:
    lines = [command.text for block in blocks("console") for command in commands(block)]
    used = [re.search(r"\bvithybrid (\w+)([^|]*)", line) for line in lines]
    calls = [(call[1], call[2]) for call in used if call is not None]
    unknown = [
        f"{command} {option}"
        for command, arguments in calls
        for option in re.findall(r"(?<=\s)--?[a-z0-9][a-z-]*", arguments)
        if option not in options(command)
    ]
    assert {command for command, _ in calls} == set(subcommands())
    assert unknown == []


def test_every_option_that_is_spoken_of_exists() -> None:
    known = {option for command in subcommands() for option in options(command)}
    known |= OPTIONS_OF_OTHERS | {"--help", "--install-completion", "--version"}
    assert {option for text in code(PROSE) for option in re.findall(r"(?<![\w-])--[a-z-]+", text)} - known == set()


def test_the_table_of_options_is_that_of_the_program() -> None:
    assert {option for row in rows("option of `classify`") for option in code(row[0])} == options("classify")


def test_the_table_of_exit_codes_is_that_of_the_program() -> None:
    expected = {0, guard.EXIT_SOME_FAILED, guard.EXIT_USAGE, guard.EXIT_MODEL, guard.EXIT_INTERRUPTED}
    assert [int(row[0]) for row in rows("code")] == sorted(expected)


def test_the_table_of_error_types_is_that_of_the_program() -> None:
    assert {code(row[0])[0] for row in rows("error type")} == {error.__name__ for error in ImageError.__subclasses__()}


def test_the_table_of_a_reports_rows_is_that_of_the_program() -> None:
    assert {code(row[0])[0]: tuple(code(row[2])) for row in rows("`kind`")} == KINDS


def test_the_table_of_models_is_the_catalog() -> None:
    expected = [
        [
            f"`{entry.alias}`",
            f"`{entry.hub_id}`" if entry.hub_id else "built in",
            f"{entry.parameters / 1e6:.1f} M",
            f"{entry.size_bytes / 1e6:.0f} MB",
            f"{entry.image_size}",
            "" if entry.top1 is None else f"{entry.top1:.1f} %",
            entry.dataset,
            entry.licence,
        ]
        for entry in catalog.ENTRIES
    ]
    assert rows("alias") == expected


def test_the_rooms_that_are_listed_exist() -> None:
    listed = re.findall(r"^  (\S+)", blocks("text")[0], re.MULTILINE)
    assert len(listed) > 5
    assert [name for name in listed if not (ROOT / "vithybrid_cli" / name).exists()] == []


def test_the_files_that_are_spoken_of_exist() -> None:
    words = {word for text in code(PROSE) for word in text.split()}
    named = {
        word
        for word in words
        if re.fullmatch(r"(benchmarks|examples|tests)/[\w./]+|[A-Z]+\.md|LICENSE|constraints\.txt", word)
    }
    assert named >= {"BENCHMARKS.md", "LICENSE", "constraints.txt", "tests/test_readme.py"}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_nothing_is_left_to_be_filled_in() -> None:
    assert re.findall(r"\{\{.*?\}\}", TEXT) == []


def test_the_python_code_runs(workplace: Path) -> None:
    snippets = "\n".join(blocks("python"))  # each goes on with what those before it have made
    script = [sys.executable, "-W", "error::DeprecationWarning:__main__", "-c", snippets]
    done = subprocess.run(script, cwd=workplace, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in (lines[0], lines[2])] == [
        ["examples/cat.png", "3"],
        ["broken.jpg", "MissingFile"],
    ]
    assert lines[3:] == [
        "cat",
        "examples/cat.png (192,)",
        "examples/rocket.jpg (192,)",
        "4 torch.Size([1, 3, 17, 17])",
    ]


def test_each_script_of_the_examples_is_run_here() -> None:
    scripts = {path.name for path in (ROOT / "examples").iterdir() if path.suffix in (".py", ".sh")}
    assert scripts == {"classify.py", "pipeline.sh", "cifar10.py"}


def test_the_example_in_python_labels_each_picture(workplace: Path) -> None:
    done = run("python examples/classify.py", workplace)
    assert done.returncode == 0, done.stderr
    labelled = [line.split(": ")[0] for line in done.stdout.splitlines()]
    assert labelled == ["astronaut.png", "cat.png", "coffee.png", "rocket.jpg"]
    assert done.stdout.splitlines()[1].startswith("cat.png: cat ")


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_the_example_of_a_pipeline_counts_each_picture(workplace: Path) -> None:
    (workplace / "examples" / "broken.jpg").write_bytes(b"no picture")
    done = run("examples/pipeline.sh examples", workplace)
    assert done.returncode == 0, done.stderr
    counts = {label: int(count) for count, label in map(str.split, done.stdout.splitlines())}
    assert counts["unreadable"] == 1
    assert counts["cat"] >= 1
    assert sum(counts.values()) == 5


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_the_example_of_a_pipeline_fails_without_the_model(workplace: Path) -> None:
    assert run("examples/pipeline.sh examples ./no-such-model", workplace).returncode == 3


def test_the_example_for_cifar10_writes_each_picture_below_its_label(workplace: Path) -> None:
    labels = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    pixels = np.arange(2 * 32 * 32 * 3).reshape(2, 32, 32, 3).astype(np.uint8)
    records = [bytes([label]) + pixels[i].transpose(2, 0, 1).tobytes() for i, label in enumerate([3, 9])]
    files = {"batches.meta.txt": "\n".join([*labels, "", ""]).encode(), "test_batch.bin": b"".join(records)}
    files |= {f"data_batch_{number}.bin": records[0] for number in range(1, 6)}
    with tarfile.open(workplace / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))

    done = run("python examples/cifar10.py cifar-10-binary.tar.gz data/cifar10", workplace)
    assert done.returncode == 0, done.stderr
    written = sorted(path.relative_to(workplace / "data").as_posix() for path in workplace.glob("data/*/*/*/*"))
    assert written == [
        "cifar10/test/cat/0000.png",
        "cifar10/test/truck/0000.png",
        *(f"cifar10/train/cat/{number:04}.png" for number in range(5)),
    ]
    with Image.open(workplace / "data/cifar10/test/truck/0000.png") as image:
        assert np.array_equal(np.asarray(image), pixels[1])
