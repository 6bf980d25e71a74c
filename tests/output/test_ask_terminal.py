"""What a terminal shows is known or asked; it is never waited for long, and no answer is left for the shell to read."""

import json
import select
import sys
import time
from typing import Any

import pytest
from own_terminal import Terminal

from vithybrid_cli.choices import Graphics
from vithybrid_cli.output.ask_terminal import known_graphics, screen_of

QUESTION = b"\x1b[16t\x1b[c"
ASKS = """
import json, sys, time
from vithybrid_cli.choices import Graphics
from vithybrid_cli.output import ask_terminal
environment = {environment}
began = time.monotonic()
screen = ask_terminal.screen_of(sys.stdout, Graphics.{wanted}, environment)
time.sleep({pause})
if screen.unanswered:
    ask_terminal.take_late_answer(sys.stdout)
print(json.dumps([screen.graphics, screen.cell, time.monotonic() - began]), file=sys.stderr)
time.sleep(60)
"""


def asking(environment: dict[str, str], wanted: str = "AUTO", pause: float = 0) -> Terminal:
    """A program that asks its terminal."""
    return Terminal([sys.executable, "-c", ASKS.format(environment=environment, wanted=wanted, pause=pause)])


def told_by(terminal: Terminal) -> Any:
    """What it found out."""
    return json.loads(terminal.error_line())


@pytest.mark.parametrize(
    ("answer", "graphics", "cell"),
    [
        pytest.param(b"\x1b[?62;4;22c", "sixel", [10, 20], id="sixel"),
        pytest.param(b"\x1b[6;17;8t\x1b[?1;2;4c", "sixel", [8, 17], id="sixel, and its cells"),
        pytest.param(b"\x1b[?1;2c", "blocks", [10, 20], id="none"),
        pytest.param(b"\x1b[?4c", "blocks", [10, 20], id="a VT132, whose class is no attribute"),
        pytest.param(b"\x1b[?64;14;44c", "blocks", [10, 20], id="other attributes"),
    ],
)
def test_a_terminal_is_asked_and_its_answer_is_taken(answer: bytes, graphics: str, cell: list[int]) -> None:
    terminal = asking({"TERM": "xterm-256color"})
    assert QUESTION in terminal.read_until(QUESTION)
    terminal.answer(answer)
    told = told_by(terminal)
    assert told[:2] == [graphics, cell]
    assert terminal.left() == b""


def test_what_is_typed_after_the_answer_is_the_users() -> None:
    terminal = asking({"TERM": "xterm"})
    terminal.read_until(QUESTION)
    terminal.answer(b"\x1b[?62;4cls -l")
    assert told_by(terminal)[0] == "sixel"
    assert terminal.left() == b"ls -l"


def test_a_terminal_that_does_not_answer_is_not_waited_for_long() -> None:
    terminal = asking({"TERM": "xterm"})
    terminal.read_until(QUESTION)
    told = told_by(terminal)
    assert told[0] == "blocks"
    assert told[2] < 30  # a second is what it waits; a busy machine takes more
    assert terminal.left() == b""


def test_a_late_answer_is_taken_at_the_end() -> None:
    terminal = asking({"TERM": "xterm"}, pause=2.5)
    terminal.read_until(QUESTION)
    time.sleep(1.7)  # more than it waits
    terminal.answer(b"\x1b[?62;4c")
    assert told_by(terminal)[0] == "blocks"
    assert terminal.left() == b""


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        pytest.param({"TERM": "xterm-kitty"}, "AUTO", id="one that is known"),
        pytest.param({"TERM": "dumb"}, "AUTO", id="a dumb one"),
        pytest.param({}, "AUTO", id="one without a name"),
        pytest.param({"TERM": "xterm"}, "BLOCKS", id="blocks are wanted"),
        pytest.param({"TERM": "xterm"}, "NONE", id="none are wanted"),
    ],
)
def test_nothing_is_asked_where_that_is_not_needed(environment: dict[str, str], wanted: str) -> None:
    terminal = asking(environment, wanted)
    told_by(terminal)
    assert select.select([terminal.ours], [], [], 0.2)[0] == []
    assert terminal.left() == b""


@pytest.mark.parametrize(
    ("environment", "graphics"),
    [
        ({"TERM": "xterm-kitty"}, Graphics.KITTY),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, Graphics.KITTY),
        ({"TERM": "xterm-ghostty"}, Graphics.KITTY),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "ghostty"}, Graphics.KITTY),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, Graphics.ITERM),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, Graphics.ITERM),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, Graphics.ITERM),
        ({"TERM": "xterm-256color"}, None),
        ({"TERM": "tmux-256color", "KITTY_WINDOW_ID": "1", "TMUX": "/tmp/tmux"}, None),
        ({"TERM": "screen", "LC_TERMINAL": "iTerm2"}, None),
        ({"TERM": "xterm-kitty", "ZELLIJ": "0"}, None),
        ({}, None),
    ],
)
def test_the_environment_tells_of_some_terminals(environment: dict[str, str], graphics: Graphics | None) -> None:
    assert known_graphics(environment) is graphics


@pytest.mark.parametrize("wanted", Graphics)
def test_what_is_no_terminal_gets_what_is_wanted_and_else_blocks(
    wanted: Graphics, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = screen_of(sys.stdout, wanted, {"TERM": "xterm"})
    assert screen.graphics is (Graphics.BLOCKS if wanted is Graphics.AUTO else wanted)
    assert capsys.readouterr().out == ""
