"""What a run tells on stderr: warnings at any time, escaped, above the progress, and nothing of it when quiet."""

import logging
import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from fake_program import FakeEngine, fake_classifier
from places import GOLDENS
from typer.testing import CliRunner

from vithybrid_cli.commands.app import app
from vithybrid_cli.commands.watch import Stderr

MODEL = str(GOLDENS / "hf-hybrid-small")


class WarningEngine(FakeEngine):
    """Warns while it computes, with a control character that would clear the screen."""

    def run(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        logging.getLogger("vithybrid_cli.engines").warning("a batch did not fit\x1b[2J")
        return super().run(pixels)


@pytest.fixture
def warns(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of classify whose engine warns in the middle of it."""
    classifier = fake_classifier(WarningEngine())
    monkeypatch.setattr("vithybrid_cli.runs.label.open_classifier", lambda *_: classifier)


@pytest.mark.usefixtures("warns")
@pytest.mark.parametrize(
    ("options", "lines"),
    [
        pytest.param([], ["a batch did not fit\\x1b[2J"], id="by default"),
        pytest.param(["--no-progress"], ["a batch did not fit\\x1b[2J"], id="without progress"),
        pytest.param(["--quiet"], [], id="quiet"),
    ],
)
def test_a_warning_in_the_middle_of_a_run_is_a_line_of_text_or_nothing(options: list[str], lines: list[str]) -> None:
    done = CliRunner().invoke(app, ["classify", "-m", MODEL, "0.png", *options], catch_exceptions=False)
    assert (done.exit_code, done.stderr.splitlines()) == (0, lines)


def test_after_a_run_the_package_logs_as_before() -> None:
    logger = logging.getLogger("vithybrid_cli")
    before = logger.level, logger.propagate, list(logger.handlers)
    with Stderr():
        assert logger.getEffectiveLevel() == logging.INFO
    assert (logger.level, logger.propagate, logger.handlers) == before


def test_on_a_terminal_a_warning_stands_above_the_bar_which_goes_on_below_it(pictures: Path) -> None:
    script = (
        "import logging\n"
        "from vithybrid_cli.commands.watch import Stderr\n"
        "from vithybrid_cli.runs.watch import Begin\n"
        "with Stderr() as watch, watch.counting(Begin(lambda: 2)) as progress:\n"
        "    progress.advance()\n"
        "    logging.getLogger('vithybrid_cli.any').warning('memory is short\\x1b[2J')\n"
        "    progress.advance()\n"
    )
    terminal, side = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen([sys.executable, "-c", script], stdin=side, stdout=side, stderr=side, env=environment) as run:
        os.close(side)
        shown = b"".join(iter(lambda: _read(terminal), b""))
        assert run.wait() == 0
    os.close(terminal)
    assert b"\x1b[2J" not in shown
    assert b"memory is short\\x1b[2J\r\n" in shown
    assert shown.rindex(b"2/2") > shown.index(b"memory is short")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other side is closed
        return b""
