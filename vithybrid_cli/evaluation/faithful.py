"""How faithful each method's maps of a network are, as figures over pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any


@dataclass(frozen=True, slots=True)
class Estimate:
    """The mean over pictures, and its standard error, which a single picture does not have."""

    mean: float
    error: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> "Estimate":
        """Raises ValueError for no values."""
        if not values:
            raise ValueError("no values")
        return cls(mean(values), stdev(values) / len(values) ** 0.5 if len(values) > 1 else None)

    def record(self) -> dict[str, float | None]:
        """Both as plain values."""
        return {"mean": round(self.mean, 6), "standard_error": None if self.error is None else round(self.error, 6)}


@dataclass(frozen=True, slots=True)
class MethodFigures:
    """One method over all pictures: the areas under its curves, as `vithybrid_cli.explain.faithfulness` has them."""

    method: str
    insertion: Estimate
    deletion: Estimate
    difference: Estimate

    @classmethod
    def of(cls, method: str, areas: Sequence[tuple[float, float]]) -> "MethodFigures":
        """From the insertion and the deletion of each picture."""
        insertion, deletion = zip(*areas, strict=True)
        return cls(
            method,
            Estimate.of(insertion),
            Estimate.of(deletion),
            Estimate.of([added - taken for added, taken in areas]),
        )

    def record(self) -> dict[str, Any]:
        """The figures as plain values, in the shape of the JSON output."""
        areas = ("insertion", "deletion", "difference")
        return {"method": self.method, **{name: getattr(self, name).record() for name in areas}}


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """All methods over the same ``pictures``; the best difference first."""

    pictures: int
    methods: tuple[MethodFigures, ...]

    @classmethod
    def of(cls, areas: dict[str, list[tuple[float, float]]]) -> "Faithfulness":
        """From the insertion and the deletion that each method has for each picture."""
        found = [MethodFigures.of(method, pairs) for method, pairs in areas.items() if pairs]
        return cls(len(next(iter(areas.values()), ())), tuple(sorted(found, key=lambda one: -one.difference.mean)))

    def record(self) -> dict[str, Any]:
        """All of it as plain values, in the shape of the JSON output."""
        return {"pictures": self.pictures, "methods": [figures.record() for figures in self.methods]}
