"""A folder of pictures with results, sorted in processes that are killed, and compared file by file."""

import json
import os
import signal
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vithybrid_cli.actions.decide import Tally
from vithybrid_cli.actions.into import folders_before
from vithybrid_cli.actions.journal import LOCK, Way, journals_in, read_journal
from vithybrid_cli.actions.plan import Choice, make_plan
from vithybrid_cli.actions.resolve import OnConflict
from vithybrid_cli.actions.sort import sort_pictures
from vithybrid_cli.actions.undo import Tally as UndoTally
from vithybrid_cli.actions.undo import undo_sort
from vithybrid_cli.runs.pictured import pictured
from vithybrid_cli.sources.containers import Wanted

# All that changes anything on the disk, or opens a file to write to it.
STEPS = ("link", "unlink", "open", "fsync", "mkdir", "rmdir", "symlink", "rename", "utime", "chmod", "replace")

Tree = Mapping[str, tuple[object, ...]]


@dataclass
class Told:
    """What is told while pictures are sorted."""

    lines: list[str] = field(default_factory=list)

    def failed(self, path: str, reason: str) -> None:
        self.lines.append(f"{os.path.basename(path)}: {reason}")  # noqa: PTH119

    def advance(self) -> None:
        pass


def write_results(file: Path, labels: Mapping[str, str | tuple[str, int, float] | None]) -> Path:
    """Results of pictures with one label each; None is an error."""
    lines: list[dict[str, object]] = []
    for path, label in labels.items():
        if label is None:
            lines.append({"path": path, "error": {"type": "UnreadableImage", "message": "It is damaged. Mend it."}})
            continue
        name, index, score = label if isinstance(label, tuple) else (label, len(label), 0.9)
        lines.append({"path": path, "predictions": [{"index": index, "label": name, "score": score}]})
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def sort(
    results: Path,
    into: Path,
    way: Way = Way.COPY,
    told: Told | None = None,
    on_conflict: OnConflict = OnConflict.RENAME,
    minimum: float | None = None,
    below: Path | None = None,
    changed: bool = False,
) -> Tally:
    """Sort as the command does."""
    tally = Tally()
    choice = Choice(into, way, minimum, below, changed)
    plan = make_plan(pictured(results, Wanted()), choice, folders_before(into))
    sort_pictures(plan, on_conflict, results, tally, told or Told())
    return tally


def undo(into: Path, told: Told | None = None) -> UndoTally:
    """Undo the latest sort."""
    return undo_sort(read_journal(journals_in(into)[-1]), told or Told())


def tree(folder: Path) -> Tree:
    """All that is in a folder but journals and locks: content, permissions and time of files, and where links lead."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        status = path.lstat()
        if path.is_symlink():
            found[name] = ("link", os.readlink(path))  # noqa: PTH115
        elif path.is_dir():
            found[name] = ("folder",)
        elif path.name != LOCK and not path.name.startswith(".vithybrid-sort-"):
            found[name] = (path.read_bytes(), stat.S_IMODE(status.st_mode), status.st_mtime_ns)
    return found


def killed_at(number: int, act: Callable[[], object]) -> bool:
    """Do it in a process that is killed before its step of this number; False if it ends before that."""
    child = os.fork()
    if child == 0:
        _kill_at(number)
        try:
            act()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def _kill_at(number: int) -> None:
    left = [number]

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def step(*arguments: object, **named: object) -> object:
            left[0] -= 1
            if left[0] <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **named)

        return step

    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))
