"""What a run was made with, kept beside its output file, so that another run can tell whether it may go on with it."""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from vithybrid_cli import __version__
from vithybrid_cli.errors import UsageError
from vithybrid_cli.output import Format, visible
from vithybrid_cli.output.destination import DISK_ERRORS, is_plain_file, unwritable
from vithybrid_cli.output.read_back import READABLE

SUFFIX = ".run.json"
START_OVER = "or leave out --resume to start over."


@dataclass(frozen=True, slots=True)
class Earlier:
    """The record of the run to go on with: ``settings`` are all of it, the others what its results are read with."""

    settings: dict[str, Any]
    output_format: Format
    top_k: int
    batch_size: int

    @classmethod
    def of(cls, settings: Any) -> "Earlier":
        """Raises ValueError, TypeError or KeyError for what is no record."""
        numbers = settings["top_k"], settings["batch_size"]
        if not all(isinstance(number, int) and number >= 1 for number in numbers):
            raise ValueError("top_k and batch_size are numbers from 1 on")
        if not isinstance(settings["model"]["name"], str):
            raise TypeError("a model has a name")
        return cls(settings, Format(settings["format"]), *numbers)


class RunRecord:
    """All that decides the results of a run but its inputs, learnt step by step.

    ``earlier`` is the record of the run to go on with. Without ``output``, on stdout or a device, nothing is kept.
    """

    def __init__(self, output: Path | None, output_format: Format, earlier: Earlier | None = None) -> None:
        self.output = output
        self.output_format = output_format
        self.earlier = earlier
        self._settings: dict[str, object] = {"version": __version__, "format": output_format}

    @property
    def resumable(self) -> bool:
        """Whether another run can go on with this one."""
        return self.output is not None and self.output_format in READABLE

    def settle(self, **settings: object) -> None:
        """More of the settings are known. Raises UsageError with all that the earlier run had otherwise."""
        self._settings |= settings
        if self.earlier is None:
            return
        was = self.earlier.settings
        made = "; ".join(filter(None, (_difference(name, was.get(name), now) for name, now in self._settings.items())))
        if made:
            raise UsageError(f"{self.output} was made with {made}. Do as the first run did, {START_OVER}")

    def write(self) -> None:
        """Put the record of a new run beside its output, whole or not at all. Raises UsageError on a full disk."""
        if self.output is None or self.earlier is not None:
            return
        file = record_file(self.output)
        try:
            if self.resumable:
                _write_at_once(file, json.dumps(self._settings, indent=2) + "\n")
            else:
                file.unlink(missing_ok=True)
        except OSError as error:
            if error.errno in DISK_ERRORS or os.path.lexists(file):  # another run's record must not stay here
                raise unwritable(file, error) from error
            reason = f"{file} cannot be written ({error.strerror}), so --resume will not go on with {self.output}"
            typer.echo(f"vithybrid: {visible(reason)}", err=True)


def record_file(output: Path) -> Path:
    """Where the record of a run lies."""
    return output.with_name(output.name + SUFFIX)


def open_record(output: Path | None, output_format: Format, *, resume: bool) -> RunRecord:
    """The record of a run that begins, or with ``resume`` goes on if ``output`` holds anything.

    Raises UsageError for what cannot be resumed.
    """
    if not resume:
        return RunRecord(output if output is not None and is_plain_file(output) else None, output_format)
    if output is None:
        raise UsageError("--resume goes on with the file of an earlier run. Give its name with --output.")
    if output_format not in READABLE:
        raise UsageError(f"--resume cannot go on with a {output_format}. Give --format {_either(READABLE)}.")
    if not is_plain_file(output):
        raise UsageError(f"--resume goes on with a regular file, and {output} is none. Leave out --resume.")
    begun = output.exists() and output.stat().st_size > 0  # if not, it was not begun, or killed before its first byte
    return RunRecord(output, output_format, _read(output) if begun else None)


def _either(formats: Sequence[Format]) -> str:
    return f"{', '.join(formats[:-1])} or {formats[-1]}"


def _read(output: Path) -> Earlier:
    file = record_file(output)
    try:
        return Earlier.of(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        reason = f"{file} is missing, so nothing tells how {output} was made"
        raise UsageError(f"{reason}. Bring it back, {START_OVER}") from error
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}. Make it readable, {START_OVER}") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UsageError(f"{file} is no record of a run. Bring that back, {START_OVER}") from error


def _write_at_once(file: Path, text: str) -> None:
    part = file.with_name(file.name + ".part")
    try:
        with part.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())  # else a power cut may leave an empty record beside a good output
        part.replace(file)
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise


def _difference(name: str, was: object, now: object) -> str | None:
    """What to say of a setting that has changed; models are the same if their files are, whatever they were called."""
    if isinstance(was, dict) and isinstance(now, dict):
        if was.get("sha256") == now.get("sha256"):
            return None
        was, now = was.get("name"), now.get("name")
        return f"other files of the model {now}" if was == now else f"the model {was}, now {now}"
    if was == now:
        return None
    if name == "version":
        return f"version {was} of vithybrid, now {now}"
    return f"--{name.replace('_', '-')} {was}, now {now}"
