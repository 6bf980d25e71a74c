"""Results that were written earlier, each with its picture as it is now: for what shows them or acts on them."""

import io
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from vithybrid_cli.items import Stamp
from vithybrid_cli.output import open_text_writer
from vithybrid_cli.output.formats import Format
from vithybrid_cli.output.read_results import format_of_results, read_results
from vithybrid_cli.results import ImageResult, Pictured
from vithybrid_cli.runs.stamps import crc, read_stamps, stamp_file
from vithybrid_cli.sources.containers import Wanted, is_member_name
from vithybrid_cli.sources.named import Named
from vithybrid_cli.sources.remote.addresses import is_address
from vithybrid_cli.sources.remote.urls import is_data_url

_ESCAPED = re.compile(r"\\u(dc[89a-f][0-9a-f])")


def pictured(results: Path, wanted: Wanted, root: Path | None = None, *, allow_cut: bool = False) -> Iterator[Pictured]:
    """The results in the file ``results``, in order and lazily, with their pictures.

    Relative names are those of files below ``root``, or else below the current folder, as for the run that wrote them.
    Whether a picture has changed is known where the run kept size and time of it beside its results, as `classify` does
    for a file. Raises UsageError as `read_results` does.
    """
    named = Named(wanted)
    was = _stamps(results)
    for result in read_results(results, allow_cut=allow_cut):
        item = named.item(_undecodable_as_it_is(name_below(root, result.path)))
        stamp = was(result)
        yield Pictured(result, item, None if stamp is None else item.stamp() != stamp)


def _undecodable_as_it_is(name: str) -> str:
    r"""The name in which ``\udcXX`` stands for a byte, as formats write it that hold only Unicode, if that is there."""
    real = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), name)
    return real if real != name and os.path.lexists(real) and not os.path.lexists(name) else name


def name_below(root: Path | None, name: str) -> str:
    """The ``name`` of a picture, or of a member of an archive, whose relative path begins at ``root``."""
    if root is None or is_address(name) or is_data_url(name):
        return name
    if is_member_name(name):
        member, _, place = name.rpartition("::")
        return f"{member}::{name_below(root, place)}"
    return os.path.join(root, name)  # noqa: PTH118 (a Path would tidy the name up)


def _stamps(results: Path) -> Callable[[ImageResult], Stamp | None]:
    """What gives the stamp that a run kept for a result, if it is that of just this result."""
    kept = {path: (stamp, check) for path, stamp, check in read_stamps(stamp_file(results))}
    output_format = format_of_results(results) if kept else Format.PARQUET
    if output_format is Format.PARQUET:  # beside which no run keeps any
        return lambda result: None
    text = open_text_writer(output_format, io.StringIO(), continued=True).text

    def stamp(result: ImageResult) -> Stamp | None:
        stamp, check = kept.get(result.path, (None, None))
        return stamp if check == crc(text(result).encode()) else None

    return stamp
