"""Measures what a device reaches in matrix products, and in a network's own layers, by torch's own operations.

Every layer is computed alone and several times, in rounds over all of them, and its fastest run counts: what else the
machine does is left out as far as it can be. The rate is that of the work that the layers hold together, so that each
weighs as much as it does in the network.
"""

import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from vithybrid_cli.bench.amount import Clock
from vithybrid_cli.bench.limits import Reached
from vithybrid_cli.bench.operands import Operands, ways
from vithybrid_cli.bench.place import Place, Timer
from vithybrid_cli.bench.work import Layer, Product

SIDES = {"cpu": (512, 1024, 2048), "mps": (1024, 2048, 4096), "cuda": (2048, 4096, 8192)}  # of a square matrix
LEAST_ROUNDS = 3
LEAST_SHARE = 0.01  # of the work of all layers of a kind: less than that is hardly computing
# In seconds. Where torch has no fast way for a type, everything takes up to a thousand times as long.
SHORTEST_RUN = 0.005  # far more than it takes to start an operation
LONGEST_PRODUCT = 1.0
LONGEST_ROUND = 10.0
_MOST_CALLS = 1000


@dataclass(slots=True)
class Reach:
    """Measures ``layers``, each of which a network has so often, with ``batch`` pictures at once.

    ``flop`` is all work of that network for a picture; None if the layers are no network's. ``seconds`` is the shortest
    duration of a turn.
    """

    place: Place
    layers: Mapping[Layer, int]
    batch: int
    seconds: float
    flop: int | None = None
    clock: Clock = time.perf_counter
    timer: Timer | None = None  # by default that of the place
    _runs: dict[tuple[Layer, bool], int] = field(default_factory=dict)  # calls of a run, by layer and way

    def warm_up(self) -> None:
        """Run each layer, and find how many calls make a run; those come first that hold most of the work.

        If all together take too long, the others are left out. Raises UsageError as `Place.computing` does.
        """
        with self.place.computing():
            operands = self._operands(self.layers)
            began = self.clock()
            for layer in sorted(self.layers, key=self._work, reverse=True):
                self._find_run(layer, operands)
                if self.clock() - began > LONGEST_ROUND:
                    return

    def measure(self) -> Reached:
        """What this turn reached. Raises UsageError as `Place.computing` does."""
        with self.place.computing():
            fastest = self._fastest()
        work = sum(map(self._work, fastest))
        took = sum(seconds * self.layers[layer] for layer, seconds in fastest.items())
        share = None if self.flop is None else work / self.flop
        rate = work * self.batch * len(self.place.devices) / took
        return Reached(rate, tuple(layer.name for layer in fastest), share)

    def _work(self, layer: Layer) -> int:
        return layer.flop * self.layers[layer]

    def _operands(self, layers: Collection[Layer]) -> list[Operands]:
        """For each device. They are drawn anew for each turn, since networks need the memory in between."""
        return [Operands.drawn(layers, self.batch, device, self.place.dtype) for device in self.place.devices]

    def _find_run(self, layer: Layer, operands: Sequence[Operands]) -> float:
        """Warm a layer up, and note how many calls make a run. Seconds that one takes in the faster way."""
        each = []
        for pointwise in ways(layer, self.place.kind):
            first = self._timed(layer, pointwise, operands, 1)
            each.append(self._timed(layer, pointwise, operands, 1) if first < LONGEST_PRODUCT else first)
            self._runs[layer, pointwise] = min(_MOST_CALLS, max(1, math.ceil(SHORTEST_RUN / max(each[-1], 1e-9))))
        return min(each)

    def _fastest(self) -> dict[Layer, float]:
        """Seconds that one call of each layer takes at best."""
        fastest = {layer: math.inf for layer, _ in self._runs}
        operands = self._operands(fastest)
        began, rounds = self.clock(), 0
        while rounds == 0 or self._goes_on(rounds, self.clock() - began):
            for (layer, pointwise), calls in self._runs.items():
                if rounds and self.clock() - began > max(self.seconds, LONGEST_ROUND):
                    break
                seconds = self._timed(layer, pointwise, operands, calls) / calls
                fastest[layer] = min(fastest[layer], seconds)
            rounds += 1
        return fastest

    def _goes_on(self, rounds: int, seconds: float) -> bool:
        return seconds < self.seconds or (rounds < LEAST_ROUNDS and seconds < LONGEST_ROUND)

    def _timed(self, layer: Layer, pointwise: bool, operands: Sequence[Operands], calls: int) -> float:
        timer = self.timer or self.place.timer
        return timer([own.call(layer, self.batch, pointwise=pointwise) for own in operands], calls)


class SquareReach(Reach):
    """Measures a product of two square matrices: the largest of `SIDES` that does not take too long."""

    @classmethod
    def at(cls, place: Place, seconds: float) -> "SquareReach":
        """Not yet of any size: that is found when it is warm."""
        return cls(place, {}, 1, seconds)

    def warm_up(self) -> None:
        """Find the size. Raises UsageError as `Place.computing` does."""
        for side in SIDES[self.place.kind]:
            square = Product(side, side, side)
            self.layers, self._runs = {square: 1}, {}
            with self.place.computing():
                took = self._find_run(square, self._operands([square]))
            if 8 * took > LONGEST_PRODUCT:  # of twice the side
                return


def that_matter(layers: Mapping[Layer, int]) -> dict[Layer, int]:
    """Without those that hold hardly any of the work of all ``layers``, as those of a single token."""
    whole = sum(layer.flop * count for layer, count in layers.items())
    return {layer: count for layer, count in layers.items() if layer.flop * count >= LEAST_SHARE * whole}
