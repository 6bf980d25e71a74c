"""Results and features as a Parquet file, written and read back: one row for each input, in order.

``path`` is a string, as csv has it: lone surrogates of undecodable file names are written as ``\\udcXX``. A row has
either its ``predictions`` (list of struct of ``index``, ``label`` and ``score``) or its ``embedding`` (float32, all of
one length), or else its ``error`` (struct of ``type`` and ``message``); the other is null. Where a rule was asked for
the answers (``unsure``, ``rollup``), these are ``label``, ``score`` and ``index``, which other files do not have. How
the file was made is JSON under `KEY` in the metadata of its footer. Scores are doubles, since only these are read as
the numbers of JSON.

A file without its footer is none, so it cannot be continued. Memory does not grow with the file: rows are kept until
there are enough for a row group, which are cut by the results alone.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Generic, TypeVar

from vithybrid_cli.errors import UsageError
from vithybrid_cli.output.escape import valid
from vithybrid_cli.output.formats import Writer
from vithybrid_cli.output.written import DamagedOutput, NotResults
from vithybrid_cli.results import EmbeddingResult, ImageResult, Outcome
from vithybrid_cli.settings import RULES

INSTALL = "pip install 'vithybrid-cli[parquet]'"
MAGIC = b"PAR1"  # the first and the last bytes
KEY = "vithybrid"  # of what tells how the file was made
ROWS_PER_GROUP, BYTES_PER_GROUP = 10_000, 32 * 2**20  # what comes first ends a row group
_NUMBERS_PER_CHUNK = 2**18  # that wait as Python's objects until they become columns; a prediction counts as four

Result = TypeVar("Result", bound=Outcome)


def require_parquet() -> None:
    """Raise UsageError where the library for Parquet is not installed."""
    _pyarrow()


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise UsageError("Parquet needs one more library.", f"Install it with `{INSTALL}`.") from error
    return pyarrow


class _ParquetWriter(Writer[Result], Generic[Result]):
    """Writes rows with the columns ``path``, some more, and ``error`` to a binary ``stream``, which stays open.

    ``about`` is how they were made: plain values. The footer is written when the writer is closed.
    """

    def __init__(self, stream: BinaryIO, between: Sequence[tuple[str, Any]], about: Mapping[str, object]) -> None:
        """``between`` are the names and types of the columns there. Raises UsageError where a library is missing."""
        self._arrow = _pyarrow()
        import pyarrow.parquet

        error = self._arrow.struct([("type", self._arrow.string()), ("message", self._arrow.string())])
        columns = [("path", self._arrow.string()), *between, ("error", error)]
        self._schema = self._arrow.schema(columns, metadata={KEY: json.dumps(about)})
        self._sink = _Sink(stream)
        self._writer = pyarrow.parquet.ParquetWriter(self._sink, self._schema, compression="zstd")
        self._pending: list[Result] = []
        self._numbers = 0  # in the pending results
        self._batches: list[Any] = []  # of a row group that is not full yet, with so many rows and bytes
        self._rows = self._bytes = 0
        self._closed = False
        self.whole = False
        self.rows = 0  # that were given to it

    def write(self, result: Result) -> None:
        """Keep a result until there are enough of them."""
        self._pending.append(result)
        self.rows += 1
        self._numbers += self._count(result)
        if self._numbers >= _NUMBERS_PER_CHUNK:
            self._pack()
        if self._rows + len(self._pending) >= ROWS_PER_GROUP or self._bytes >= BYTES_PER_GROUP:
            self._write_group()

    def close(self) -> None:
        """Write the rest, and the footer."""
        if self._closed:
            return
        self._closed = True
        self._write_group()
        self._writer.close()
        self.whole = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None or issubclass(kind, KeyboardInterrupt):
            self.close()
        elif not self._closed:  # the library would try to write the rest when its writer is forgotten
            self._closed = self._sink.discards = True
            self._writer.close()

    def _pack(self) -> None:
        # Taken before anything is done with them: after an interrupt a row may be missing, but none is there twice.
        results, self._pending, self._numbers = self._pending, [], 0
        if not results:
            return
        arrow, schema = self._arrow, self._schema
        errors = [None if result.error is None else _error(result.record()["error"]) for result in results]
        columns = [
            arrow.array([valid(result.path) for result in results], schema.field("path").type),
            *self._values(results),
            arrow.array(errors, schema.field("error").type),
        ]
        batch = arrow.RecordBatch.from_arrays(columns, schema=schema)
        self._rows, self._bytes = self._rows + batch.num_rows, self._bytes + batch.nbytes
        self._batches.append(batch)

    def _write_group(self) -> None:
        self._pack()
        batches, self._batches, self._rows, self._bytes = self._batches, [], 0, 0
        if batches:
            self._writer.write_table(self._arrow.Table.from_batches(batches), row_group_size=ROWS_PER_GROUP)

    def _count(self, result: Result) -> int:
        """How much memory a result takes while it waits, in numbers."""
        raise NotImplementedError

    def _values(self, results: list[Result]) -> Sequence[Any]:
        """The columns in between, as arrays of Arrow."""
        raise NotImplementedError


def _error(record: Mapping[str, str]) -> dict[str, str]:
    return {name: valid(text) for name, text in record.items()}


class ParquetWriter(_ParquetWriter[ImageResult]):
    """Writes labels, and answers if ``about`` says that a rule chose them."""

    def __init__(self, stream: BinaryIO, about: Mapping[str, object]) -> None:
        arrow = _pyarrow()
        answer = [("label", arrow.string()), ("score", arrow.float64())]
        predictions = arrow.list_(arrow.struct([("index", arrow.int32()), *answer]))
        self._ruled = any(rule in about for rule in RULES)
        super().__init__(
            stream, [*((*answer, ("index", arrow.int32())) if self._ruled else ()), ("predictions", predictions)], about
        )

    def _count(self, result: ImageResult) -> int:
        return 1 + 4 * len(result.predictions)

    def _values(self, results: list[ImageResult]) -> Sequence[Any]:
        rows = [None if result.error is not None else _predictions(result) for result in results]
        predictions = self._arrow.array(rows, self._schema.field("predictions").type)
        return [*self._answers(results), predictions]

    def _answers(self, results: list[ImageResult]) -> Sequence[Any]:
        if not self._ruled:
            if any(result.ruled for result in results):
                raise ValueError("a rule chose answers, which what is said of the file does not tell")
            return []
        answers = [result.answer if result.ruled else None for result in results]
        labels = [None if answer is None else valid(answer.label) for answer in answers]
        scores = [None if answer is None else answer.rounded for answer in answers]
        indices = [None if answer is None else answer.index for answer in answers]
        columns = (labels, self._arrow.string()), (scores, self._arrow.float64()), (indices, self._arrow.int32())
        return [self._arrow.array(*column) for column in columns]


def _predictions(result: ImageResult) -> list[dict[str, object]]:
    return [{"index": p.index, "label": valid(p.label), "score": p.rounded} for p in result.predictions]


class ParquetFeatureWriter(_ParquetWriter[EmbeddingResult]):
    """Writes features of ``width`` numbers."""

    def __init__(self, stream: BinaryIO, width: int, about: Mapping[str, object]) -> None:
        arrow = _pyarrow()
        super().__init__(stream, [("embedding", arrow.list_(arrow.float32(), width))], about)
        self._width = width

    def _count(self, result: EmbeddingResult) -> int:
        return 1 + self._width

    def _values(self, results: list[EmbeddingResult]) -> Sequence[Any]:
        import numpy as np

        none = np.zeros(self._width, np.float32)  # lies under a null
        matrix = np.stack([none if result.embedding is None else result.embedding for result in results])
        missing = self._arrow.array([result.embedding is None for result in results])
        numbers = self._arrow.array(matrix.astype(np.float32, copy=False).reshape(-1))
        return [self._arrow.FixedSizeListArray.from_arrays(numbers, self._width, mask=missing)]


class _Sink:
    """What Parquet is written to: a stream that may be a pipe, which cannot tell where it is."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._written = 0
        self.discards = False
        self.closed = False

    def write(self, data: bytes) -> int:
        if not self.discards:
            self._stream.write(data)
        self._written += len(data)
        return len(data)

    def tell(self) -> int:
        return self._written

    def flush(self) -> None:
        if not self.discards:
            self._stream.flush()

    def close(self) -> None:
        self.flush()


def read_table(file: Path) -> Iterator[dict[str, Any]]:
    """Each row of a Parquet file of labels, lazily, in the shape of the JSON output.

    Raises UsageError where a library is missing, NotResults for what has other columns, DamagedOutput for what is no
    whole Parquet file, and OSError.
    """
    with _opened(file) as table:
        names = table.schema_arrow.names
        if "embedding" in names and "predictions" not in names:
            raise NotResults("it holds features, and no labels")
        if missing := [name for name in ("path", "predictions", "error") if name not in names]:
            raise NotResults(f"it has no column {missing[0]}")
        ruled = {"label", "score"} <= set(names)
        answer = [name for name in ("label", "score", "index") if ruled and name in names]
        for batch in table.iter_batches(batch_size=1024, columns=["path", *answer, "predictions", "error"]):
            for row in batch.to_pylist():
                yield {name: value for name, value in row.items() if value is not None or name in answer}


def how_made(file: Path) -> dict[str, Any]:
    """What the metadata of a Parquet file tell of how it was made: the settings of the run, or nothing.

    Raises UsageError, DamagedOutput and OSError as `read_table` does.
    """
    with _opened(file) as table:
        text = (table.metadata.metadata or {}).get(KEY.encode(), b"{}")
    try:
        made = json.loads(text)
    except ValueError:
        return {}
    return made if isinstance(made, dict) else {}


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    arrow = _pyarrow()
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(file) as table:
            yield table
    except (arrow.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DamagedOutput("it is no whole Parquet file, which has its footer at its end") from error
