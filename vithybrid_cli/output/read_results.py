"""Results from a file in any format that `classify` writes: what merges, reports or sorts results reads them here.

What a format does not keep is not there afterwards: ``csv``, ``tsv`` and ``parquet`` have paths that are no valid
Unicode in an escaped form. All else is read as it was written, so that writing it in the same format gives the same
bytes, and in another one what `classify` would have written in that.
"""

import logging
from collections.abc import Callable, Iterator
from functools import lru_cache
from io import BufferedReader
from math import isfinite
from pathlib import Path
from typing import Any

from vithybrid_cli import errors
from vithybrid_cli.errors import ImageError, UsageError
from vithybrid_cli.output.delimited import COLUMNS, read_records
from vithybrid_cli.output.formats import Format
from vithybrid_cli.output.json_stream import objects
from vithybrid_cli.output.parquet import MAGIC, read_table
from vithybrid_cli.output.written import CutOff, DamagedOutput, NotResults
from vithybrid_cli.results import Answer, ImageResult, Prediction

_log = logging.getLogger(__name__)

_BOM = b"\xef\xbb\xbf"  # which spreadsheets put at the beginning of UTF-8
_OTHER = "Give a file that `vithybrid classify` wrote as json, jsonl, csv, tsv or parquet."


def read_results(file: Path, *, allow_cut: bool = False) -> Iterator[ImageResult]:
    """The results in ``file``, in order and lazily; memory does not grow with the file.

    The format is told from the content. An error has the class that its type names, or one that is made up for a type
    that this version does not know. Raises UsageError for what cannot be read, is damaged or holds something else; and
    for a file that is cut off in a result, or before the end of its format, once all whole results were given. With
    ``allow_cut`` that is a warning instead. A ``csv`` that is cut between two rows, or ``jsonl`` between two lines,
    cannot be told from a whole one.
    """
    try:
        with file.open("rb") as stream:
            records = _records(file, stream)
            for number, record in enumerate(records, start=1):
                yield result_of(record, number)
    except CutOff as error:
        cut = f"{file} is cut off after {_so_many(error.whole)}"
        if not allow_cut:
            raise UsageError(f"{cut}.", "Finish the run that wrote it, as {resume} does.") from error
        _log.warning("%s; what was cut is left out", cut)
    except NotResults as error:
        raise UsageError(f"{file} is no file of results: {error}.", _OTHER) from error
    except DamagedOutput as error:
        raise UsageError(f"{file} is damaged: {error}.", "Mend it, or write it anew.") from error
    except OSError as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: OSError) -> UsageError:
    if isinstance(error, FileNotFoundError) and str(file) == "-":
        return UsageError("Results are read from a file, and not from stdin.", "Write them to a file first.")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return UsageError(f"There is no file {file}.", "Check the spelling.")
    if isinstance(error, IsADirectoryError):
        return UsageError(f"{file} is a folder.", "Give a file that `vithybrid classify` wrote.")
    return UsageError(f"{file} cannot be read: {error.strerror or error}.", "Make it readable.")


def _so_many(count: int) -> str:
    return "1 result" if count == 1 else f"{count:,} results"


def format_of_results(file: Path) -> Format:
    """The format in which results lie in ``file``. Raises UsageError as `read_results` does."""
    try:
        with file.open("rb") as stream:
            return _format(file, stream)
    except NotResults as error:
        raise UsageError(f"{file} is no file of results: {error}.", _OTHER) from error
    except OSError as error:
        raise _unreadable(file, error) from error


def _format(file: Path, stream: BufferedReader) -> Format:
    """What the first bytes tell; of an empty file the suffix. A byte order mark is passed over."""
    begin = stream.peek(32)
    if begin.startswith(_BOM):
        stream.read(len(_BOM))
        begin = begin[len(_BOM) :]
    text = begin.lstrip()
    if not text:
        suffix = file.suffix[1:].lower()
        return Format(suffix) if suffix in ("json", "csv", "tsv", "parquet") else Format.JSONL
    if begin.startswith(MAGIC):
        return Format.PARQUET
    if begin.startswith(b"\x93NUMPY"):
        raise NotResults("it holds features, and no labels")
    for first, found in ((b"[", Format.JSON), (b"{", Format.JSONL), (b"path,", Format.CSV), (b"path\t", Format.TSV)):
        if text.startswith(first) or first.startswith(text):
            _require_header(text, first)
            return found
    raise NotResults("it is no JSON, CSV, TSV or Parquet that `vithybrid classify` wrote")


def _require_header(text: bytes, first: bytes) -> None:
    line, ended, _ = text.partition(b"\n")
    if first.startswith(b"path") and ended and line.rstrip(b"\r") != first[-1:].join(map(str.encode, COLUMNS)):
        raise NotResults("it has other columns")


def _records(file: Path, stream: BufferedReader) -> Iterator[Any]:
    match _format(file, stream):
        case Format.JSON:
            return objects(stream, array=True)
        case Format.JSONL:
            return objects(stream, array=False)
        case Format.CSV:
            return read_records(stream, ",")
        case Format.TSV:
            return read_records(stream, "\t")
        case _:
            return read_table(file)


def result_of(record: Any, number: int) -> ImageResult:
    """The result that a record of this number, from 1, holds as plain values. Raises DamagedOutput and NotResults."""
    try:
        path, error, predictions = record["path"], record.get("error"), record.get("predictions")
        if not isinstance(path, str):
            raise TypeError("names are text")
        if error is not None:
            return ImageResult(path, error=_error(error["type"], error["message"]))
        if predictions is None:
            raise KeyError("predictions")
        return _labelled(path, tuple(map(_prediction, predictions)), record)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        if isinstance(record, dict) and ("embedding" in record or "row" in record):
            raise NotResults("it holds features, and no labels") from error
        if number == 1:
            raise NotResults("its first record is none") from error
        raise DamagedOutput(f"record {number:,} is no result") from error


def _labelled(path: str, predictions: tuple[Prediction, ...], record: Any) -> ImageResult:
    """The result with these predictions; where the record tells an answer that is another, that is in their place."""
    if not ("label" in record and "score" in record):
        return ImageResult(path, predictions)
    label, score = record["label"], record["score"]
    if label is None and score is None and not predictions:
        return ImageResult(path, ruled=True)
    if predictions and (predictions[0].label, predictions[0].score) == (_text(label), _number(score)):
        return ImageResult(path, predictions, ruled=True)
    index = record.get("index")
    return ImageResult(path, predictions, instead=Answer(_text(label), _number(score), _index(index)))


def _index(index: Any) -> int | None:
    if isinstance(index, bool) or not (index is None or isinstance(index, int)):
        raise TypeError("an index is a whole number")
    return index


def _prediction(record: Any) -> Prediction:
    index, label, score = record["index"], record["label"], record["score"]
    if isinstance(index, bool) or not isinstance(index, int):
        raise TypeError("an index is a whole number")
    return Prediction(index, _text(label), _number(score))


def _text(label: Any) -> str:
    if not isinstance(label, str):
        raise TypeError("a label is text")
    return label


def _number(score: Any) -> float:
    if isinstance(score, bool) or not isinstance(score, int | float) or not isfinite(score):
        raise TypeError("a score is a number")
    return float(score)


def _error(kind: Any, message: Any) -> ImageError:
    if not (isinstance(kind, str) and isinstance(message, str) and kind.isidentifier()):
        raise TypeError("an error has a type and a message")
    return _error_class(kind)(message)


@lru_cache(maxsize=256)
def _error_class(name: str) -> Callable[[str], ImageError]:
    """The class of that name, or a new one where this version has none, so that its record stays the same."""
    known = getattr(errors, name, None)
    if isinstance(known, type) and issubclass(known, ImageError):
        return known
    return type(name, (ImageError,), {"__doc__": "An error that another version of the program has written."})
