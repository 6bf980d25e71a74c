"""Where the batches of a run end, which follows from the number of its inputs alone.

The last digits of a score may depend on the pictures that share its batch. A run that goes on with another's results,
or computes a part of a job, has to cut the same batches, so it has to begin where one of them ends: after any multiple
of their size. An input that cannot be read has its place in a batch, too, which is computed without it.
"""


class Batches:
    """Cuts a stream of inputs, or of their results, into batches of ``size``."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = 0

    def add(self) -> None:
        """Take the next one."""
        self._taken += 1
        if self._taken == self._size:
            self.end()

    def end(self) -> None:
        """End the batch before it is full, as a live list has nothing to fill it with."""
        self._taken = 0

    @property
    def within(self) -> bool:
        """Whether more of the same batch may follow."""
        return self._taken > 0
