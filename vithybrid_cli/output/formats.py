"""The names of the output formats, and the interface of a writer of results."""

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
    PARQUET = "parquet"


class LabelFormat(StrEnum):
    """How labels are written: as results, or as a page that shows them."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"
    PARQUET = "parquet"
    HTML = "html"


class EmbeddingFormat(StrEnum):
    """How features are written."""

    JSONL = "jsonl"
    NPY = "npy"
    PARQUET = "parquet"


def default_format(stream: TextIO) -> Format:
    """``table`` on a terminal, ``jsonl`` in a pipe or a file."""
    return Format.TABLE if stream.isatty() else Format.JSONL


def prepare_stream(output_format: Format, stream: TextIO) -> None:
    """For formats that programs read, make a real stream UTF-8 with plain newlines, whatever the locale."""
    if output_format is not Format.TABLE and isinstance(stream, TextIOWrapper):
        stream.reconfigure(encoding="utf-8", errors="strict", newline="")


class Writer(Protocol[Result]):
    """Writes results in the order in which they come. A ``with`` block closes it, also after an exception."""

    def write(self, result: Result) -> None:
        """Write and flush all that is known about one picture."""
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


class TextWriter(Writer[Result], Protocol[Result]):
    """Writes results whose text stands in the file as it is, so that it can be read back and put into another file."""

    def text(self, result: Result) -> str:
        """All that is known about one picture, without what separates it from others."""
        ...

    def put(self, text: str) -> None:
        """Write and flush what `text` gave, here or elsewhere."""
        ...

    def write(self, result: Result) -> None:
        """Write and flush all that is known about one picture."""
        self.put(self.text(result))
