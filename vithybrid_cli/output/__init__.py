"""Results become text, row by row, and are read back: one module per format."""

from typing import TextIO

from vithybrid_cli.output.delimited import DelimitedWriter
from vithybrid_cli.output.escape import visible
from vithybrid_cli.output.formats import Format, TextWriter, Writer, default_format, prepare_stream
from vithybrid_cli.output.json_records import JsonLinesWriter, JsonWriter
from vithybrid_cli.results import ImageResult

__all__ = ["Format", "TextWriter", "Writer", "default_format", "open_text_writer", "open_writer", "visible"]


def open_writer(
    output_format: Format,
    stream: TextIO,
    *,
    single: bool = False,
    continued: bool = False,
    probabilities: bool = True,
) -> Writer[ImageResult]:
    """A writer of results to ``stream``, which stays open when the writer is closed.

    What begins the format (``[``, a header) is written at once, so that a run that ends early, for whatever reason,
    leaves valid output: open the writer once the model is loaded. ``single`` says that there will be only one picture:
    the table lays it out as a block. With ``continued`` the stream stands after earlier results, and the new ones
    follow them. ``probabilities`` says whether scores are from 0 to 1: the table draws those as bars and per cent, and
    other values as they are. A ``BrokenPipeError`` is left to the caller.
    """
    if output_format is not Format.TABLE:
        return open_text_writer(output_format, stream, continued=continued)
    from vithybrid_cli.output.table import TableWriter  # rich takes 50 ms to import

    return TableWriter(stream, single=single, probabilities=probabilities)


def open_text_writer(output_format: Format, stream: TextIO, *, continued: bool = False) -> TextWriter[ImageResult]:
    """What `open_writer` gives for a format that can be read back."""
    prepare_stream(output_format, stream)
    match output_format:
        case Format.JSON:
            return JsonWriter(stream, continued=continued)
        case Format.JSONL:
            return JsonLinesWriter(stream)
        case Format.CSV | Format.TSV:
            return DelimitedWriter(stream, "," if output_format is Format.CSV else "\t", continued=continued)
        case Format.TABLE:
            raise ValueError("a table is for people and cannot be read back")
        case Format.PARQUET:
            raise ValueError("Parquet is no text")
