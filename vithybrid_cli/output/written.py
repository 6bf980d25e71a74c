"""A result as it is read back from a file that an earlier run wrote."""

from dataclasses import dataclass


class DamagedOutput(Exception):
    """The file holds something that no run wrote there; the text says what, as part of a sentence."""


class NotResults(Exception):
    """The file holds something else than labels; the text says what it is or lacks, as part of a sentence."""


class CutOff(Exception):
    """The file ends within a result, or before the end of its format; there are so many ``whole`` results in it."""

    def __init__(self, whole: int) -> None:
        super().__init__(whole)
        self.whole = whole


@dataclass(frozen=True, slots=True)
class WrittenResult:
    """One complete result: its ``path`` as the format has it (`path_in`) and the type of its ``error``, if any.

    It lies in the file from byte ``begin`` to ``end``, without what separates it from others: cut at ``end``, the file
    is what a writer had written after this result.
    """

    path: str
    error: str | None
    begin: int
    end: int
