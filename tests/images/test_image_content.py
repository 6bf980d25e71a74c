"""What a file that is no picture is, is told by its beginning; no picture is taken for something else."""

import io
from pathlib import Path

import pytest
from PIL import Image

from vithybrid_cli.errors import UnreadableImage
from vithybrid_cli.images.content import BEGINNING, described
from vithybrid_cli.images.decode import decode
from vithybrid_cli.images.heif import BRANDS
from vithybrid_cli.images.signatures import HEAD, Kind, kind_of

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d7a" * 16 + b"\nsize 12345\n"


@pytest.mark.parametrize(
    ("beginning", "what"),
    [
        pytest.param(LFS, "a Git-LFS pointer", id="Git-LFS pointer"),
        pytest.param(b"\0\0\0\x20ftypisom\0\0\2\0", "a video", id="MP4"),
        pytest.param(b"\0\0\0\x14ftypqt  \0\0\0\0", "a video", id="MOV"),
        pytest.param(b"\0\0\0\x1cftypM4A \0\0\0\0", "a sound file", id="M4A"),
        pytest.param(b"RIFF\x10\0\0\0AVI LIST", "a video", id="AVI"),
        pytest.param(b"<!DOCTYPE html>\n<html><svg ></svg></html>", "an HTML page", id="page with a drawing"),
        pytest.param(b"\xef\xbb\xbf\r\n  <HTML><HEAD>", "an HTML page", id="page with a mark"),
        pytest.param("\ufeff<html>".encode("utf-16-le"), "an HTML page", id="page in UTF-16"),
        pytest.param(b"<?xml version='1.0'?>\n<!-- x -->\n<svg xmlns='x'/>", "an SVG drawing", id="SVG"),
        pytest.param(b"<?xml version='1.0'?><Error><Code>AccessDenied</Code>", "an XML file", id="XML"),
        pytest.param(b'{"error": "not found"}', "JSON", id="JSON"),
        pytest.param("Ein Äpfelchen: Ä".encode()[:-1], "a text file", id="text that is cut in a character"),
        pytest.param(b"\0" * 64, "a file of zeros", id="zeros"),
        pytest.param(b"PK\3\4\x14\0", "a ZIP archive", id="ZIP"),
        pytest.param(b"a.jpg".ljust(257, b"\0") + b"ustar\x0000", "a tar archive", id="tar"),
        pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript", id="EPS"),
        pytest.param(b"\xc5\xd0\xd3\xc6\x1e\0\0\0", "PostScript", id="EPS with a preview"),
        pytest.param(b"bplist00\xd3\1\2\3\4\5\6", "a property list", id="iCloud placeholder"),
        pytest.param(b"\0\5\x16\7\0\2\0\0Mac OS X", "what macOS keeps", id="AppleDouble"),
        pytest.param(b"\xff\x0a\x80\x80\x80", "a JPEG XL picture", id="JPEG XL"),
        pytest.param(b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture", id="JPEG XL in its container"),
        pytest.param(b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n", "a Radiance picture", id="HDR"),
        pytest.param(b"\1\0\0\0\x6c\0\0\0" + b"\0" * 32 + b" EMF", "a Windows metafile", id="EMF"),
        pytest.param(b"L\0\0\0\1\x14\2\0", "a shortcut", id="shortcut"),
    ],
)
def test_a_kind_is_told_by_the_beginning(beginning: bytes, what: str) -> None:
    found = described(beginning)
    assert found is not None
    assert found.what.startswith(what)


@pytest.mark.parametrize("brand", [b"avif", b"avis", b"heic", b"heim", b"hevc", b"mif1", b"msf1", b"crx "])
def test_pictures_in_containers_of_videos_are_no_videos(brand: bytes) -> None:
    assert described(b"\0\0\0\x1cftyp" + brand + b"\0\0\0\0mif1miaf") is None


@pytest.mark.parametrize("name", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "JPEG2000", "ICO", "TGA", "PCX"])
def test_a_picture_is_nothing_else(name: str) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (23, 17), "red").save(stream, name)
    assert described(stream.getvalue()[:BEGINNING]) is None


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"FUJIFILMCCD-RAW 0201FF383501X-T1", id="RAF"),
        pytest.param(b"\0\0\0\x18ftypcrx \0\0\0\1", id="CR3"),
        pytest.param(b"II*\0\x10\0\0\0CR\2\0", id="CR2"),
        pytest.param(b"IIU\0\x18\0\0\0", id="RW2"),
        pytest.param(b"II\x1a\0\0\0HEAPCCDR", id="CRW"),
    ],
)
def test_raw_files_are_of_a_kind_of_their_own(head: bytes) -> None:
    assert kind_of(head[:HEAD]) is Kind.RAW
    assert described(head) is None


@pytest.mark.parametrize("name", ["PPM", "XBM"])
def test_pictures_that_are_texts_are_read_all_the_same(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"P3 1 1 255 9 8 7\n")
    if name == "XBM":
        Image.new("1", (23, 17)).save(tmp_path / "a.jpg", name)
    assert decode(tmp_path / "a.jpg").mode == "RGB"


@pytest.mark.parametrize("head", [b"\xff\xd8", b"\x89PNG", b"\x01\x02\x03", b"\x9d\x8f\x80"])
def test_what_is_not_known_is_not_guessed(head: bytes) -> None:
    assert described(head) is None


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(LFS, r"but a Git-LFS pointer in place of the file itself\. .* `git lfs pull`\.", id="Git LFS"),
        pytest.param(b"<html><body>404</body></html>", "but an HTML page", id="HTML"),
        pytest.param(b"\0\0\0\x20ftypisom" + b"\0" * 99, "but a video", id="MP4"),
        pytest.param(b"\0\0\1\xb3\x14\0\xf0\x13" + b"\xff" * 99, "but a video", id="MPEG, which Pillow identifies"),
        pytest.param(b"\x89HDF\r\n\x1a\n" + b"\0" * 50, "but an HDF5 file", id="HDF5, which Pillow identifies"),
        pytest.param(b"GRIB\0\0\0\1" + b"\0" * 50, "but a file of weather data", id="GRIB, which Pillow identifies"),
    ],
)
def test_a_file_that_is_no_picture_is_named_for_what_it_is(tmp_path: Path, data: bytes, said: str) -> None:
    Image.new("RGB", (3, 2)).save(tmp_path / "b.tga")  # Pillow asks for the formats in the order of their first use
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(UnreadableImage, match=said):
        decode(tmp_path / "a.jpg")


@pytest.mark.parametrize("brand", sorted(BRANDS))
def test_each_brand_that_is_opened_as_heif_is_found_as_a_picture(brand: bytes) -> None:
    assert kind_of(b"\0\0\0\x1cftyp" + brand + b"\0\0\0\0mif1miaf") is Kind.PICTURE
