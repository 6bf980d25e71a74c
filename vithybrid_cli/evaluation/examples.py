"""Which pictures are worth looking at after an evaluation; how many are kept does not grow with the pictures."""

import heapq
from collections import defaultdict
from dataclasses import dataclass

from vithybrid_cli.results import ImageResult

OF_A_PAIR = 8  # pictures of a label and a prediction
OF_ALL = 24  # the most confident mistakes, and the least sure hits
MOST = 20_000  # pictures of all pairs: some megabytes


@dataclass(frozen=True, slots=True)
class Example:
    """A picture by its name, with the indices of its label and of its first prediction, and that one's score."""

    path: str
    true: int
    predicted: int
    score: float


class Examples:
    """Keeps of each label and prediction the mistakes with the highest and the hits with the lowest scores.

    Of pictures with equal scores the first ones are kept. Where there are too many pairs, the pictures of the rarest
    are let go.
    """

    def __init__(self, of_a_pair: int = OF_A_PAIR, of_all: int = OF_ALL, most: int = MOST) -> None:
        """``most`` is how many of all pairs there may be in memory."""
        self._of_a_pair, self._most = of_a_pair, most
        self._pairs: defaultdict[tuple[int, int], _Kept] = defaultdict(lambda: _Kept(of_a_pair))
        self._mistakes, self._hits = _Kept(of_all), _Kept(of_all)
        self._seen = self._held = 0

    def add(self, true: int, result: ImageResult) -> None:
        """Look at one picture whose label has the index ``true``. One without predictions is passed over."""
        if result.error is not None or not result.predictions:
            return
        best = result.predictions[0]
        example = Example(result.path, true, best.index, best.score)
        is_hit = best.index == true
        # The larger, the better: what is unlikely comes first, then what came first.
        rank = (-best.score if is_hit else best.score, -self._seen)
        self._seen += 1
        (self._hits if is_hit else self._mistakes).add(rank, example)
        self._held += self._pairs[true, best.index].add(rank, example)
        if self._held > self._most:
            self._let_go()

    @property
    def mistakes(self) -> tuple[Example, ...]:
        """The most confident mistakes, the most confident first."""
        return self._mistakes.best()

    @property
    def hits(self) -> tuple[Example, ...]:
        """The least sure hits, the least sure first."""
        return self._hits.best()

    def of_pair(self, true: int, predicted: int) -> tuple[Example, ...]:
        """What is kept of one label and prediction: mistakes with the highest score first, hits with the lowest."""
        kept = self._pairs.get((true, predicted))
        return () if kept is None else kept.best()

    def _let_go(self) -> None:
        """Forget the pictures of that half of the pairs that had the fewest."""
        by_count = sorted(self._pairs, key=lambda pair: (self._pairs[pair].seen, pair))
        for pair in by_count[: (len(by_count) + 1) // 2]:
            self._held -= len(self._pairs.pop(pair))


class _Kept:
    """The examples of highest rank, at most ``limit``."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._heap: list[tuple[tuple[float, int], Example]] = []  # no two ranks are equal, so examples are not compared
        self.seen = 0

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, rank: tuple[float, int], example: Example) -> bool:
        """Keep the example if it is good enough; whether there is one more now."""
        self.seen += 1
        if len(self._heap) < self._limit:
            heapq.heappush(self._heap, (rank, example))
            return True
        heapq.heappushpop(self._heap, (rank, example))
        return False

    def best(self) -> tuple[Example, ...]:
        return tuple(example for _, example in sorted(self._heap, key=lambda kept: kept[0], reverse=True))
