"""Where the batches of a run end, which its results alone tell, too.

The last digits of a score may depend on the pictures that share its batch. A run that goes on with another's results
has to cut the same batches, and so it has to begin where one of them ended.
"""

from vithybrid_cli.errors import ImageError, NonFiniteLogits

# Errors of pictures that were in a batch, by their names, as results have them; any other is of a file that was not.
_AFTER_DECODING = {NonFiniteLogits.__name__}


class Batches:
    """Follows what comes in order, pictures or their results, and cuts it into batches of ``size`` pictures.

    Files that are no pictures take no place in a batch, and between two batches they wait for nothing.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._pictures = 0

    def add(self, error: str | ImageError | None) -> None:
        """The next one, which has no error or one of this type."""
        name = type(error).__name__ if isinstance(error, ImageError) else error
        self._pictures += name is None or name in _AFTER_DECODING
        self._pictures %= self._size

    def end(self) -> None:
        """A batch ends before its time, as there is nothing to fill it with for a while."""
        self._pictures = 0

    @property
    def within(self) -> bool:
        """Whether more of the same batch follows."""
        return self._pictures > 0
