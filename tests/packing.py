"""Archives of labelled pictures, packed as people do."""

import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

Members = Iterable[tuple[str, bytes]]


def files_below(folder: Path) -> list[tuple[str, bytes]]:
    """The files below ``folder`` by their path in it, in natural order of names without numbers of two digits."""
    return [(str(file.relative_to(folder)), file.read_bytes()) for file in sorted(folder.rglob("*")) if file.is_file()]


def pack(archive: Path, members: Members) -> Path:
    """Write an archive of the kind that its name says."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as file:
            for name, content in members:
                file.writestr(name, content)
        return archive
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as file:
        for name, content in members:
            header = tarfile.TarInfo(name)
            header.size = len(content)
            file.addfile(header, io.BytesIO(content))
    content = packed.getvalue()
    if archive.suffix == ".gz":
        content = gzip.compress(content)
    elif archive.suffix == ".xz":
        content = lzma.compress(content)
    archive.write_bytes(content)
    return archive
