"""The names of the output formats, and what a writer of results must be able to do."""

from enum import StrEnum
from io import TextIOWrapper
from types import TracebackType
from typing import Protocol, Self, TextIO, TypeVar

from vithybrid_cli.results import Outcome

Result = TypeVar("Result", bound=Outcome, contravariant=True)


class Format(StrEnum):
    """How results are written."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"


class EmbeddingFormat(StrEnum):
    """How features are written."""

    JSONL = "jsonl"
    NPY = "npy"


def default_format(stream: TextIO) -> Format:
    """``table`` where a person reads along, ``jsonl`` into a pipe or a file."""
    return Format.TABLE if stream.isatty() else Format.JSONL


def prepare_stream(output_format: Format, stream: TextIO) -> None:
    """Make a real stream UTF-8 with plain newlines for everything that a program will read, whatever the locale."""
    if output_format is not Format.TABLE and isinstance(stream, TextIOWrapper):
        stream.reconfigure(encoding="utf-8", errors="strict", newline="")


class Writer(Protocol[Result]):
    """Writes results in the order in which they come; leaving its ``with`` block, however, closes it."""

    def write(self, result: Result) -> None:
        """Write all that is known about one picture and flush it."""
        ...

    def close(self) -> None:
        """Write what ends the format; a second call does nothing. The stream stays open."""
        ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
