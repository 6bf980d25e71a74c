"""Archives that are no files of this machine: streams that go forward, and begin again where they have to."""

import io
from typing import BinaryIO

import pytest
from archive_files import COMPRESS, outcome, packed, picture, tar

from vithybrid_cli.errors import FetchFailed
from vithybrid_cli.sources.archives.file import Flow
from vithybrid_cli.sources.archives.tar import open_tar
from vithybrid_cli.sources.archives.zip import ZipArchive
from vithybrid_cli.sources.containers import Wanted

MEMBERS = [(f"{number}.png", picture(number)) for number in range(30)]


class Forward(io.BytesIO):
    """Bytes that come in small parts and in their order."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise OSError

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(700, size or 0))


class Flows:
    """Opens a stream as often as it is asked to."""

    def __init__(self, content: bytes, *, forward: bool) -> None:
        self._content, self._forward, self.opened = content, forward, 0

    def __call__(self) -> BinaryIO:
        self.opened += 1
        return Forward(self._content) if self._forward else io.BytesIO(self._content)


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("suffix", [".tar", *COMPRESS])
def test_a_tar_archive_at_an_address_is_read_in_one_pass(suffix: str, forward: bool) -> None:
    flows = Flows(packed(suffix, MEMBERS), forward=forward)
    archive = open_tar(Flow("u", flows), Wanted())
    assert [(item.name, outcome(item)) for item in archive.items()] == [(f"tar://{name}::u", c) for name, c in MEMBERS]
    assert flows.opened == 1
    assert [outcome(archive.item(name)) for name, _ in MEMBERS] == [content for _, content in MEMBERS]
    assert flows.opened <= 2
    assert outcome(archive.item("3.png")) == MEMBERS[3][1]
    assert outcome(archive.item("none.png")) == "MissingFile"


def test_a_stream_that_is_cut_off_is_a_damaged_archive() -> None:
    raw = tar(MEMBERS)
    for end in (700, 1024, 3000, 5120):
        archive = open_tar(Flow("u", Flows(raw[:end], forward=True)), Wanted())
        *whole, last = [outcome(item) for item in archive.items()]
        assert last == "DamagedArchive"
        assert whole == [content for _, content in MEMBERS][: len(whole)]


def test_a_zip_archive_needs_to_be_read_anywhere() -> None:
    content = packed(".zip", MEMBERS)
    archive = ZipArchive(Flow("u", Flows(content, forward=False)), Wanted())
    assert [outcome(item) for item in archive.items()] == [content for _, content in MEMBERS]
    with pytest.raises(FetchFailed, match="its server gives no parts of a file"):
        ZipArchive(Flow("u", Flows(content, forward=True)), Wanted())
