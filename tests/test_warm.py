"""What tests call instead of the program is the program."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from places import EXAMPLES
from warm import program

REAL = [sys.executable, "-m", "vithybrid_cli"]


def called(command: list[str], *arguments: str, folder: Path, **variables: str) -> tuple[int, str, str]:
    environment = {**os.environ, **variables}
    done = subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env=environment,
        input="cat.png\n",
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        pytest.param(["classify", "--files-from", "-", "-m", "tiny", "-q"], 0, id="a picture on stdin"),
        pytest.param(["info", "./nothing"], 3, id="no model"),
    ],
)
def test_streams_folder_and_exit_code_are_those_of_the_call(arguments: list[str], exit_code: int) -> None:
    warm = called(program(), *arguments, folder=EXAMPLES)
    assert warm == called(REAL, *arguments, folder=EXAMPLES)
    assert warm[0] == exit_code


@pytest.mark.parametrize("columns", [60, 90])
def test_the_environment_is_that_of_the_call(columns: int, tmp_path: Path) -> None:
    code, shown, _ = called(program(), "classify", "--help", folder=tmp_path, COLUMNS=str(columns))
    assert (code, max(map(len, shown.splitlines()))) == (0, columns)
