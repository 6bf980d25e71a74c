"""What belongs to a picture is found beside it, and goes along under a name that still says so."""

from pathlib import Path

import pytest

from vithybrid_cli.actions.sidecars import Sidecars


def found(folder: Path, picture: str, others: list[str], pictures: tuple[str, ...] = ()) -> dict[str, bool]:
    """The names of what belongs to the picture, and whether each is shared."""
    for name in (picture, *others, *pictures):
        (folder / name).write_text("x")
    paths = [str(folder / name) for name in (picture, *pictures)]
    return {Path(one.path).name: one.shared for one in Sidecars(paths).of(paths[0])}


@pytest.mark.parametrize(
    ("picture", "other"),
    [
        ("a.jpg", "a.jpg.xmp"),
        ("a.jpg", "a.xmp"),
        ("a.jpg", "a.XMP"),
        ("a.jpg", "a.jpg.json"),
        ("a.jpg", "a.json"),
        ("a.jpg", "a.jpg.supplemental-metadata.json"),
        ("a.jpg", "a.jpg.supplemental-me.json"),
        ("a(1).jpg", "a.jpg(1).json"),
        ("a(1).jpg", "a.jpg.supplemental-metadata(1).json"),
        ("IMG_1.HEIC", "IMG_1.MOV"),
        ("IMG_1.HEIC", "IMG_1.AAE"),
        ("IMG_1.HEIC", "IMG_1.mp4"),
        ("a.jpg", "a.thm"),
        ("a.jpg", "a.NEF"),
        ("a.b.jpg", "a.b.xmp"),
        ("a.jpg", "a.jpg.pp3"),
    ],
)
def test_what_belongs_to_a_picture_goes_along(tmp_path: Path, picture: str, other: str) -> None:
    assert found(tmp_path, picture, [other]) == {other: False}


@pytest.mark.parametrize(
    "other", ["ab.xmp", "a.jpg.txt", "a.txt", "A.xmp", "a.jpg.bak.xmp", "a.jpg.sup.xmp", "b.json", "a.jpg(1).json"]
)
def test_what_belongs_to_none_stays(tmp_path: Path, other: str) -> None:
    assert found(tmp_path, "a.jpg", [other]) == {}


def test_what_may_be_of_several_pictures_is_shared(tmp_path: Path) -> None:
    others = ["a.xmp", "a.jpg.xmp", "a.MOV"]
    assert found(tmp_path, "a.jpg", others, ("a.png",)) == {"a.MOV": True, "a.jpg.xmp": False, "a.xmp": True}


def test_a_picture_that_has_no_result_shares_as_well(tmp_path: Path) -> None:
    assert found(tmp_path, "a.jpg", ["a.xmp", "a.png"]) == {"a.xmp": True}


def test_a_picture_that_has_a_result_goes_its_own_way(tmp_path: Path) -> None:
    assert found(tmp_path, "a.jpg", ["a.xmp"], ("a.nef",)) == {"a.xmp": True}


def test_a_file_that_is_to_be_left_is_no_sidecar(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.json"):
        (tmp_path / name).write_text("x")
    picture = str(tmp_path / "a.jpg")
    assert Sidecars([picture], frozenset({str(tmp_path / "a.json")})).of(picture) == []


@pytest.mark.parametrize(
    ("picture", "other", "renamed"),
    [
        ("a.jpg", "a.jpg.xmp", "a (2).jpg.xmp"),
        ("a.jpg", "a.XMP", "a (2).XMP"),
        ("a(1).jpg", "a.jpg(1).json", "a(1) (2).jpg.json"),
    ],
)
def test_a_sidecar_keeps_its_name_or_is_renamed_with_its_picture(
    tmp_path: Path, picture: str, other: str, renamed: str
) -> None:
    for name in (picture, other):
        (tmp_path / name).write_text("x")
    (one,) = Sidecars([str(tmp_path / picture)]).of(str(tmp_path / picture))
    assert one.beside(f"cat/{picture}") == f"cat/{other}"
    assert one.beside(f"cat/{picture.replace('.jpg', ' (2).jpg')}") == f"cat/{renamed}"
