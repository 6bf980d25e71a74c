"""Where the batches of a run end, which follows from its inputs alone and can be told from its results.

The last digits of a score may depend on the pictures that share its batch. A resumed run has to cut the same batches,
so it has to begin where one of them ended.
"""

from vithybrid_cli.errors import ImageError, NonFiniteLogits

# Errors of pictures that were in a batch, by the names that results have them under. Any other is of a file that was in
# none.
_AFTER_DECODING = {NonFiniteLogits.__name__}
# A batch ends before it is full once it has met this many unreadable files for each of its places, so that a run of
# them does not hold back the results before it, nor grow without end.
ERRORS_PER_PLACE = 32


class Batches:
    """Cuts a stream of pictures, or of their results, into batches of ``size`` pictures.

    Unreadable files take no place in a batch, and those between two batches belong to neither.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._pictures = self._errors = 0

    def add(self, error: str | ImageError | None) -> None:
        """Take the next one, which has no error or one of this type."""
        name = type(error).__name__ if isinstance(error, ImageError) else error
        if name is None or name in _AFTER_DECODING:
            self._pictures += 1
        elif self.within:
            self._errors += 1
        if self._pictures == self._size or self._errors == self._size * ERRORS_PER_PLACE:
            self.end()

    def end(self) -> None:
        """End the batch before it is full, as a live list has nothing to fill it with."""
        self._pictures = self._errors = 0

    @property
    def within(self) -> bool:
        """Whether more of the same batch may follow."""
        return self._pictures > 0
