"""Where an archive or a table lies: in a file of this machine, or at an address."""

from typing import BinaryIO

from vithybrid_cli.images.local import LocalFile
from vithybrid_cli.sources.remote.addresses import is_address


def opened(place: str, *, offline: bool = False) -> BinaryIO:
    """What is there, from its beginning; whoever calls closes it. ``seekable()`` says whether it can be read anywhere.

    Raises ImageError for what cannot be opened, and FetchFailed, which is one, also while an address is read.
    """
    if not is_address(place):
        return LocalFile(place).open()
    from vithybrid_cli.sources.remote.streams import open_stream

    return open_stream(place, offline=offline)
