"""`vithybrid download` in a process of its own, against a hub of our own."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hub_server import COMMIT, FILES, GOLDEN, NAME, PULL_COMMIT, Hub, running
from warm import program

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def server() -> Iterator[Hub]:
    with running() as server:
        server.add(NAME, FILES)
        yield server


@pytest.fixture
def environment(server: Hub, tmp_path: Path) -> dict[str, str]:
    """Nothing of the caller's but the path: no token, no cache, no proxy."""
    return {
        "PATH": os.environ["PATH"],
        "HF_HOME": str(tmp_path / "home"),
        "HF_ENDPOINT": server.endpoint,
        "NO_PROXY": "127.0.0.1,localhost",
        "TERM": "xterm",
        "COLUMNS": "100",
    }


@pytest.fixture
def run(environment: dict[str, str]) -> Run:
    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [*program(), "download", *arguments]
        return subprocess.run(command, env=environment | variables, capture_output=True, text=True, timeout=60)

    return run


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """Where the cache will keep the model."""
    return str(tmp_path / "home" / "hub" / "models--somebody--hybrid" / "snapshots" / COMMIT)


def test_the_folder_is_all_there_is_on_stdout(run: Run, folder: str) -> None:
    result = run(NAME)
    assert (result.returncode, result.stdout) == (0, f"{folder}\n")
    assert result.stderr.splitlines() == [
        "fetching config.json (1.5 kB)",
        "fetching preprocessor_config.json (427 bytes)",
        "fetching model.safetensors (426.6 kB)",
    ]
    assert {path.name for path in Path(folder).iterdir()} == set(FILES)


@pytest.mark.parametrize("option", ["-q", "--no-progress"])
def test_progress_can_be_turned_off(run: Run, folder: str, option: str) -> None:
    result = run(NAME, option)
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{folder}\n", "")


def test_a_second_download_fetches_nothing(run: Run, server: Hub, folder: str) -> None:
    run(NAME)
    server.requests.clear()
    result = run(NAME)
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{folder}\n", "")
    assert not server.asked("GET", "/resolve/") + server.asked("GET", "/cdn/")


def test_offline_prints_the_folder_of_a_cached_model(run: Run, server: Hub, folder: str) -> None:
    run(NAME)
    server.requests.clear()
    result = run(NAME, "--offline")
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{folder}\n", "")
    assert server.requests == []


def test_one_failure_does_not_keep_the_others_from_coming(run: Run, folder: str) -> None:
    result = run("-q", "somebody/nothing", NAME)
    assert (result.returncode, result.stdout) == (3, f"{folder}\n")
    assert re.fullmatch(r".*There is no model 'somebody/nothing' on the hub.*\n", result.stderr)


def test_several_failures_are_one_line_with_each_reason(run: Run) -> None:
    result = run("-q", "somebody/nothing", "tinny")
    assert (result.returncode, result.stdout) == (3, "")
    assert re.fullmatch(r".*2 of 2 models.*no model 'somebody/nothing'.*Did you mean tiny\?.*\n", result.stderr)


def test_no_network_is_one_line_that_names_the_built_in_model(run: Run) -> None:
    result = run("-q", HF_ENDPOINT="http://127.0.0.1:9")
    assert (result.returncode, result.stdout) == (3, "")
    assert re.fullmatch(r".*google/vit-hybrid-base-bit-384.*use the built-in model, tiny\.\n", result.stderr)


def test_a_revision_of_a_folder_is_wrong_usage(run: Run) -> None:
    result = run(str(GOLDEN), "--revision", "main")
    assert (result.returncode, result.stdout) == (2, "")


def test_a_terminal_gets_bars_on_stderr(environment: dict[str, str], server: Hub, folder: str) -> None:
    command = [sys.executable, "-m", "vithybrid_cli", "download", NAME]
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=theirs, text=True) as process:
        os.close(theirs)
        drawn = _read_until_closed(ours)
        stdout, _ = process.communicate(timeout=60)
    os.close(ours)
    assert (process.returncode, stdout) == (0, f"{folder}\n")
    assert "model.safetensors" in drawn
    assert "━" in drawn


def _read_until_closed(screen: int) -> str:
    """Read a terminal's screen; Linux says EIO where other systems say end of file."""
    chunks = []
    try:
        while chunk := os.read(screen, 65536):
            chunks.append(chunk)
    except OSError:
        pass
    return b"".join(chunks).decode()


def test_where_the_weights_come_from_is_one_line(run: Run, server: Hub) -> None:
    pickled = {**FILES, "pytorch_model.bin": b"pickle"}
    weights = pickled.pop("model.safetensors")
    server.add(NAME, pickled).open_pull(5, {**pickled, "model.safetensors": weights})
    result = run("--no-progress", f"hf-hub:{NAME}")
    assert (result.returncode, result.stdout.rstrip()[-40:]) == (0, PULL_COMMIT)
    assert result.stderr.splitlines() == [
        "hf-hub:somebody/hybrid is understood as somebody/hybrid.",
        "somebody/hybrid has no safetensors on its main branch; those of SFconvertbot's pull request 5 are taken "
        "(commit 3333333).",
    ]
    again = run("-q", NAME, "--offline")
    assert (again.stdout, again.stderr) == (result.stdout, "")


def test_a_task_is_a_name_of_its_model(run: Run, server: Hub) -> None:
    server.add("Falconsai/nsfw_image_detection", FILES)
    result = run("-q", "nsfw")
    assert (result.returncode, result.stderr) == (0, "")
    assert "models--Falconsai--nsfw_image_detection" in result.stdout
