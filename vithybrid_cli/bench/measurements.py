"""What a benchmark measured, turn by turn, and what follows from it: rates, ratios, and how far the turns spread.

Machines drift. So what is compared takes turns, a ratio is taken within one turn, and the median over the turns is
given with the smallest and the largest.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

OURS = "vithybrid"
SLOWER = "the slower of decoding and network"
IN_TURN = "decoding and network in turn"  # the most that is possible where both need the same cores


class Part(StrEnum):
    """What is measured."""

    DECODE = "decode"
    NETWORK = "network"
    WHOLE = "whole"
    PROCESS = "process"
    START = "start"


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing that is measured; ``engine``, ``dtype`` and ``batch`` are None where it has none."""

    part: Part
    program: str = OURS
    engine: str | None = None
    dtype: str | None = None
    batch: int | None = None

    @property
    def name(self) -> str:
        """Who this is, for people: ``vithybrid torch float32``."""
        return " ".join(filter(None, (self.program, self.engine, self.dtype)))

    @property
    def title(self) -> str:
        """Who this is, and which part: ``vithybrid torch float32, network``."""
        return f"{self.name}, {self.part}"


@dataclass(frozen=True, slots=True)
class Timing:
    """How long that many pictures took, and the peak memory if a process of its own was measured."""

    seconds: float
    images: int
    peak_bytes: int | None = None

    @property
    def rate(self) -> float:
        """Images per second."""
        return self.images / self.seconds


Turn = Mapping[Subject, Timing]
"""One round over all subjects; a round that was interrupted holds fewer."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The values of all turns, in order; there is at least one."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle value, or the mean of the two in the middle."""
        import statistics  # here, since every command imports this module, and most have no use for it

        return statistics.median(self.values)

    def record(self) -> dict[str, Any]:
        """Plain values for the JSON output, with six significant digits: more than a clock gives."""
        values = [float(f"{value:.6g}") for value in self.values]
        return {"median": float(f"{self.median:.6g}"), "min": min(values), "max": max(values), "values": values}


@dataclass(frozen=True, slots=True)
class Measurement:
    """All turns of one subject, or why there are none (or no more)."""

    subject: Subject
    timings: tuple[Timing, ...] = ()
    error: str | None = None

    @property
    def rate(self) -> Spread:
        """Images per second; there are ``timings``."""
        return Spread(tuple(timing.rate for timing in self.timings))

    @property
    def seconds(self) -> Spread:
        """Seconds that a turn took; there are ``timings``."""
        return Spread(tuple(timing.seconds for timing in self.timings))

    @property
    def peak_bytes(self) -> int | None:
        """The largest peak memory of all turns; None where it is not known."""
        return max((timing.peak_bytes for timing in self.timings if timing.peak_bytes is not None), default=None)

    def record(self) -> dict[str, Any]:
        """Plain values for the JSON output."""
        return {
            **asdict(self.subject),
            "images_per_second": self.rate.record() if self.timings else None,
            "seconds": self.seconds.record() if self.timings else None,
            "images": max((timing.images for timing in self.timings), default=None),
            "peak_bytes": self.peak_bytes,
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as fast as ``against`` the subject is, within each turn."""

    subject: Subject
    against: str
    spread: Spread

    def record(self) -> dict[str, Any]:
        """Plain values for the JSON output."""
        return {**asdict(self.subject), "against": self.against, "ratio": self.spread.record()}


def measurements(turns: Sequence[Turn], errors: Mapping[Subject, str]) -> list[Measurement]:
    """Every subject that was measured or should have been: by part, then in the order of the turns."""
    subjects = dict.fromkeys([subject for turn in turns for subject in turn] + list(errors))
    return [
        Measurement(subject, tuple(turn[subject] for turn in turns if subject in turn), errors.get(subject))
        for subject in sorted(subjects, key=lambda subject: list(Part).index(subject.part))
    ]


def ratios(turns: Sequence[Turn]) -> list[Ratio]:
    """This program beside other programs, and its whole way beside its parts."""
    subjects = [measurement.subject for measurement in measurements(turns, {})]
    return [
        Ratio(ours, against, Spread(values))
        for ours in subjects
        if ours.program == OURS
        for against, others in _comparable(ours, subjects)
        if (values := tuple(_values(turns, ours, against, others)))
    ]


def _comparable(ours: Subject, subjects: Sequence[Subject]) -> Iterator[tuple[str, list[Subject]]]:
    if ours.part is Part.WHOLE:
        parts = [Subject(Part.DECODE), Subject(Part.NETWORK, OURS, ours.engine, ours.dtype, ours.batch)]
        yield SLOWER, parts
        yield IN_TURN, parts
    for other in subjects:
        alike = (other.part, other.dtype, other.batch) == (ours.part, ours.dtype, ours.batch)
        if other.program != OURS and (alike or (ours.part is Part.WHOLE and other.part is Part.DECODE)):
            yield f"{other.program} decoding alone" if other.part is Part.DECODE else other.program, [other]


def _values(turns: Sequence[Turn], ours: Subject, against: str, others: list[Subject]) -> Iterator[float]:
    for turn in turns:
        if turn.keys() >= {ours, *others}:
            rates = [turn[other].rate for other in others]
            yield turn[ours].rate / (1 / sum(1 / rate for rate in rates) if against == IN_TURN else min(rates))
