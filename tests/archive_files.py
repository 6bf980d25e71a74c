"""Archives of small pictures for tests, and what reading them gives."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from backports import zstd
from PIL import Image

from vithybrid_cli.errors import ImageError
from vithybrid_cli.items import Item
from vithybrid_cli.sources.inputs import Sources
from vithybrid_cli.sources.survey import Survey

Members = Iterable[tuple[str | tarfile.TarInfo, bytes]]
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".tar.gz": gzip.compress,
    ".tar.bz2": bz2.compress,
    ".tar.xz": lzma.compress,
    ".tar.zst": zstd.compress,
}


def picture(brightness: int = 0, side: int = 4) -> bytes:
    """A PNG; those of different brightness have different bytes."""
    stream = io.BytesIO()
    Image.new("RGB", (side, side), (brightness,) * 3).save(stream, "PNG")
    return stream.getvalue()


def tar(members: Members, **options: Any) -> bytes:
    """A tar archive of members by name, or as `tarfile` describes them."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", **options) as archive:
        for name, content in members:
            member = tarfile.TarInfo(name) if isinstance(name, str) else name
            member.size = member.size or len(content)
            member.mtime = member.mtime or 10
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def zipped(members: Members, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive of members by name."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in members:
            archive.writestr(str(name), content)
    return stream.getvalue()


def packed(suffix: str, members: Members) -> bytes:
    """An archive of the kind that has this suffix."""
    if suffix in (".zip", ".cbz"):
        return zipped(members)
    return COMPRESS.get(suffix, bytes)(tar(members))


def put(name: str, content: bytes) -> str:
    """A file with this content."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(content)
    return name


def outcome(item: Item) -> bytes | str:
    """What opening it gives: its bytes, or the type of the error."""
    try:
        with item.open() as stream:
            return stream.read()
    except ImageError as error:
        return type(error).__name__


def said(item: Item) -> str:
    """The text of the error that opening it raises."""
    try:
        item.open()
    except ImageError as error:
        return str(error)
    return ""


def read(*inputs: str, **options: Any) -> list[tuple[str, bytes | str]]:
    """The name and outcome of each item; each has to be the same again when it is asked for by its name."""
    sources = Sources(inputs, **options)
    items = list(sources.items())
    return [(item.name, outcome(item)) for item in items]


def again(*inputs: str) -> list[tuple[str, bytes | str]]:
    """The name and outcome of each item that is asked for by its name."""
    sources = Sources(inputs)
    named = sources.named()
    return [(item.name, outcome(named.item(item.name))) for item in sources.items()]


def line(*inputs: str, **options: Any) -> str | None:
    """What is said of what was left out."""
    survey = Survey()
    list(Sources(inputs, **options).items(survey))
    return survey.line()
