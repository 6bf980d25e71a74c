"""Results become text: one writer per format, each row written as soon as it is known."""

from typing import TextIO

from vithybrid_cli.output.delimited import DelimitedWriter
from vithybrid_cli.output.escape import visible
from vithybrid_cli.output.formats import Format, Writer, default_format, prepare_stream
from vithybrid_cli.output.json_records import JsonLinesWriter, JsonWriter
from vithybrid_cli.results import ImageResult

__all__ = ["Format", "Writer", "default_format", "open_writer", "visible"]


def open_writer(
    output_format: Format, stream: TextIO, *, single: bool = False, continued: bool = False
) -> Writer[ImageResult]:
    """A writer of results to ``stream``, which stays open when the writer is closed.

    What opens the format (``[``, a header) is written at once, so that whatever ends the run after this call
    leaves valid output: open the writer when the model is loaded. ``single`` tells the table that one picture is
    all there will be, which then gets a block of its own. With ``continued`` the stream stands after the last of some
    results, and the new ones go on from there. A ``BrokenPipeError`` goes to the caller.
    """
    prepare_stream(output_format, stream)
    match output_format:
        case Format.JSON:
            return JsonWriter(stream, continued=continued)
        case Format.JSONL:
            return JsonLinesWriter(stream)
        case Format.CSV | Format.TSV:
            return DelimitedWriter(stream, "," if output_format is Format.CSV else "\t", continued=continued)
        case Format.TABLE:
            from vithybrid_cli.output.table import TableWriter  # rich takes 50 ms to import

            return TableWriter(stream, single=single)
