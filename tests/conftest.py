"""What several test files share: equal surroundings on every machine, reference checkpoints, and other libraries."""

import functools
import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from places import GOLDENS, PEER_SCRIPTS
from shell import DISPLAY
from typer.main import get_command

if TYPE_CHECKING:
    from entries_to_show import Write
    from playwright.sync_api import Browser

    from vithybrid_cli.report.entries import Entry

# One thread: the networks here are so small that several, here and in the programs that tests start, only wait for each
# other, and results do not depend on the machine. What measures time says otherwise for itself.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The tests, and what they start hundreds of times, are compiled once, even where a shell asks for doing it each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Lines break at the same column on every machine; a test of another width sets it for itself.
os.environ["COLUMNS"] = "100"

# A shell lets its background jobs ignore SIGINT, and programs that the tests start would inherit that and never end.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Networks that OpenVINO runs are converted once for all tests, and away from the developer's own cache. The processes
# of a parallel run have this from the one that starts them.
if "PYTEST_XDIST_WORKER" not in os.environ:
    _CACHE = tempfile.TemporaryDirectory(prefix="vithybrid-tests-")
    os.environ["VITHYBRID_CACHE"] = _CACHE.name

# A token, mirror or proxy of the caller's would show in messages about the hub, and lead away from the local server.
PROXIES = {"ALL_PROXY", "FTP_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}

# The files that take longest, in this order: no process shall be left alone with one of them at the end.
TESTS = Path(__file__).parent
LONGEST = (
    "test_docs.py",
    "engines/test_openvino_engine.py",
    "jobs/test_jobs.py",
    "commands/test_train_command.py",
    "jobs/test_on_ray.py",
    "commands/test_classify_command.py",
    "pipeline/test_embedder.py",
    "runs/test_resume.py",
    "actions/test_killed.py",
    "test_startup.py",
    "commands/test_bench_command.py",
    "engines/test_same_digits.py",
    "hub/test_environment.py",
    "training/test_run.py",
    "runs/test_update.py",
    "runs/test_unsure.py",
    "checkpoints/test_weights.py",
    "commands/test_explain_command.py",
    "engines/test_openvino_cache.py",
    "benchmarks/test_gpu_script.py",
)

HYBRIDS = ("hf-hybrid-small", "hf-hybrid-patch2-odd")


def pytest_configure(config: pytest.Config) -> None:
    """Drop what leaks in from outside, before any test file imports a library that reads it."""
    keeps_the_way_out = config.getoption("markexpr") == "network"  # the real hub, through the caller's proxy and cache
    for name in list(os.environ):
        reaches_out = name.startswith("HF_") or name.upper() in PROXIES
        if name in DISPLAY or (reaches_out and not keeps_the_way_out):
            del os.environ[name]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--peers", metavar="PYTHON", help="the Python that has transformers and timm (`make test-peers`)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first."""
    places = {TESTS / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_collection_finish() -> None:
    """Tests and libraries stay until the end: nobody searches them for garbage again, and forks share them."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _commands_are_built_once() -> Iterator[None]:
    """Typer builds all subcommands anew for each call of a command in this process, which takes most of many calls."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.testing._get_command", functools.cache(get_command))
        yield


@pytest.fixture(params=HYBRIDS)
def golden(request: pytest.FixtureRequest) -> Path:
    """The folder of a reference checkpoint, with the activations that transformers computed."""
    folder = GOLDENS / str(request.param)
    assert (folder / "activations.safetensors").is_file(), f"{folder} lacks its activations"
    return folder


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with three pictures and a broken one between them."""
    for index, colour in enumerate(["red", "green", "blue"]):
        Image.new("RGB", (80 + index, 70), colour).save(tmp_path / f"{index}.png")
    (tmp_path / "1a.png").write_bytes(b"no picture")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@dataclass(frozen=True)
class Peers:
    """Runs scripts of tests/peers with a Python that has transformers and timm, which need other versions than we."""

    python: Path

    def run(self, script: str, *arguments: str | Path) -> None:
        command = [str(self.python), str(PEER_SCRIPTS / f"{script}.py"), *map(str, arguments)]
        offline = {**os.environ, "HF_HUB_OFFLINE": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=offline, check=False)
        assert done.returncode == 0, f"{' '.join(command)} failed:\n{done.stderr}"


@pytest.fixture(scope="session")
def peers(request: pytest.FixtureRequest) -> Peers:
    """The environment that ``--peers`` names."""
    python = request.config.getoption("--peers")
    assert python, (
        "name the Python that has transformers and timm: --peers=.venv-peers/bin/python, or `make test-peers`"
    )
    return Peers(Path(python).absolute())  # not resolved: a link into a virtual environment is what makes it one


@pytest.fixture(scope="session")
def chromium() -> Iterator["Browser"]:
    """The system's Chromium, without a window; tests of the mark ``browser`` open pages in it."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("there is no Chromium, as Debian's package `chromium` has it")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        yield browser
        browser.close()


@pytest.fixture
def write(tmp_path: Path) -> "Write":
    """Writes a page of results and gives its address as a file."""
    from entries_to_show import MIXED

    from vithybrid_cli.report.entries import About
    from vithybrid_cli.report.page import write_page

    def address(entries: "Iterable[Entry]" = MIXED, about: About | None = None) -> str:
        file = tmp_path / "page.html"
        with file.open("w", encoding="utf-8", newline="\n") as stream:
            write_page(stream, entries, about or About("Pictures"))
        return file.as_uri()

    return address
