"""ExifTool and Exiv2, with which photo managers read sidecars, find the labels, and keep what we remember."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from sidecar_styles import CAPTURE_ONE, DARKTABLE, DIGIKAM_STYLE, EXIFTOOL, LIGHTROOM, STYLES

from vithybrid_cli.actions.xmp_edit import EMPTY, is_tagged, tagged, untagged
from vithybrid_cli.actions.xmp_memory import Keyword, Tags

TAGS = Tags((Keyword("dog", "dog", 1, 0.5), Keyword("one & <two>", "one & <two>", 2, 0.25)), ("auto",), "tiny", "1.0")
NEW = ["dog", "one & <two>"], ["auto|dog", "auto|one & <two>"], ["auto/dog", "auto/one & <two>"]
SIDECARS = {
    "new": (EMPTY, ([], [], [])),
    "darktable": (DARKTABLE, ([], [], [])),
    "digiKam": (DIGIKAM_STYLE, (["Lake", "cat"], ["Places|Lake"], ["Places/Lake", "cat"])),
    "Lightroom": (LIGHTROOM, (["Lake"], [], [])),
    "ExifTool": (EXIFTOOL, (["one & only"], [], [])),
    "Capture One": (CAPTURE_ONE, (["Lake"], ["Places|Lake"], [])),
    "CRLF": (STYLES["CRLF"], (["Lake"], [], [])),
    "an empty RDF": (STYLES["an empty RDF"], ([], [], [])),
    "an old about": (STYLES["an old about"], ([], [], [])),
}
each_sidecar = pytest.mark.parametrize(
    ("style", "before"), [pytest.param(*one, id=name) for name, one in SIDECARS.items()]
)
exiftool = pytest.mark.skipif(shutil.which("exiftool") is None, reason="ExifTool is not there")
exiv2 = pytest.mark.skipif(shutil.which("exiv2") is None, reason="Exiv2 is not there")

Lists = tuple[list[str], list[str], list[str]]


def run(*command: str | Path) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, encoding="utf-8", check=True)
    assert done.stderr == ""
    return done.stdout


def as_exiftool_reads(file: Path) -> Lists:
    """Without groups: what is found under these names wherever it is, as Immich asks for them."""
    names = "Subject", "HierarchicalSubject", "TagsList"
    told = json.loads(run("exiftool", "-j", *(f"-{name}" for name in names), file))[0]
    subject, paths, tags = ([found] if isinstance(found := told.get(name, []), str) else found for name in names)
    return subject, paths, tags


def as_exiv2_reads(file: Path) -> Lists:
    keys = "Xmp.dc.subject", "Xmp.lr.hierarchicalSubject", "Xmp.digiKam.TagsList"
    lines = [line.split(maxsplit=1) for line in run("exiv2", "-PXkv", file).splitlines()]
    told = {line[0]: line[1].split(", ") for line in lines if len(line) == 2}
    subject, paths, tags = (told.get(key, []) for key in keys)
    return subject, paths, tags


def put(folder: Path, content: bytes) -> Path:
    file = folder / "photo.jpg.xmp"
    file.write_bytes(content)
    return file


def both(before: Lists) -> Lists:
    subject, paths, tags = (was + new for was, new in zip(before, NEW, strict=True))
    return subject, paths, tags


@exiftool
@each_sidecar
def test_exiftool_reads_the_labels_after_what_was_there(style: bytes, before: Lists, tmp_path: Path) -> None:
    assert as_exiftool_reads(put(tmp_path, style)) == before
    assert as_exiftool_reads(put(tmp_path, tagged(style, TAGS))) == both(before)


@exiv2
@each_sidecar
def test_exiv2_reads_the_labels_after_what_was_there(style: bytes, before: Lists, tmp_path: Path) -> None:
    assert as_exiv2_reads(put(tmp_path, style)) == before
    assert as_exiv2_reads(put(tmp_path, tagged(style, TAGS))) == both(before)


@exiftool
@each_sidecar
def test_after_exiftool_has_rewritten_a_sidecar_ours_is_found(style: bytes, before: Lists, tmp_path: Path) -> None:
    file = put(tmp_path, tagged(style, TAGS))
    run("exiftool", "-m", "-overwrite_original", "-XMP-dc:Subject+=mine", file)  # -m: programs' own oddities
    rewritten = file.read_bytes()
    assert is_tagged(rewritten)
    assert tagged(rewritten, TAGS) == rewritten
    left = untagged(rewritten)
    assert b"http://vithybrid" not in left
    assert as_exiftool_reads(put(tmp_path, left)) == ([*before[0], "mine"], *before[1:])


@exiv2
@each_sidecar
def test_after_exiv2_has_rewritten_a_sidecar_ours_is_found(style: bytes, before: Lists, tmp_path: Path) -> None:
    file = put(tmp_path, tagged(style, TAGS))
    run("exiv2", "-Mset Xmp.xmp.Rating 4", "modify", file)
    rewritten = file.read_bytes()
    assert tagged(rewritten, TAGS) == rewritten
    left = untagged(rewritten)
    assert b"http://vithybrid" not in left
    assert as_exiv2_reads(put(tmp_path, left)) == before


@exiftool
def test_nothing_of_ours_passes_for_what_a_camera_says(tmp_path: Path) -> None:
    file = put(tmp_path, tagged(DARKTABLE, TAGS))
    told = json.loads(run("exiftool", "-j", "-Model", "-Version", "-Labels", "-Scores", "-VithybridModel", file))[0]
    assert told == {"SourceFile": str(file), "VithybridModel": "tiny"}


@exiftool
@exiv2
def test_a_sidecar_that_exiftool_or_exiv2_made_comes_back_to_the_byte(tmp_path: Path) -> None:
    from PIL import Image

    picture = tmp_path / "photo.jpg"
    Image.new("RGB", (8, 8)).save(picture)
    run("exiftool", "-overwrite_original", "-XMP-dc:Subject=Lake", "-XMP-xmp:Rating=3", picture)
    run("exiftool", "-o", tmp_path / "photo.jpg.xmp", "-tagsfromfile", picture, "-xmp:all")
    run("exiv2", "-eX", picture)
    for name in ("photo.jpg.xmp", "photo.xmp"):
        made = (tmp_path / name).read_bytes()
        new = tagged(made, TAGS)
        assert as_exiftool_reads(put(tmp_path, new)) == both((["Lake"], [], []))
        assert untagged(new) == made
