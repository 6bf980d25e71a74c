"""Buckets, the hub and whatever else fsspec opens."""

import threading
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from vithybrid_cli.sources.remote import failures
from vithybrid_cli.sources.remote.addresses import missing, scheme_of
from vithybrid_cli.sources.remote.limits import LIMITS

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_PART = 16 * 2**20  # bytes that are asked for at once: most pictures in one request
_CONCURRENT = ("hf", "memory")  # of those that do not say so by `async_impl`


class FileSystems:
    """The file systems of a run, one for each account or server; they may be used by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened: dict[tuple[str, str], FileSystem] = {}

    def of(self, name: str) -> "FileSystem":
        """That of an address. Raises UsageError for a missing package."""
        scheme, _ = scheme_and_path(name)
        cls = class_for(name)
        options: dict[str, Any] = cls._get_kwargs_from_urls(name)
        key = scheme, repr(sorted(options.items()))
        with self._lock:
            if key not in self._opened:
                self._opened[key] = FileSystem(cls(**options, **_settings(scheme)), scheme)
            return self._opened[key]

    def read(self, name: str, max_bytes: int) -> bytes:
        """What lies at an address. Raises ImageError, and whatever its file system does."""
        return self.of(name).read(name, max_bytes)


def _settings(scheme: str) -> dict[str, Any]:
    """Names are not kept. A client of S3 has 10 connections by itself, and less than we ask for at once."""
    if scheme not in ("s3", "s3a"):
        return {"use_listings_cache": False}
    from fsspec.config import conf  # what FSSPEC_S3_… and files say

    client = {"max_pool_connections": LIMITS.connections, **conf.get(scheme, {}).get("config_kwargs", {})}
    return {"use_listings_cache": False, "config_kwargs": client}


class FileSystem:
    """One file system, used by one thread at a time where it takes no more."""

    def __init__(self, system: "AbstractFileSystem", scheme: str) -> None:
        self.system = system
        concurrent = system.async_impl or scheme in _CONCURRENT
        self._turn: AbstractContextManager[Any] = nullcontext() if concurrent else threading.Lock()

    @property
    def is_s3(self) -> bool:
        """Whether it speaks S3, so that listings can be had page by page."""
        return hasattr(self.system, "call_s3")

    def kind(self, name: str) -> str | None:
        """``file``, ``directory``, or None for what is not there or cannot be asked for."""
        try:
            with self._turn:
                return str(self.system.info(self.path(name))["type"])
        except Exception:  # a store raises whatever its client does, and does so again when this is opened
            return None

    def list(self, path: str) -> "list[dict[str, Any]]":
        """What lies in a folder. Raises whatever the file system does."""
        with self._turn:
            found: list[dict[str, Any]] = self.system.ls(path, detail=True)
        return found

    def path(self, name: str) -> str:
        """What the file system itself calls it."""
        return str(self.system._strip_protocol(name))

    def open(self, name: str) -> BinaryIO:
        """A file, as a stream."""
        return cast("BinaryIO", self.system.open(self.path(name), "rb"))

    def size(self, name: str) -> int | None:
        """How many bytes a file has, if its store knows. Raises whatever the file system does."""
        with self._turn:
            found = self.system.info(self.path(name))
        if found["type"] == "directory":
            raise IsADirectoryError
        return None if found.get("size") is None else int(found["size"])

    def part(self, name: str, begin: int, end: int) -> bytes:
        """From one byte up to another. Raises whatever the file system does."""
        with self._turn:
            return bytes(self.system.cat_file(self.path(name), start=begin, end=end))

    def read(self, name: str, max_bytes: int) -> bytes:
        """All of a file. Raises FileTooLarge, and whatever the file system does."""
        path = self.path(name)
        if name.endswith("/"):
            self.list(path)  # which says what is wrong with it
            raise IsADirectoryError
        with self._turn:
            content = self._beginning(path, min(_PART, max_bytes + 1))
            if len(content) < _PART:
                return _within(content, max_bytes)
            size = self.system.info(path)["size"]
            if size is not None and size > max_bytes:
                raise failures.too_large(max_bytes)
            rest = self.system.cat_file(path, start=len(content), end=max_bytes + 1) if size != len(content) else b""
        return _within(content + rest, max_bytes)

    def _beginning(self, path: str, size: int) -> bytes:
        """The first bytes. A store that is asked for some of none may say that there are no such ones."""
        try:
            return bytes(self.system.cat_file(path, start=0, end=size))
        except (FileNotFoundError, PermissionError):
            raise
        except Exception:
            if self.system.info(path)["size"] != 0:
                raise
            return b""


def _within(content: bytes, max_bytes: int) -> bytes:
    if len(content) > max_bytes:
        raise failures.too_large(max_bytes)
    return content


def scheme_and_path(name: str) -> tuple[str, str]:
    """What stands before and after ``://``."""
    return scheme_of(name) or "", name.split("://", 1)[-1]


def class_for(name: str) -> "type[AbstractFileSystem]":
    """The class of the file system that an address is of. Raises UsageError if its package is missing."""
    from fsspec import get_filesystem_class

    scheme, _ = scheme_and_path(name)
    try:
        found: type[AbstractFileSystem] = get_filesystem_class(scheme)
    except (ImportError, ValueError) as error:
        raise missing(scheme) from error
    return found
