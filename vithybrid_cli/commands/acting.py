"""What commands share that act on files: what they tell while they do, and the plan that they print."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from vithybrid_cli.commands.progress import Progress
from vithybrid_cli.commands.watch import Stderr
from vithybrid_cli.errors import UsageError
from vithybrid_cli.output import Format, default_format
from vithybrid_cli.output.destination import opened
from vithybrid_cli.output.formats import prepare_stream
from vithybrid_cli.output.json_records import to_json


class Acting:
    """Tells of files that nothing was done for, above a bar that counts the others."""

    def __init__(self, stderr: Stderr, files: int, *, quiet: bool = False, unit: str = "pictures") -> None:
        """There are so many ``files``; ``quiet`` where rows are printed in place of a bar."""
        self.stderr = stderr
        self._progress = Progress(enabled=stderr.progress_shown and not quiet, total=files, unit=unit)
        self._showing = stderr.showing(self._progress)

    def __enter__(self) -> Self:
        self._showing.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._showing.__exit__(kind, error, traceback)

    def failed(self, path: str, reason: str) -> None:
        """Nothing, or not all, was done for this file."""
        self.stderr.say(f"{path}: {reason}")

    def advance(self) -> None:
        """One more is done."""
        self._progress.advance()


NOWHERE = "No picture is where RESULTS says. If it was written in another folder, give that with --root."


def require_root(root: Path | None) -> None:
    """Raise UsageError for a root that is no folder."""
    if root is not None and not root.is_dir():
        what = "is no folder" if root.exists() else "does not exist"
        raise UsageError(f"{root} {what}.", "Give {root} the folder at which the paths in RESULTS begin.")


def typed(path: Path) -> str:
    """A path as it can be typed in a command: one that begins with a dash is no option."""
    return f"./{path}" if str(path).startswith("-") else str(path)


def counted(*parts: tuple[int, str]) -> Iterator[str]:
    """Each number that is not 0, with what it counts."""
    return (f"{number:,} {what}" for number, what in parts if number)


def write_rows(rows: Iterable[dict[str, str]]) -> None:
    """Write what would be done to stdout: a table on a terminal, else one JSON object a line."""
    with opened(None, remedy="make room there") as stream:
        output_format = default_format(stream)
        prepare_stream(output_format, stream)
        if output_format is Format.TABLE:
            _write_table(rows)
            return
        for row in rows:
            stream.write(to_json(row) + "\n")
        stream.flush()


def _from_here(path: str) -> str:
    """A path below the current folder as one would write it there."""
    here = Path(path)
    return str(here.relative_to(Path.cwd())) if here.is_relative_to(Path.cwd()) else path


def _write_table(rows: Iterable[dict[str, str]]) -> None:
    """Each row on one line, as wide as the screen."""
    from rich.text import Text

    from vithybrid_cli.output.terminal import open_terminal

    terminal = open_terminal(sys.stdout)
    for row in rows:
        half = max((terminal.width - 14) // 2, 8)
        source = terminal.column(terminal.text(_from_here(row["from"])), half)
        terminal.print(
            [
                Text.assemble(
                    (row["action"].ljust(10), "dim"), source, " → ", terminal.column(terminal.text(row["to"]), half)
                )
            ]
        )
