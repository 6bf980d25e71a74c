"""What lies below a prefix of a bucket or a folder of another store, one listing of a folder after the other.

The order is that of the names' bytes, as buckets list them; a page of a bucket is all that is in memory.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from vithybrid_cli.images.suffixes import RAW_SUFFIXES, picture_suffixes, suffix_of
from vithybrid_cli.sources.containers import kind_of_container
from vithybrid_cli.sources.pattern import is_pattern, matches_below
from vithybrid_cli.sources.pictures import Pictures
from vithybrid_cli.sources.remote.addresses import is_web
from vithybrid_cli.sources.walk import Entry, Selector

if TYPE_CHECKING:
    from vithybrid_cli.sources.remote.filesystems import FileSystem

_NO_INODE = -1


def found_at(address: str, pictures: Pictures) -> Iterator[str]:
    """The addresses of the pictures that one address names: its own, those below a prefix, or those of a pattern.

    Nothing is raised: what is missing or cannot be listed is given as it is, and opening it raises FetchFailed.
    """
    if is_web(address) or not (address.endswith("/") or is_pattern(address) or not _is_file_by_name(address)):
        yield address
        return
    from vithybrid_cli.sources.remote.filesystems import FileSystems

    system = FileSystems().of(address)
    kind = None if address.endswith("/") else system.kind(address)
    if kind is None and is_pattern(address):
        yield from _matches(system, address, pictures)
    elif kind == "directory" or address.endswith("/"):
        yield from _walk(system, address, pictures.all_of(address))
    else:
        yield address


def _is_file_by_name(address: str) -> bool:
    """Whether it has the suffix of something that is read, so that its store need not be asked."""
    suffix = suffix_of(address)
    return suffix in picture_suffixes() or suffix in RAW_SUFFIXES or kind_of_container(address) is not None


def _matches(system: "FileSystem", pattern: str, pictures: Pictures) -> Iterator[str]:
    """What matches in the folders below the first wildcard; the pattern itself if nothing does."""
    begin = len(pattern.split("://", 1)[0]) + len("://")
    parts = pattern[begin:].split("/")
    at = next(number for number, part in enumerate(parts) if is_pattern(part))
    base = pattern[:begin] + "".join(f"{part}/" for part in parts[:at])
    if not at:  # all buckets would have to be listed
        yield pattern
        return
    yield from matches_below(pattern, base, parts[at:], pictures, lambda root, below: _walk(system, root, below))


def _walk(system: "FileSystem", folder: str, selector: Selector) -> Iterator[str]:
    """What is wanted below a folder; its own address comes last if not all of it could be listed."""
    for found in _entries(system, folder):
        if found is None:
            yield folder
        elif not found.is_folder:
            if selector.takes(found):
                yield found.path
        elif (below := selector.below(found)) is not None:
            yield from _walk(system, f"{found.path}/", below)


def _entries(system: "FileSystem", folder: str) -> Iterator[Entry | None]:
    """What lies in a folder, in the order of the bytes of names; None at the end if that is not all."""
    path = system.path(folder)
    pages = _pages_of_s3(system.system, path) if system.is_s3 else _one_page(system, path)
    while True:
        try:
            page = next(pages, None)
        except Exception:  # a store raises whatever its client does, and does so again when the folder is opened
            yield None
            return
        if page is None:
            return
        for name, is_folder in sorted(page, key=lambda entry: (entry[0] + "/" * entry[1]).encode()):
            if name:
                yield Entry(folder, name, is_folder, _NO_INODE)


def _one_page(system: "FileSystem", path: str) -> Iterator[list[tuple[str, bool]]]:
    found = system.list(path)
    yield [(_last(each["name"]), each["type"] == "directory") for each in found if each["name"].strip("/") != path]


def _last(path: str) -> str:
    return path.rstrip("/").rsplit("/", 1)[-1]


def _pages_of_s3(system: Any, path: str) -> Iterator[list[tuple[str, bool]]]:
    """One page after the other: what s3fs gives by itself is a list of all."""
    bucket, _, key = path.partition("/")
    prefix = f"{key.rstrip('/')}/" if key else ""
    more: dict[str, str] = {}
    while True:
        page = system.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, Delimiter="/", **more)
        folders = [(_last(each["Prefix"]), True) for each in page.get("CommonPrefixes", [])]
        yield folders + [(each["Key"][len(prefix) :], False) for each in page.get("Contents", [])]
        if not page.get("IsTruncated"):
            return
        more = {"ContinuationToken": page["NextContinuationToken"]}
