"""The result of a benchmark: what was asked for, where it ran, and all that was measured."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from vithybrid_cli.bench.limits import Limits
from vithybrid_cli.bench.machine import Machine
from vithybrid_cli.bench.material import Plan
from vithybrid_cli.bench.measurements import Measurement, Ratio, Subject, Turn, measurements, ratios


@dataclass(frozen=True, slots=True)
class Software:
    """The versions of a program and of what it runs on, and the number of threads that it computes with."""

    versions: Mapping[str, str]
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class BenchResult:
    """What a benchmark found; ``complete`` is false if it was interrupted.

    ``picture_bytes`` is the mean size of the files, ``own_pictures`` were made and not given. Without ``limits``, they
    were not asked for.
    """

    command: str
    model: str
    image_size: tuple[int, int]
    pictures: int
    picture_bytes: int
    own_pictures: bool
    plan: Plan
    machine: Machine
    software: Mapping[str, Software]
    turns: Sequence[Turn]
    errors: Mapping[Subject, str]
    complete: bool
    limits: Limits | None = None

    @property
    def measurements(self) -> list[Measurement]:
        """Every subject, by part."""
        return measurements(self.turns, self.errors)

    @property
    def ratios(self) -> list[Ratio]:
        """What is how many times as fast as what."""
        return ratios(self.turns)

    def record(self) -> dict[str, Any]:
        """Plain values for the JSON output."""
        asked = ("command", "model", "image_size", "pictures", "picture_bytes", "own_pictures")
        return {
            "complete": self.complete,
            **{name: getattr(self, name) for name in asked},
            **{name: getattr(self.plan, name) for name in ("device", "workers", "repeats", "seconds")},
            "machine": asdict(self.machine),
            "software": {program: asdict(software) for program, software in self.software.items()},
            "measurements": [measurement.record() for measurement in self.measurements],
            "ratios": [ratio.record() for ratio in self.ratios],
            "limits": None if self.limits is None else self.limits.record(),
        }
