"""A picture that is cut off at its end is an error, or read as far as it goes by those who want that."""

import struct
import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageFile

from vithybrid_cli.errors import UnreadableImage
from vithybrid_cli.images.decode import decode
from vithybrid_cli.settings import Decoding

PARTLY = Decoding(allow_truncated=True)


def rows(size: tuple[int, int] = (64, 96)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(3).integers(60, 250, (size[1], size[0], 3), np.uint8))


def shortened(path: Path, part: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    return path


IN_PART: dict[str, dict[str, Any]] = {
    "a.jpg": {"quality": 90},
    "a.png": {},
    "a.gif": {},
    "a.bmp": {},
    "a.tif": {},
    "a.ppm": {},
    "a.tga": {},
    "a.pcx": {},
    "a.ico": {"sizes": [(64, 64)]},
    "a.mpo": {"quality": 90},
}


@pytest.mark.parametrize("name", IN_PART)
def test_what_is_there_is_read_and_the_rest_is_not_made_up(tmp_path: Path, name: str) -> None:
    rows().save(tmp_path / name, **IN_PART[name])
    whole = np.asarray(decode(tmp_path / name))
    shortened(tmp_path / name, 0.6)
    found = np.asarray(decode(tmp_path / name, PARTLY))
    assert found.shape == whole.shape
    same = (found == whole).all((1, 2))
    assert 0.3 * len(same) < same.sum() < 0.9 * len(same)
    empty = [len(np.unique(row, axis=0)) == 1 for row in found]
    assert 0.1 * len(same) < sum(empty) <= len(same) - same.sum()


def test_a_progressive_jpeg_is_blurred_below(tmp_path: Path) -> None:
    Image.radial_gradient("L").convert("RGB").save(tmp_path / "a.jpg", progressive=True, quality=95)
    whole = np.asarray(decode(tmp_path / "a.jpg"), np.int16)
    found = np.asarray(decode(shortened(tmp_path / "a.jpg", 0.7), PARTLY), np.int16)
    assert 0 < np.abs(whole - found).mean() < 8


@pytest.mark.parametrize("name", IN_PART)
def test_without_the_setting_it_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    rows().save(tmp_path / name, **IN_PART[name])
    with pytest.raises(UnreadableImage, match=r"cut off .*allow_truncated=True"):
        decode(shortened(tmp_path / name, 0.6))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param("a.webp", {}, id="WebP"),
        pytest.param("a.avif", {}, id="AVIF"),
        pytest.param("a.jp2", {}, id="JPEG 2000"),
        pytest.param("a.qoi", {}, id="QOI"),
    ],
)
def test_a_format_that_is_not_decoded_in_part_is_an_error_that_does_not_name_it(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    rows().save(tmp_path / name, **options)
    shortened(tmp_path / name, 0.6)
    for how in (Decoding(), PARTLY):
        with pytest.raises(UnreadableImage) as caught:
            decode(tmp_path / name, how)
        assert "allow_truncated" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.avif", "a.tif", "a.heic", "a.icns", "a.jpg", "a.png"])
@pytest.mark.parametrize("part", [0.002, 0.01, 0.1, 0.5])
def test_what_begins_like_a_picture_is_said_to_be_cut_off(tmp_path: Path, name: str, part: float) -> None:
    if name == "a.heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    rows((200, 150)).save(tmp_path / name)
    with pytest.raises(UnreadableImage, match=r"^The picture is damaged or cut off.* Copy or download it again"):
        decode(shortened(tmp_path / name, part))


@pytest.mark.parametrize(("bits", "compression"), [(64, 1), (8, 34661)])
def test_a_tiff_of_another_variant_is_not_said_to_be_cut_off(tmp_path: Path, bits: int, compression: int) -> None:
    fields = {256: 10, 257: 10, 258: bits, 259: compression, 262: 1, 273: 200, 277: 1, 279: 100}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in fields.items())
    header = struct.pack("<4sIH", b"II*\0", 8, len(fields))
    (tmp_path / "a.tif").write_bytes(header + entries + bytes(900))
    with pytest.raises(UnreadableImage, match=r"^This variant of its format is not read"):
        decode(tmp_path / "a.tif")


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.gif", "a.bmp", "a.tif"])
def test_no_part_of_a_header_becomes_a_picture(tmp_path: Path, name: str) -> None:
    rows((640, 960)).save(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    for length in range(1, 60):
        (tmp_path / name).write_bytes(data[:length])
        with pytest.raises(UnreadableImage):
            decode(tmp_path / name, PARTLY)


@pytest.mark.parametrize("more", range(4))
@pytest.mark.parametrize(("name", "marker"), [("a.jpg", b"\xff\xda"), ("a.png", b"IDAT")])
def test_a_picture_without_a_pixel_is_an_error(tmp_path: Path, name: str, marker: bytes, more: int) -> None:
    rows().save(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: data.index(marker) + 14 + more])
    with pytest.raises(UnreadableImage, match="cut off before anything can be seen"):
        decode(tmp_path / name, PARTLY)


def test_a_picture_that_is_damaged_within_is_an_error_all_the_same(tmp_path: Path) -> None:
    rows().save(tmp_path / "a.png")
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 20] = b"\xff" * 20
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(UnreadableImage, match="damaged"):
        decode(tmp_path / "a.png", PARTLY)


def test_whole_pictures_do_not_change(tmp_path: Path) -> None:
    rows().save(tmp_path / "a.jpg")
    assert decode(tmp_path / "a.jpg", PARTLY) == decode(tmp_path / "a.jpg")


def test_whoever_reads_it_is_told_its_size_once(tmp_path: Path) -> None:
    rows().save(tmp_path / "a.png")
    told: list[tuple[int, int]] = []
    decode(shortened(tmp_path / "a.png", 0.6), PARTLY, before_loading=lambda image: told.append(image.size))
    assert told == [(64, 96)]


def test_runs_that_allow_it_and_runs_that_do_not_do_not_disturb_each_other(tmp_path: Path) -> None:
    rows().save(tmp_path / "a.jpg")
    shortened(tmp_path / "a.jpg", 0.6)
    found: dict[bool, list[bool]] = {True: [], False: []}

    def work(allowed: bool) -> None:
        for _ in range(50):
            try:
                decode(tmp_path / "a.jpg", Decoding(allow_truncated=allowed))
                found[allowed].append(True)
            except UnreadableImage:
                found[allowed].append(False)

    threads = [threading.Thread(target=work, args=(allowed,)) for allowed in (True, False, True, False)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {True: [True] * 100, False: [False] * 100}
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


@pytest.mark.parametrize("theirs", [True, False])
def test_pillows_own_switch_is_another_matter_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, theirs: bool
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", theirs)
    rows().save(tmp_path / "a.jpg")
    shortened(tmp_path / "a.jpg", 0.6)
    with pytest.raises(UnreadableImage):
        decode(tmp_path / "a.jpg")
    seen: list[bool] = []

    def look(image: Image.Image) -> None:
        other = threading.Thread(target=lambda: seen.append(bool(ImageFile.LOAD_TRUNCATED_IMAGES)))
        other.start()
        other.join()

    decode(tmp_path / "a.jpg", PARTLY, before_loading=look)
    assert (seen, ImageFile.LOAD_TRUNCATED_IMAGES) == ([theirs], theirs)


def test_what_is_cut_off_is_turned_and_drafted_as_others_are(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    rows((640, 960)).save(tmp_path / "a.jpg", exif=exif)
    found: npt.NDArray[np.uint8] = np.asarray(decode(shortened(tmp_path / "a.jpg", 0.6), PARTLY, draft_side=100))
    assert found.shape == (160, 240, 3)
    assert (found[:, 0] == 128).all()  # what was the last row: the grey of a JPEG that ends
