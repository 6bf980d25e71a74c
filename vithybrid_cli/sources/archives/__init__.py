"""Archives as sources: zip by its directory, tar by its headers, compressed tar in a stream.

Nothing is unpacked to a disk. Headers are read here and not by `zipfile` and `tarfile`, which keep an object for each
member: memory must not grow with their number. What a header claims is not believed: a member is read up to its limit.
"""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from vithybrid_cli.items import Item


@runtime_checkable
class Archive(Protocol):
    """A container of files, which may be others than pictures."""

    def items(self, also: frozenset[str] = frozenset()) -> Iterator[Item]:
        """What `vithybrid_cli.sources.containers.Container.items` gives, and files with the suffixes ``also``."""
        ...
