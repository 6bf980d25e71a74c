"""Names for what is made of pictures: every file system takes them, and each picture has its own."""

import os
from pathlib import Path

import pytest

from vithybrid_cli.explain.file_names import Names, stem_of


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("cat.jpg", "cat"),
        ("photos/2024/cat.final.jpeg", "cat.final"),
        ("./cat", "cat"),
        ("zip://inner/cat.jpg::photos.zip", "cat"),
        ("parquet://17::data/train.parquet", "train-17"),
        ("https://example.org/a/cat.jpg?size=1&x=y.png#top", "cat"),
        ("https://example.org/", "example"),
        ("data:image/png;base64,AAAA", "picture"),
        ('a<b>c:"d|e?f*g.png', "a_b_c_d_e_f_g"),
        ("a\\b.png", "b"),
        ("con.png", "_con"),
        ("LPT1.tar.png", "_LPT1.tar"),
        ("console.png", "console"),
        (".hidden.png", "hidden"),
        ("...", "picture"),
        ("trailing. .png", "trailing"),
        ("-rf.png", "_-rf"),
        ("a\nb\x1b[31m.png", "a_b_[31m"),
        ("evil\u202egnp.png", "evil_gnp"),
        (os.fsdecode(b"\xff\xfe.png"), "_"),
        ("e\u0301mu 鴯鶓.jpg", "\xe9mu 鴯鶓"),
        ("v1.2024", "v1"),
        ("archive.longsuffix", "archive.longsuffix"),
    ],
)
def test_a_name_becomes_one_that_any_file_system_takes(name: str, stem: str) -> None:
    assert stem_of(name) == stem


@pytest.mark.parametrize("letter", ["a", "鴯", "e\u0301"])
def test_a_long_name_is_cut_between_letters(tmp_path: Path, letter: str) -> None:
    stem = Names().of(f"{letter * 200}.png")
    assert len(stem.encode()) <= 120
    (tmp_path / f"{stem}.png").touch()


def test_no_two_pictures_have_one_name_on_any_file_system() -> None:
    names = Names(["sheet", "manifest"])
    given = [
        "a/cat.jpg",
        "b/cat.jpg",
        "b/CAT.png",
        "cat-2.jpg",
        "sheet.png",
        "Manifest.png",
        "ｃａｔ.png",
        "e\u0301.png",
        "\xe9.png",
    ]
    assert [names.of(name) for name in given] == [
        "cat",
        "cat-2",
        "CAT-3",
        "cat-2-2",
        "sheet-2",
        "Manifest-2",
        "ｃａｔ-4",
        "\xe9",
        "\xe9-2",
    ]
