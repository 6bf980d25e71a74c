"""Where an archive or a table lies: in a file of this machine, or at an address."""

from typing import BinaryIO

from vithybrid_cli.errors import FetchFailed
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


def opened_anywhere(place: str, *, offline: bool = False) -> BinaryIO:
    """The same for what has to be read at any place. Raises FetchFailed also where the server only sends everything."""
    stream = opened(place, offline=offline)
    if not stream.seekable():
        stream.close()
        raise FetchFailed("Its server gives no parts of a file, as has to be.", "Fetch it first, and give the file.")
    return stream
