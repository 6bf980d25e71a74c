"""How much it takes until anything happens, beside what the libraries take by themselves on this machine.

What is compared is processor time, in turns: a machine that is busy with other things makes everybody wait, but
changes little of this.
"""

import os
import resource
import subprocess
import sys
from collections.abc import Sequence

import pytest
from places import EXAMPLES

PROGRAM = ["-m", "vithybrid_cli"]
CLASSIFY = ["classify", str(EXAMPLES / "cat.png"), "-m", "tiny"]
IMPORT_TORCH = ["-c", "import torch"]
SMALL_PROGRAM = [
    "-c",
    "import typer\n"
    "app = typer.Typer()\n"
    "@app.command()\n"
    "def one(number: int = 1) -> None: ...\n"
    "@app.command()\n"
    "def two(number: int = 2) -> None: ...\n"
    "app(['--help'])\n",
]


def processor_seconds(arguments: list[str]) -> float:
    """What one run of Python takes of the processors, once it has compiled its modules, as it may."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def least(programs: Sequence[list[str]], turns: int) -> list[float]:
    """What a run of each takes: the least of some, run in turns, since other work on the machine only ever adds.

    In the first turn a run may compile its modules or convert the network, which later ones do without.
    """
    measured = [[processor_seconds(arguments) for arguments in programs] for _ in range(turns)]
    return [min(seconds) for seconds in zip(*measured, strict=True)]


def ratio(arguments: list[str], baseline: list[str], turns: int) -> float:
    """How many times as much as ``baseline`` a run takes."""
    ours, theirs = least([arguments, baseline], turns)
    return ours / theirs


@pytest.fixture(scope="module")
def converted() -> None:
    """The built-in model is converted for OpenVINO, for labels and for features."""
    for command in ("classify", "embed"):
        processor_seconds([*PROGRAM, command, *CLASSIFY[1:], "--engine", "openvino"])


@pytest.fixture(scope="module")
def beside_torch() -> dict[str, float]:
    """How many times as much as importing torch one picture takes, by engine."""
    engines = ("torch", "openvino")
    *ours, theirs = least([*([*PROGRAM, *CLASSIFY, "--engine", engine] for engine in engines), IMPORT_TORCH], turns=3)
    return {engine: seconds / theirs for engine, seconds in zip(engines, ours, strict=True)}


def test_help_takes_little_more_than_that_of_a_program_of_two_commands() -> None:
    # 1.6 where this was written; with what downloads from the hub imported it would be 3, with torch 11
    assert ratio([*PROGRAM, "--help"], SMALL_PROGRAM, turns=3) <= 2.5


@pytest.mark.thorough  # what it must not import, another test shows
def test_help_of_embed_takes_no_more_than_that_of_classify() -> None:
    # 1.0 where this was written; if one of them alone imported NumPy, it would be 1.26 or 0.8
    embed, classify = ([*PROGRAM, command, "--help"] for command in ("embed", "classify"))
    assert 0.85 <= ratio(embed, classify, turns=8) <= 1.2


def test_one_picture_with_the_built_in_model_takes_little_more_than_importing_torch(
    beside_torch: dict[str, float],
) -> None:
    # 1.1 where this was written; if the garbage collector looked on, it would be 1.3, and with torch's compiler
    # imported (`torch._dynamo`) 2
    assert beside_torch["torch"] <= 1.6


def test_one_picture_on_openvino_takes_less_than_importing_torch(beside_torch: dict[str, float]) -> None:
    # 0.31 where this was written; with torch imported, for whatever reason, it would be more than 1
    assert beside_torch["openvino"] < 0.8


@pytest.mark.usefixtures("converted")
def test_openvino_with_a_converted_network_does_without_torch() -> None:
    assert imported_by(*CLASSIFY, "--engine", "openvino") >= {"numpy", "PIL", "openvino"}
    assert "torch" not in imported_by(*CLASSIFY)


@pytest.mark.usefixtures("converted")
def test_features_from_a_converted_network_do_without_torch() -> None:
    assert "torch" not in imported_by("embed", *CLASSIFY[1:], "--engine", "openvino")


@pytest.mark.parametrize("command", [[], ["classify"], ["embed"]], ids=["of all", "of classify", "of embed"])
def test_help_imports_nothing_that_only_work_needs(command: list[str]) -> None:
    heavy = {"torch", "openvino", "numpy", "PIL", "huggingface_hub", "safetensors"}
    assert imported_by(*command, "--help") & heavy == set()


@pytest.mark.parametrize(
    ("arguments", "commands"),
    [
        pytest.param(["--version"], set(), id="the version"),
        pytest.param(["models"], {"models"}, id="a command"),
        pytest.param(["job", "status", "."], {"job"}, id="a group"),
        pytest.param(["modles"], {"models", "job", "train"}, id="what is no command"),
    ],
)
def test_a_run_imports_the_command_that_is_asked_for_alone(arguments: list[str], commands: set[str]) -> None:
    script = (
        "import atexit, sys\n"
        "from vithybrid_cli.commands.app import main\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)
    imported = {name.rpartition(".")[2] for name in done.stderr.split() if name.startswith("vithybrid_cli.commands.")}
    assert imported & {"models", "job", "train"} == commands


def test_garbage_is_collected_from_the_first_picture_on() -> None:
    script = (
        "import gc, sys\n"
        "from unittest.mock import patch\n"
        "from vithybrid_cli.commands.app import main\n"
        "from vithybrid_cli.images.read import PixelReader\n"
        "seen, read = [], PixelReader.read\n"
        "def noting(*arguments):\n"
        "    seen.append(gc.isenabled())\n"
        "    return read(*arguments)\n"
        f"sys.argv[1:] = {CLASSIFY!r}\n"
        "try:\n"
        "    with patch.object(PixelReader, 'read', noting):\n"
        "        main()\n"
        "finally:\n"
        "    print(seen, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[True]"


def imported_by(*arguments: str) -> set[str]:
    """The modules that the program has imported when it ends, those within packages aside."""
    script = (
        "import sys\n"
        "from vithybrid_cli.commands.app import app\n"
        "try:\n"
        f"    app({list(arguments)!r})\n"
        "except SystemExit:\n"
        "    pass\n"
        "print(*(name for name in sys.modules if '.' not in name), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines()[-1].split())
