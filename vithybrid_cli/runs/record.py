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
from vithybrid_cli.output.formats import EmbeddingFormat
from vithybrid_cli.output.read_back import READABLE
from vithybrid_cli.settings import RULES

SUFFIX = ".run.json"
_FACTS = ("live", "updated", "batch_limit")  # what a run notes that no other has to have alike


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """The record of the run to go on with: ``settings`` are all of it, the others what its results are read with.

    Of a run that wrote features, ``output_format`` is that of its lines.
    """

    settings: dict[str, Any]
    output_format: Format
    top_k: int
    batch_size: int

    @property
    def has_features(self) -> bool:
        """Whether the results are features, and not labels."""
        return "feature" in self.settings

    @property
    def has_matrix(self) -> bool:
        """Whether the features are the rows of a matrix, and the results say whose they are."""
        return bool(self.settings["format"] == EmbeddingFormat.NPY)

    @classmethod
    def of(cls, settings: Any) -> "EarlierRun":
        """Raises ValueError, TypeError or KeyError for what is no record."""
        features = "feature" in settings
        numbers = 1 if features else settings["top_k"], settings["batch_size"]
        if not all(isinstance(number, int) and number >= 1 for number in numbers):
            raise ValueError("top_k and batch_size are numbers from 1 on")
        if not isinstance(settings["model"]["name"], str):
            raise TypeError("a model has a name")
        output_format = Format.JSONL if features else Format(settings["format"])
        return cls(settings, output_format, *numbers)

    @property
    def decisions(self) -> str:
        """All settings that another run has to have alike, as one text."""
        return json.dumps({name: value for name, value in self.settings.items() if name not in _FACTS}, sort_keys=True)

    @property
    def batch_limit(self) -> int | None:
        """How many pictures at once fitted into the device's memory, if that was found to be less than a batch."""
        limit = self.settings.get("batch_limit")
        return limit if isinstance(limit, int) and limit >= 1 else None


class RunRecord:
    """All that decides the results of a run but its inputs, learnt step by step.

    ``earlier`` is the record of the run to go on with, as the option ``asked`` asks for it. Without ``output``, on
    stdout or a device, nothing is kept.
    """

    def __init__(
        self, output: Path | None, output_format: Format, earlier: EarlierRun | None = None, asked: str = "resume"
    ) -> None:
        self.output = output
        self.output_format = output_format
        self.earlier = earlier
        self.asked = asked
        self._settings: dict[str, object] = {"version": __version__, "format": output_format}
        self._facts: dict[str, object] = {}
        self._written = earlier is not None

    @property
    def resumable(self) -> bool:
        """Whether another run can go on with this one."""
        return self.output is not None and self.output_format in READABLE

    @property
    def is_told(self) -> bool:
        """Whether the settings are kept anywhere: beside the file, or in it."""
        return self.output is not None or self.output_format is Format.PARQUET

    @property
    def settings(self) -> dict[str, object]:
        """All that is settled by now."""
        return dict(self._settings)

    @property
    def start_over(self) -> str:
        """The end of what to do where a run cannot go on with the earlier one."""
        return _start_over(self.asked)

    @property
    def room(self) -> str:
        """The end of what to do when the disk is full."""
        return f"make room and go on with {{{self.asked}}}" if self.resumable else "give another {output}"

    def has_another_model(self, name: str) -> bool:
        """Whether the earlier run had a model of another name."""
        return self.earlier is not None and self.earlier.settings["model"]["name"] != name

    def settle(self, **settings: object) -> None:
        """More of the settings are known. Raises UsageError with all that the earlier run had otherwise."""
        self._settings |= settings
        if self.earlier is None:
            return
        was = self.earlier.settings
        names = [*self._settings, *(rule for rule in RULES if rule in was and rule not in self._settings)]
        found = ((name, was.get(name), self._settings.get(name)) for name in names)
        if made := [line for difference in found for line in differences(*difference)]:
            raise UsageError(
                f"{self.output} was made with {'; '.join(made)}.", f"Do as the first run did, {self.start_over}."
            )

    def note(self, **facts: object) -> None:
        """Keep what no other run has to have alike, but a run that goes on should know.

        That is ``live``, whether batches may have ended early since a list on stdin paused; ``updated``, whether some
        were made of what was new; and ``batch_limit``, how many pictures at once the device's memory was found to hold.
        A record that is written already is written anew. Raises UsageError when that fails.
        """
        self._facts |= facts
        if self._written and self.output is not None and self.resumable:
            kept = self.earlier.settings if self.earlier is not None else self._settings
            file = record_file(self.output)
            try:
                self._keep(file, {**kept, **self._facts})
            except OSError as error:
                room = f"What was computed stays; make room and go on with {{{self.asked}}}."
                raise unwritable(file, error, *([room] if error.errno in DISK_ERRORS else [])) from error

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
            reason, resuming = error.strerror or error, option("resume")
            return f"{file} cannot be written ({reason}), so {resuming} will not go on with {self.output}."
        return None

    def _keep(self, file: Path, settings: Mapping[str, object]) -> None:
        atomic.write_text(file, json.dumps(settings, indent=2) + "\n")
        self._written = True


def lines_file(output: Path) -> Path:
    """Where the results lie that say what the rows of a matrix are of."""
    return output.with_name(output.name + ".jsonl")


def record_file(output: Path) -> Path:
    """Where the record of a run lies."""
    return output.with_name(output.name + SUFFIX)


def open_record(output: Path | None, output_format: Format, asked: str | None, *, features: bool = False) -> RunRecord:
    """The record of a run that begins, or goes on if ``asked`` to ``resume`` or ``update`` what ``output`` holds.

    ``features`` says that these are written, and not labels. Raises UsageError for what it cannot go on with.
    """
    if asked is None:
        return RunRecord(output if output is not None and is_plain_file(output) else None, output_format)
    if output is None:
        raise UsageError("There is no file of an earlier run to go on with.", "Give its name with {output}.")
    if output_format is Format.PARQUET:
        raise UsageError(
            "No run goes on with a Parquet file, which ends with a footer.",
            "Give {format=jsonl}, or label in parts that may be interrupted, as `vithybrid job plan` makes them.",
        )
    if output_format not in READABLE:
        raise UsageError(f"A run cannot go on with a {output_format}.", f"Give {{format}} {_either(READABLE)}.")
    if not is_plain_file(output):
        raise UsageError(f"A run goes on with a regular file, and {output} is none.", f"Leave out {{{asked}}}.")
    earlier = _read(output, _start_over(asked)) if is_begun(output) else None
    if earlier is not None and earlier.has_features != features:
        holds = "features, and no labels" if earlier.has_features else "labels, and no features"
        raise UsageError(f"{output} has {holds}.", f"Give another {{output}}, {_start_over(asked)}.")
    return RunRecord(output, output_format, earlier, asked)


def is_begun(output: Path | None) -> bool:
    """Whether there are results of an earlier run: if not, it was not begun, or killed before its first byte."""
    try:
        return output is not None and output.is_file() and output.stat().st_size > 0
    except OSError:  # a name that none can have
        return False


def _either(formats: Sequence[Format]) -> str:
    return f"{', '.join(formats[:-1])} or {formats[-1]}"


def _start_over(asked: str) -> str:
    return f"or leave out {{{asked}}} to start over"


def _read(output: Path, start_over: str) -> EarlierRun:
    file = record_file(output)
    try:
        return EarlierRun.of(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise UsageError(
            f"{file} is missing, so nothing tells how {output} was made.", f"Bring it back, {start_over}."
        ) from error
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"{file} cannot be read: {reason}.", f"Make it readable, {start_over}.") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UsageError(f"{file} is no record of a run.", f"Bring that back, {start_over}.") from error


def differences(name: str, was: object, now: object) -> Iterator[str]:
    """What to say of a setting that has changed, after "made with".

    Models are the same if their files are, whatever they were called.
    """
    if was == now:
        return
    match name:
        case "version":
            yield f"version {_shown(was)} of vithybrid, now {_shown(now)}"
        case "model" if isinstance(was, dict) and isinstance(now, dict):
            if was.get("sha256") != now.get("sha256"):
                was, now = _shown(was.get("name")), _shown(now.get("name"))
                yield f"other files of the model {now}" if was == now else f"the model {was}, now {now}"
        case "environment" if isinstance(now, dict):
            before = was if isinstance(was, dict) else {}
            for part in sorted(before.keys() | now.keys()):
                if before.get(part) != now.get(part):
                    yield f"{part} {_shown(before.get(part))}, now {_shown(now.get(part))}"
        case _ if isinstance(now, bool):
            yield f"{'' if was else 'no '}{option(name)}, now {'with' if now else 'without'} it"
        case _:
            first = f"no {option(name)}" if was is None else option(name, _shown(was))
            yield f"{first}, now {'without it' if now is None else _shown(now)}"


def _shown(value: object) -> str:
    """A value of a record in words, whatever somebody has written there."""
    if value is None:
        return "unknown"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
