"""What a run was made with, kept beside its output file, so that another run can tell whether it may go on with it."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vithybrid_cli import __version__, atomic
from vithybrid_cli.errors import UsageError, option
from vithybrid_cli.output import Format
from vithybrid_cli.output.destination import DISK_ERRORS, is_plain_file, unwritable
from vithybrid_cli.output.read_back import READABLE

SUFFIX = ".run.json"
START_OVER = "or leave out {resume} to start over"


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """The record of the run to go on with: ``settings`` are all of it, the others what its results are read with."""

    settings: dict[str, Any]
    output_format: Format
    top_k: int
    batch_size: int

    @classmethod
    def of(cls, settings: Any) -> "EarlierRun":
        """Raises ValueError, TypeError or KeyError for what is no record."""
        numbers = settings["top_k"], settings["batch_size"]
        if not all(isinstance(number, int) and number >= 1 for number in numbers):
            raise ValueError("top_k and batch_size are numbers from 1 on")
        if not isinstance(settings["model"]["name"], str):
            raise TypeError("a model has a name")
        return cls(settings, Format(settings["format"]), *numbers)

    @property
    def batch_limit(self) -> int | None:
        """How many pictures at once fitted into the device's memory, if that was found to be less than a batch."""
        limit = self.settings.get("batch_limit")
        return limit if isinstance(limit, int) and limit >= 1 else None


class RunRecord:
    """All that decides the results of a run but its inputs, learnt step by step.

    ``earlier`` is the record of the run to go on with. Without ``output``, on stdout or a device, nothing is kept.
    """

    def __init__(self, output: Path | None, output_format: Format, earlier: EarlierRun | None = None) -> None:
        self.output = output
        self.output_format = output_format
        self.earlier = earlier
        self._settings: dict[str, object] = {"version": __version__, "format": output_format}
        self._facts: dict[str, object] = {}
        self._written = earlier is not None

    @property
    def resumable(self) -> bool:
        """Whether another run can go on with this one."""
        return self.output is not None and self.output_format in READABLE

    def has_another_model(self, name: str) -> bool:
        """Whether the earlier run had a model of another name."""
        return self.earlier is not None and self.earlier.settings["model"]["name"] != name

    def settle(self, **settings: object) -> None:
        """More of the settings are known. Raises UsageError with all that the earlier run had otherwise."""
        self._settings |= settings
        if self.earlier is None:
            return
        was = self.earlier.settings
        if made := [line for name, now in self._settings.items() for line in _differences(name, was.get(name), now)]:
            raise UsageError(
                f"{self.output} was made with {'; '.join(made)}.", f"Do as the first run did, {START_OVER}."
            )

    def note(self, **facts: object) -> None:
        """Keep what no other run has to have alike, but a run that goes on should know.

        That is ``live``, whether batches may have ended early since a list on stdin paused; and ``batch_limit``, how
        many pictures at once the device's memory was found to hold. A record that is written already is written anew.
        Raises UsageError when that fails.
        """
        self._facts |= facts
        if self._written and self.output is not None and self.resumable:
            kept = self.earlier.settings if self.earlier is not None else self._settings
            file = record_file(self.output)
            try:
                self._keep(file, {**kept, **self._facts})
            except OSError as error:
                raise unwritable(file, error) from error

    def write(self) -> str | None:
        """Put the record of a new run beside its output, whole or not at all.

        Gives back a warning if that cannot be done, which a run survives. Raises UsageError on a full disk.
        """
        if self.output is None or self.earlier is not None:
            return None
        file = record_file(self.output)
        try:
            if self.resumable:
                self._keep(file, {**self._settings, **self._facts})
            else:
                file.unlink(missing_ok=True)
        except OSError as error:
            if error.errno in DISK_ERRORS or os.path.lexists(file):  # another run's record must not stay here
                raise unwritable(file, error) from error
            resuming = option("resume")
            return f"{file} cannot be written ({error.strerror}), so {resuming} will not go on with {self.output}."
        return None

    def _keep(self, file: Path, settings: Mapping[str, object]) -> None:
        atomic.write_text(file, json.dumps(settings, indent=2) + "\n")
        self._written = True


def record_file(output: Path) -> Path:
    """Where the record of a run lies."""
    return output.with_name(output.name + SUFFIX)


def forget_run(output: Path) -> None:
    """Remove the record beside a file that is about to hold something else. Raises UsageError where that fails."""
    try:
        record_file(output).unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(record_file(output), error) from error


def open_record(output: Path | None, output_format: Format, *, resume: bool) -> RunRecord:
    """The record of a run that begins, or with ``resume`` goes on if ``output`` holds anything.

    Raises UsageError for what cannot be resumed.
    """
    if not resume:
        return RunRecord(output if output is not None and is_plain_file(output) else None, output_format)
    if output is None:
        raise UsageError("There is no file of an earlier run to go on with.", "Give its name with {output}.")
    if output_format not in READABLE:
        raise UsageError(f"A run cannot go on with a {output_format}.", f"Give {{format}} {_either(READABLE)}.")
    if not is_plain_file(output):
        raise UsageError(f"A run goes on with a regular file, and {output} is none.", "Leave out {resume}.")
    begun = output.exists() and output.stat().st_size > 0  # if not, it was not begun, or killed before its first byte
    return RunRecord(output, output_format, _read(output) if begun else None)


def _either(formats: Sequence[Format]) -> str:
    return f"{', '.join(formats[:-1])} or {formats[-1]}"


def _read(output: Path) -> EarlierRun:
    file = record_file(output)
    try:
        return EarlierRun.of(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise UsageError(
            f"{file} is missing, so nothing tells how {output} was made.", f"Bring it back, {START_OVER}."
        ) from error
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.", f"Make it readable, {START_OVER}.") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UsageError(f"{file} is no record of a run.", f"Bring that back, {START_OVER}.") from error


def _differences(name: str, was: object, now: object) -> Iterator[str]:
    """What to say of a setting that has changed; models are the same if their files are, whatever they were called."""
    if was == now:
        return
    match name:
        case "version":
            yield f"version {was} of vithybrid, now {now}"
        case "model" if isinstance(was, dict) and isinstance(now, dict):
            if was.get("sha256") != now.get("sha256"):
                was, now = was.get("name"), now.get("name")
                yield f"other files of the model {now}" if was == now else f"the model {was}, now {now}"
        case "environment" if isinstance(now, dict):
            before = was if isinstance(was, dict) else {}
            for part in sorted(before.keys() | now.keys()):
                if before.get(part) != now.get(part):
                    yield f"{part} {before.get(part, 'unknown')}, now {now.get(part, 'unknown')}"
        case _ if isinstance(now, bool):
            yield f"{'with' if was else 'without'} {option(name)}, now {'with' if now else 'without'} it"
        case _:
            first = f"without {option(name)}" if was is None else option(name, was)
            yield f"{first}, now {'without it' if now is None else now}"
