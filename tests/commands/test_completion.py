"""Shell completion: what the shells' scripts ask the program, and what they get."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).parent / "vithybrid"
SUBCOMMANDS = {"classify", "download", "evaluate", "info", "models", "train"}
SHELLS = ("bash", "zsh", "fish")


def run(*arguments: str, **environment: str) -> str:
    """What the program prints with these variables in its environment."""
    everything = {**os.environ, "NO_COLOR": "1", **environment}
    done = subprocess.run([str(PROGRAM), *arguments], env=everything, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def complete(shell: str, line: str) -> str:
    """The program's answer to a shell that asks how the last word of ``line`` goes on."""
    if shell == "bash":
        words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    else:
        words = {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    return run(_VITHYBRID_COMPLETE=f"complete_{shell}", **words)


@pytest.mark.parametrize("shell", SHELLS)
def test_every_subcommand_is_offered(shell: str) -> None:
    offered = complete(shell, "vithybrid ")
    assert [name for name in sorted(SUBCOMMANDS) if name not in offered] == []


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "expected", "unexpected"),
    [
        pytest.param("vithybrid cl", "classify", "train", id="a subcommand"),
        pytest.param("vithybrid classify --fo", "--format", "--files-from", id="an option"),
        pytest.param("vithybrid classify --dtype b", "bfloat16", "float32", id="a value of an option"),
        pytest.param("vithybrid train --ep", "--epochs", "--format", id="an option of another subcommand"),
    ],
)
def test_a_word_that_was_begun_is_completed(shell: str, line: str, expected: str, unexpected: str) -> None:
    offered = complete(shell, line)
    assert expected in offered
    assert unexpected not in offered


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_for_each_shell_is_shown(shell: str) -> None:
    asked = run("--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert f"_VITHYBRID_COMPLETE=complete_{shell}" in asked
    assert run(_VITHYBRID_COMPLETE=f"source_{shell}").strip() == asked.strip()


def test_help_names_the_installation() -> None:
    assert "--install-completion" in run("--help")


def test_bash_completes_with_the_script_that_was_installed(tmp_path: Path) -> None:
    run("--install-completion", "bash", HOME=str(tmp_path), _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "vithybrid" in (tmp_path / ".bashrc").read_text(encoding="utf-8")
    session = 'source ~/.bashrc; COMP_WORDS=(vithybrid classify --thres); COMP_CWORD=2\n_vithybrid_completion "$0"\n'
    session += 'echo "${COMPREPLY[@]}"'
    bash = shutil.which("bash") or "bash"
    environment = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run(
        [bash, "--norc", "-c", session, str(PROGRAM)], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "--threshold\n"
