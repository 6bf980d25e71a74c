"""What a benchmark measured, turn by turn, and what follows from it: rates, ratios, and how far the turns spread.

Machines drift. So what is compared takes turns, a ratio is that of one turn, and the median over the turns is given
with its smallest and largest.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

OURS = "vithybrid"
SLOWER = "the slower of decoding and network"
IN_TURN = "decoding and network in turn"  # what a CPU can do that both have to share


class Part(StrEnum):
    """What is measured."""

    DECODE = "decode"
    NETWORK = "network"
    WHOLE = "whole"
    PROCESS = "process"
    START = "start"


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing that is measured. ``engine``, ``dtype`` and ``batch`` are None where it has none."""

    part: Part
    program: str
    engine: str | None = None
    dtype: str | None = None
    batch: int | None = None

    @property
    def name(self) -> str:
        """Who this is, for people: ``vithybrid torch float32``."""
        return " ".join(filter(None, (self.program, self.engine, self.dtype)))


@dataclass(frozen=True, slots=True)
class Timing:
    """How long so many pictures took, and the most memory that a process of its own needed."""

    seconds: float
    images: int
    peak_bytes: int | None = None

    @property
    def rate(self) -> float:
        """Images per second."""
        return self.images / self.seconds


Turn = Mapping[Subject, Timing]
"""What was measured one after the other; an interrupted turn has less than the others."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The values of all turns, in their order; there is at least one."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one; of an even number, the mean of the middle two."""
        import statistics  # imported where it is used: ``vithybrid --help`` must not pay for it

        return statistics.median(self.values)

    def record(self) -> dict[str, Any]:
        """The spread as plain values, in the shape of the JSON output."""
        values = [_rounded(value) for value in self.values]
        return {"median": _rounded(self.median), "min": min(values), "max": max(values), "values": values}


@dataclass(frozen=True, slots=True)
class Measurement:
    """All turns of one subject, or why there are none (or no more)."""

    subject: Subject
    timings: tuple[Timing, ...] = ()
    error: str | None = None

    @property
    def rate(self) -> Spread | None:
        """Images per second."""
        return Spread(tuple(timing.rate for timing in self.timings)) if self.timings else None

    @property
    def seconds(self) -> Spread | None:
        """Seconds that a turn took."""
        return Spread(tuple(timing.seconds for timing in self.timings)) if self.timings else None

    @property
    def peak_bytes(self) -> int | None:
        """The most memory of any turn; None where it is not known."""
        return max((timing.peak_bytes for timing in self.timings if timing.peak_bytes is not None), default=None)

    def record(self) -> dict[str, Any]:
        """The measurement as plain values, in the shape of the JSON output."""
        images = sorted({timing.images for timing in self.timings})
        return {
            **_subject_record(self.subject),
            "images_per_second": None if self.rate is None else self.rate.record(),
            "seconds": None if self.seconds is None else self.seconds.record(),
            "images": images[-1] if images else None,
            "peak_bytes": self.peak_bytes,
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as fast as ``against`` the subject is, in the same turn."""

    subject: Subject
    against: str
    spread: Spread

    def record(self) -> dict[str, Any]:
        """The ratio as plain values, in the shape of the JSON output."""
        return {**_subject_record(self.subject), "against": self.against, "ratio": self.spread.record()}


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it was measured. Memory is in bytes, ``load`` the system's average over a minute, before and after."""

    processor: str
    cores: int
    memory_bytes: int | None
    system: str
    gpus: tuple[str, ...] = ()
    environment: Mapping[str, str] | None = None
    load: tuple[float | None, float | None] = (None, None)

    def record(self) -> dict[str, Any]:
        """The machine as plain values, in the shape of the JSON output."""
        return {
            "processor": self.processor,
            "cores": self.cores,
            "memory_bytes": self.memory_bytes,
            "system": self.system,
            "gpus": list(self.gpus),
            "environment": dict(self.environment or {}),
            "load_before": self.load[0],
            "load_after": self.load[1],
        }


@dataclass(frozen=True, slots=True)
class Software:
    """The versions of one program's process and of what it stands on, and the threads that it computes with."""

    versions: Mapping[str, str]
    threads: int | None = None

    def record(self) -> dict[str, Any]:
        """The software as plain values, in the shape of the JSON output."""
        return {"versions": dict(self.versions), "threads": self.threads}


@dataclass(frozen=True, slots=True)
class Setting:
    """What was asked for: the command line, the model, the pictures, and how long and how often."""

    command: str
    model: str
    image_size: tuple[int, int]
    pictures: int
    picture_bytes: int
    own_pictures: bool
    device: str
    workers: int
    repeats: int
    seconds: float

    def record(self) -> dict[str, Any]:
        """The setting as plain values, in the shape of the JSON output; ``picture_bytes`` is the mean of the files."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Report:
    """What a benchmark found; it is not ``complete`` if it was interrupted."""

    setting: Setting
    machine: Machine
    software: Mapping[str, Software]
    turns: Sequence[Turn]
    errors: Mapping[Subject, str]
    missing: Mapping[str, str]
    complete: bool = True

    @property
    def measurements(self) -> list[Measurement]:
        """Every subject that was measured or was to be, by part and in the order in which they took their turns."""
        subjects = dict.fromkeys([subject for turn in self.turns for subject in turn] + list(self.errors))
        ordered = sorted(subjects, key=lambda subject: list(Part).index(subject.part))
        return [Measurement(subject, self._timings(subject), self.errors.get(subject)) for subject in ordered]

    @property
    def ratios(self) -> list[Ratio]:
        """What is ours beside the others and beside its own parts."""
        subjects = [measurement.subject for measurement in self.measurements]
        found = (
            Ratio(ours, against, Spread(values))
            for ours in subjects
            if ours.program == OURS
            for against, others, rate in _rivals(ours, subjects)
            if (values := tuple(_ratios(self.turns, ours, others, rate)))
        )
        return list(found)

    def record(self) -> dict[str, Any]:
        """The report as plain values, in the shape of the JSON output."""
        return {
            "complete": self.complete,
            **self.setting.record(),
            "machine": self.machine.record(),
            "software": {program: software.record() for program, software in self.software.items()},
            "missing": dict(self.missing),
            "measurements": [measurement.record() for measurement in self.measurements],
            "ratios": [ratio.record() for ratio in self.ratios],
        }

    def _timings(self, subject: Subject) -> tuple[Timing, ...]:
        return tuple(turn[subject] for turn in self.turns if subject in turn)


_Combined = Callable[[Sequence[float]], float]


def _rivals(ours: Subject, subjects: Sequence[Subject]) -> Iterator[tuple[str, list[Subject], _Combined]]:
    """What a subject of ours is compared with: a name, other subjects, and what their rates are together."""
    if ours.part is Part.WHOLE:
        network = Subject(Part.NETWORK, OURS, ours.engine, ours.dtype, ours.batch)
        decoding = Subject(Part.DECODE, OURS)
        if {network, decoding} <= set(subjects):
            yield SLOWER, [decoding, network], min
            yield IN_TURN, [decoding, network], _in_turn
    for other in subjects:
        alike = (other.part, other.dtype, other.batch) == (ours.part, ours.dtype, ours.batch)
        if other.program != OURS and (alike or (ours.part is Part.WHOLE and other.part is Part.DECODE)):
            yield f"{other.program} decoding alone" if other.part is Part.DECODE else other.program, [other], min


def _in_turn(rates: Sequence[float]) -> float:
    """The rate of doing one thing after the other with each picture."""
    return 1 / sum(1 / rate for rate in rates)


def _ratios(turns: Iterable[Turn], ours: Subject, others: Sequence[Subject], combined: _Combined) -> Iterator[float]:
    for turn in turns:
        if turn.keys() >= {ours, *others}:
            yield turn[ours].rate / combined([turn[other].rate for other in others])


def _subject_record(subject: Subject) -> dict[str, Any]:
    return {name: getattr(subject, name) for name in subject.__slots__}


def _rounded(value: float) -> float:
    """Six significant digits: more than any clock and machine has."""
    return float(f"{value:.6g}")
