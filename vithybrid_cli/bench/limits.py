"""What the device of a network reaches in operations that are nothing but products, and the network's share of that."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from vithybrid_cli.bench.measurements import Measurement, Spread, Subject, Turn, measurements


class Operations(StrEnum):
    """What is computed alone."""

    PRODUCT = "matrix product"  # a large square one
    CONVOLUTIONS = "convolutions"  # of the network, 1×1 and 3×3
    LINEARS = "linear layers"  # of the network


@dataclass(frozen=True, slots=True)
class Limit:
    """One thing that a device is asked for: ``device`` is cpu, cuda or mps, ``batch`` that of the network beside it."""

    operations: Operations
    device: str
    dtype: str
    batch: int

    @property
    def title(self) -> str:
        """What this is, for people: ``limit of cpu, convolutions in float32``."""
        return f"limit of {self.device}, {self.operations} in {self.dtype}"


@dataclass(frozen=True, slots=True)
class Reached:
    """What was reached in a turn, in FLOP/s, with what ``shapes``.

    ``share`` is the part of the network's work that is done in these shapes; None where they are not the network's.
    """

    flop_per_second: float
    shapes: tuple[str, ...]
    share: float | None = None


LimitTurn = Mapping[Limit, Reached]
"""One round over all limits, beside a `Turn`; a round that was interrupted holds fewer."""


@dataclass(frozen=True, slots=True)
class LimitMeasurement:
    """All turns of one limit, or why there are none (or no more)."""

    limit: Limit
    reached: tuple[Reached, ...] = ()
    error: str | None = None

    @property
    def flop_per_second(self) -> Spread:
        """FLOP/s; something was ``reached``."""
        return Spread(tuple(reached.flop_per_second for reached in self.reached))

    def record(self) -> dict[str, Any]:
        """Plain values for the JSON output."""
        first = self.reached[0] if self.reached else None
        share = None if first is None or first.share is None else round(first.share, 4)
        return {
            **asdict(self.limit),
            "flop_per_second": self.flop_per_second.record() if self.reached else None,
            "share_of_network": share,
            "shapes": list(first.shapes) if first else None,
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class LimitRatio:
    """The network's FLOP/s divided by those of a limit, within each turn."""

    subject: Subject
    limit: Limit
    spread: Spread

    def record(self) -> dict[str, Any]:
        """Plain values for the JSON output."""
        return {**asdict(self.subject), "operations": self.limit.operations, "ratio": self.spread.record()}


@dataclass(frozen=True, slots=True)
class Limits:
    """What was measured beside networks of which a picture takes so many operations (``flop``).

    ``beside`` has the limits that stand beside each network, ``turns`` and ``limit_turns`` what both reached: the two
    are equally long.
    """

    flop: int
    beside: Mapping[Subject, Sequence[Limit]]
    turns: Sequence[Turn]
    limit_turns: Sequence[LimitTurn]
    errors: Mapping[Limit, str]

    @property
    def networks(self) -> list[Measurement]:
        """The networks that were measured."""
        return [measurement for measurement in measurements(self.turns, {}) if measurement.subject in self.beside]

    @property
    def measurements(self) -> list[LimitMeasurement]:
        """Every limit that was measured or should have been, in the order of the turns."""
        limits = dict.fromkeys([limit for turn in self.limit_turns for limit in turn] + list(self.errors))
        return [
            LimitMeasurement(
                limit, tuple(turn[limit] for turn in self.limit_turns if limit in turn), self.errors.get(limit)
            )
            for limit in limits
        ]

    @property
    def ratios(self) -> list[LimitRatio]:
        """Each network beside each of its limits."""
        return [
            LimitRatio(network.subject, limit, Spread(values))
            for network in self.networks
            for limit in self.beside[network.subject]
            if (values := tuple(self._values(network.subject, limit)))
        ]

    def flop_per_second(self, network: Measurement) -> Spread:
        """FLOP/s of a network in each of its turns."""
        return Spread(tuple(timing.rate * self.flop for timing in network.timings))

    def record(self) -> dict[str, Any]:
        """Plain values for the JSON output."""
        return {
            "flop_per_image": self.flop,
            "networks": [
                {**asdict(network.subject), "flop_per_second": self.flop_per_second(network).record()}
                for network in self.networks
            ],
            "limits": [measurement.record() for measurement in self.measurements],
            "ratios": [ratio.record() for ratio in self.ratios],
        }

    def _values(self, subject: Subject, limit: Limit) -> Iterator[float]:
        for turn, limit_turn in zip(self.turns, self.limit_turns, strict=True):
            if subject in turn and limit in limit_turn:
                yield turn[subject].rate * self.flop / limit_turn[limit].flop_per_second
