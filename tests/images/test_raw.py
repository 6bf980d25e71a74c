"""A camera's raw file is never read as its thumbnail: it is an error, or its full preview where that is wanted."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin
from raw_files import dng, jpeg

from vithybrid_cli.errors import ImageTooLarge, RawPhoto, UnreadableImage
from vithybrid_cli.images import raw
from vithybrid_cli.images.decode import decode
from vithybrid_cli.settings import Decoding

PREVIEW = Decoding(raw_preview=True)
ORIENTATION = 0x0112


def tiff(width: int, height: int, **tags: int | str | bytes) -> bytes:
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for name, value in tags.items():
        info[int(name[1:])] = value
    stream = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(stream, "TIFF", tiffinfo=info)
    return stream.getvalue()


def written(folder: Path, data: bytes, name: str = "a.dng") -> Path:
    (folder / name).write_bytes(data)
    return folder / name


@pytest.mark.parametrize("name", ["a.dng", "a.tif", "a.jpg", "a"])
def test_a_raw_file_is_an_error_that_names_what_reads_it_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, dng(jpeg(1600, 1066), (1600, 1066)), name)
    with Image.open(path) as image:
        assert image.size == (16, 12)  # the thumbnail, which is what Pillow finds
    with pytest.raises(RawPhoto, match=r"a camera's raw file.* raw_preview=True"):
        decode(path)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        pytest.param("a.nef", tiff(160, 120), id="a thumbnail in TIFF by its suffix"),
        pytest.param("a.tif", tiff(160, 120, _254=1, _271="NIKON CORPORATION"), id="a camera's thumbnail"),
        pytest.param("a.tif", tiff(160, 120, _254=1, _330=8), id="a thumbnail of directories below"),
        pytest.param("a.raf", b"FUJIFILMCCD-RAW 0201FF383501X-T1" + b"\0" * 99, id="RAF"),
        pytest.param("a", b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + b"\0" * 99, id="CR3 without a suffix"),
        pytest.param("a.orf", b"IIRO\x08\0\0\0" + b"\0" * 99, id="ORF"),
        pytest.param("a.raw", b"\x17\x13\x99" * 99, id="unknown bytes by the suffix"),
        pytest.param("a.ARW", b"II*\0\x08\0\0\0\xff\xff" + b"\x12\x01" * 20, id="a damaged directory by its suffix"),
    ],
)
def test_raw_files_of_each_kind_are_told(tmp_path: Path, name: str, data: bytes) -> None:
    with pytest.raises(RawPhoto):
        decode(written(tmp_path, data, name))


@pytest.mark.parametrize("name", ["a.nef", "a.dng"])
def test_what_else_is_called_raw_is_named_for_what_it_is(tmp_path: Path, name: str) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d7a" * 16 + b"\nsize 12345\n"
    with pytest.raises(UnreadableImage, match="git lfs pull"):
        decode(written(tmp_path, pointer, name))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        pytest.param("a.nef", jpeg(160, 120), id="a JPEG that is called raw"),
        pytest.param("a.tif", tiff(160, 120), id="TIFF"),
        pytest.param("a.tif", tiff(160, 120, _271="Canon"), id="a camera's TIFF"),
        pytest.param("a.tif", tiff(160, 120, _254=0, _330=8), id="the largest of a pyramid"),
        pytest.param("a.tif", tiff(160, 120, _50706=b"\1\4\0\0", _271="Canon"), id="developed from a DNG"),
        pytest.param("a.tif", tiff(160, 120, _254=2, _271="Scanner"), id="a page of several"),
    ],
)
@pytest.mark.parametrize("how", [Decoding(), PREVIEW], ids=["as usual", "with previews"])
def test_pictures_are_no_raw_files(tmp_path: Path, name: str, data: bytes, how: Decoding) -> None:
    assert decode(written(tmp_path, data, name), how).size == (160, 120)


def test_a_damaged_jpeg_that_is_called_raw_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match="cut off"):
        decode(written(tmp_path, jpeg(160, 120)[:-300], "a.nef"))


def test_without_the_library_the_preview_names_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "find_spec", lambda name: None)
    with pytest.raises(RawPhoto, match=r"pip install 'vithybrid-cli\[raw\]'"):
        decode(written(tmp_path, dng(jpeg(1600, 1066), (1600, 1066))), PREVIEW)


def halves() -> bytes:
    """A JPEG whose left half is red and whose right half is blue."""
    image = Image.new("RGB", (1200, 800), "red")
    image.paste("blue", (600, 0, 1200, 800))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=95)
    return stream.getvalue()


def colour(image: Image.Image, x: int, y: int) -> str:
    red, _, blue = np.asarray(image)[y, x]
    return "red" if red > blue else "blue"


@pytest.mark.parametrize(
    ("turn", "size", "corners"),
    [
        (1, (1200, 800), ["red", "blue"]),
        (3, (1200, 800), ["blue", "red"]),
        (6, (800, 1200), ["red", "blue"]),
        (8, (800, 1200), ["blue", "red"]),
    ],
)
def test_the_preview_is_read_whole_and_upright(
    tmp_path: Path, turn: int, size: tuple[int, int], corners: list[str]
) -> None:
    pytest.importorskip("rawpy")
    found = decode(written(tmp_path, dng(halves(), (1200, 800), turn=turn)), PREVIEW)
    assert found.size == size
    assert [colour(found, *place) for place in ((5, 5), (size[0] - 5, size[1] - 5))] == corners


def test_a_preview_that_knows_how_it_is_turned_is_turned_so(tmp_path: Path) -> None:
    pytest.importorskip("rawpy")
    exif = Image.Exif()
    exif[ORIENTATION] = 3
    path = written(tmp_path, dng(jpeg(1200, 800, exif=exif), (1200, 800), turn=6))
    assert decode(path, PREVIEW).size == (1200, 800)


def test_a_preview_that_the_camera_has_turned_is_not_turned_again(tmp_path: Path) -> None:
    pytest.importorskip("rawpy")
    path = written(tmp_path, dng(jpeg(800, 1200), (800, 1200), turn=6))
    assert decode(path, PREVIEW).size == (800, 1200)


@pytest.mark.parametrize("size", [(160, 120), (640, 480), None], ids=["thumbnail", "small", "none"])
def test_a_thumbnail_is_no_preview(tmp_path: Path, size: tuple[int, int] | None) -> None:
    pytest.importorskip("rawpy")
    data = dng(None) if size is None else dng(jpeg(*size), size)
    width, height = size or (16, 12)
    with pytest.raises(RawPhoto, match=f"of 2400 × 1600 pixels holds a thumbnail of {width} × {height} alone"):
        decode(written(tmp_path, data), PREVIEW)


@pytest.mark.parametrize("name", [b"\xc3\x84 \xe7\x8c\xab.dng", b"\xff\xe4.dng"], ids=["UTF-8", "bytes"])
def test_a_raw_file_of_any_name_is_read(tmp_path: Path, name: bytes) -> None:
    pytest.importorskip("rawpy")
    try:
        path = written(tmp_path, dng(jpeg(1200, 800), (1200, 800)), os.fsdecode(name))
    except OSError:
        pytest.skip("the file system takes names in UTF-8 alone")
    assert decode(path, PREVIEW).size == (1200, 800)


def test_half_of_a_small_sensor_is_a_preview(tmp_path: Path) -> None:
    pytest.importorskip("rawpy")
    path = written(tmp_path, dng(jpeg(640, 480), (640, 480), sensor=(1280, 960)))
    assert decode(path, PREVIEW).size == (640, 480)


@pytest.mark.parametrize("part", [0.001, 0.3])
def test_a_damaged_raw_file_is_one_error(tmp_path: Path, part: float, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rawpy")
    data = dng(jpeg(1600, 1066), (1600, 1066))
    path = written(tmp_path, data[: int(len(data) * part)])
    with pytest.raises(RawPhoto):
        decode(path, PREVIEW)
    assert capfd.readouterr() == ("", "")


def test_a_preview_is_held_to_the_limit_and_drafted_as_other_pictures(tmp_path: Path) -> None:
    pytest.importorskip("rawpy")
    path = written(tmp_path, dng(jpeg(1600, 1066), (1600, 1066)))
    told: list[tuple[int, int]] = []
    drafted = decode(path, PREVIEW, draft_side=200, before_loading=lambda image: told.append(image.size))
    assert (drafted.size, told) == ((400, 267), [(400, 267)])
    with pytest.raises(ImageTooLarge, match="1705600 pixels, more than 1000"):
        decode(path, Decoding(raw_preview=True, max_pixels=1000))


def test_a_preview_that_is_cut_off_is_read_as_far_as_it_goes_if_that_is_wanted(tmp_path: Path) -> None:
    pytest.importorskip("rawpy")
    path = written(tmp_path, dng(halves()[:-6000], (1200, 800)))
    with pytest.raises(UnreadableImage, match="allow_truncated=True"):
        decode(path, PREVIEW)
    assert decode(path, Decoding(raw_preview=True, allow_truncated=True)).size == (1200, 800)
