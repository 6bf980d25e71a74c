"""A whole file of results in any format that can be read back: written beside, and renamed when it is whole."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from vithybrid_cli import atomic
from vithybrid_cli.output import open_text_writer
from vithybrid_cli.output.destination import DISK_ERRORS, unwritable
from vithybrid_cli.output.formats import Format, Writer
from vithybrid_cli.output.parquet import ParquetWriter
from vithybrid_cli.results import ImageResult


@contextmanager
def result_writer(
    file: Path, output_format: Format, *, about: Mapping[str, object] | None = None
) -> Iterator[Writer[ImageResult]]:
    """A writer of what takes the place of ``file`` when the block ends; if it raises, what was there stays.

    Any format but ``table``; ``about`` is how the results were made, which Parquet alone keeps. A link stays one, and a
    file keeps its permissions. Raises UsageError where the system refuses, and where the library for Parquet is
    missing; ask `destination.require_writable` and `parquet.require_parquet` before the work.
    """
    with written_whole(file) as part:
        if output_format is Format.PARQUET:
            with part.open("wb") as binary, ParquetWriter(binary, about or {}) as writer:
                yield writer
        else:
            with (
                part.open("w", encoding="utf-8", newline="") as stream,
                open_text_writer(output_format, stream) as text_writer,
            ):
                yield text_writer


@contextmanager
def written_whole(file: Path) -> Iterator[Path]:
    """As `replacing`, but raises UsageError where the system refuses.

    Another OSError of the block may well be of what is written, and is raised as it is.
    """
    begun = False
    try:
        with replacing(file) as part:
            begun = True
            yield part
    except OSError as error:
        if begun and error.errno not in DISK_ERRORS:
            raise
        raise unwritable(file, error) from error


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """As `atomic.replacing`, but a link stays one, and a file keeps its permissions. Raises OSError."""
    target = file.resolve()
    with atomic.replacing(target, target.stat().st_mode if target.exists() else None) as part:
        yield part
