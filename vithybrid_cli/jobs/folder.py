"""The folder of a job, on a disk or in a bucket: few operations, of which none is a rename in a bucket."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from vithybrid_cli import atomic
from vithybrid_cli.errors import UsageError

INSTALL = "Install it with `pip install 'vithybrid-cli[remote]'`."


class Folder(Protocol):
    """Where a job lies. Names are relative, with slashes. All raise OSError as files do."""

    @property
    def name(self) -> str:
        """As the user has it, but whole: it leads here from any working folder."""
        ...

    @property
    def local(self) -> Path | None:
        """Where it is, if it lies on a file system of this machine."""
        ...

    def read(self, name: str) -> bytes:
        """All of a file."""
        ...

    def open(self, name: str) -> BinaryIO:
        """A file to be read as a stream."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Put a file there, whole or not at all."""
        ...

    def create(self, name: str, content: bytes) -> bool:
        """Put a file there unless there is one; whether it was put."""
        ...

    def put(self, file: Path, name: str) -> None:
        """Bring a file of this machine there, whole or not at all; on a disk it is moved."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        ...

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""
        ...

    def list(self, name: str) -> list[str]:
        """The names of the files in a subfolder, in no order; none if there is none."""
        ...


@dataclass(frozen=True, slots=True)
class LocalFolder:
    """A folder on a disk of this machine, or on one that it shares; see `Folder`."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path)

    @property
    def local(self) -> Path:
        return self.path

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def open(self, name: str) -> BinaryIO:
        return (self.path / name).open("rb")

    def write(self, name: str, content: bytes) -> None:
        (self.path / name).parent.mkdir(exist_ok=True)
        atomic.write_bytes(self.path / name, content)

    def create(self, name: str, content: bytes) -> bool:
        file = self.path / name
        part = file.with_name(f".{file.name}.{os.getpid()}{atomic.UNFINISHED}")
        part.write_bytes(content)
        try:
            os.link(part, file)  # unlike a rename it fails where there is a file, and unlike O_EXCL it is never empty
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            if file.exists():
                return False
            self.write(name, content)
        finally:
            part.unlink(missing_ok=True)
        return True

    def put(self, file: Path, name: str) -> None:
        target = self.path / name
        target.parent.mkdir(exist_ok=True)
        flush(file)
        file.replace(target)
        with suppress(OSError):  # some network file systems cannot flush a folder
            flush(target.parent)

    def remove(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)

    def exists(self, name: str) -> bool:
        return (self.path / name).is_file()

    def list(self, name: str) -> list[str]:
        try:
            with os.scandir(self.path / name) as entries:
                return [entry.name for entry in entries]
        except FileNotFoundError:
            return []


@dataclass(frozen=True, slots=True)
class RemoteFolder:
    """A bucket, or whatever else fsspec opens; see `Folder`."""

    name: str
    system: Any  # of fsspec
    root: str
    local: None = None

    def read(self, name: str) -> bytes:
        with _as_os_errors():
            return bytes(self.system.cat_file(self._at(name)))

    def open(self, name: str) -> BinaryIO:
        with _as_os_errors():
            stream: BinaryIO = self.system.open(self._at(name), "rb")
            return stream

    def write(self, name: str, content: bytes) -> None:
        with _as_os_errors():
            self._make_parent(name)
            self.system.pipe_file(self._at(name), content)
            self._forget()

    def create(self, name: str, content: bytes) -> bool:
        """Where the store cannot refuse to overwrite, of two that come at once the last one wins."""
        with _as_os_errors():
            self._make_parent(name)
            try:
                self.system.pipe_file(self._at(name), content, mode="create")
            except FileExistsError:
                return False
            except (TypeError, NotImplementedError, ValueError):  # an fsspec or a store that has no such mode
                if self.exists(name):
                    return False
                self.write(name, content)
            self._forget()
            return True

    def put(self, file: Path, name: str) -> None:
        with _as_os_errors():
            self._make_parent(name)
            self.system.put_file(str(file), self._at(name))
            self._forget()
        file.unlink()

    def remove(self, name: str) -> None:
        with _as_os_errors(), suppress(FileNotFoundError):
            self.system.rm_file(self._at(name))
            self._forget()

    def exists(self, name: str) -> bool:
        with _as_os_errors():
            return bool(self.system.isfile(self._at(name)))

    def list(self, name: str) -> list[str]:
        with _as_os_errors():
            self._forget()
            try:
                found = self.system.ls(self._at(name), detail=False)
            except FileNotFoundError:
                return []
            return [str(path).rstrip("/").rsplit("/", 1)[-1] for path in found]

    def _at(self, name: str) -> str:
        return f"{self.root}/{name}"

    def _make_parent(self, name: str) -> None:
        self.system.makedirs(self._at(name).rsplit("/", 1)[0], exist_ok=True)

    def _forget(self) -> None:
        """What fsspec remembers of folders; other machines write there, too."""
        self.system.invalidate_cache()


def folder_of(name: str) -> Folder:
    """The folder that a path or an address names; it need not exist. Raises UsageError for what can be none."""
    if "://" not in name:
        return LocalFolder(Path(os.path.abspath(name)))  # noqa: PTH100 (links stay as they are)
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise UsageError(f"{name} is an address, which needs the package fsspec.", INSTALL) from error
    try:
        system, root = url_to_fs(name)
    except ImportError as error:
        raise UsageError(f"{name} needs a package that is not installed: {error}.", INSTALL) from error
    except ValueError as error:
        raise UsageError(f"{name} is no address of a folder: {error}.", "Give a path, or a bucket.") from error
    if "file" in (system.protocol if isinstance(system.protocol, tuple) else (system.protocol,)):
        return LocalFolder(Path(root))
    return RemoteFolder(name.rstrip("/"), system, root.rstrip("/"))


def unwritable_job(name: str, error: OSError, remedy: str) -> UsageError:
    """The error to raise when a job's folder cannot be written."""
    return UsageError(f"Cannot write to {name}: {error.strerror or error}.", remedy)


def flush(path: Path) -> None:
    """Wait until a file or folder has reached the disk. Raises OSError."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _as_os_errors() -> Iterator[None]:
    """What a store's own library raises, as the OSError that callers know."""
    try:
        yield
    except (OSError, TypeError, NotImplementedError):
        raise
    except Exception as error:  # each store has exceptions of its own, which have no common class
        raise OSError(None, f"{type(error).__name__}: {error}") from error
