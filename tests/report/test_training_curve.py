"""The curve of a training run: an SVG that stands alone, says the same in words, and holds for any numbers."""

import re
import xml.etree.ElementTree as ET

import pytest

from vithybrid_cli.evaluation.intervals import wilson
from vithybrid_cli.report.training_curve import Point, training_curve

SVG = "{http://www.w3.org/2000/svg}"


def points(count: int, *, held_out: bool = True) -> list[Point]:
    return [
        Point(number, 2.0 / number, 1 - 0.5 / number, wilson(round(100 - 50 / number), 100))
        if held_out
        else Point(number, 2.0 / number)
        for number in range(1, count + 1)
    ]


def drawn(text: str) -> ET.Element:
    return ET.fromstring(text)


def texts(root: ET.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def test_it_shows_accuracy_and_loss_of_each_epoch_and_which_is_kept() -> None:
    root = drawn(training_curve(points(4), 10, 3, "Training of mine"))
    assert len(root.findall(f"{SVG}polyline")) == 2
    assert len([one for one in root.iter(f"{SVG}circle") if one.get("class") == "dot"]) == 8
    shown = texts(root)
    assert shown[0] == "Training of mine"
    assert "held-out accuracy, with its 95 % interval" in shown
    assert "epoch 3 is kept" in shown
    titles = [element.text for element in root.iter(f"{SVG}title")]
    assert "epoch 2: 75.0%" in titles
    assert "epoch 2: 1.0000" in titles


def test_it_is_told_to_those_who_cannot_see_it() -> None:
    root = drawn(training_curve(points(4), 10, 4, "Training of mine"))
    assert root.get("role") == "img"
    assert root.findtext(f"{SVG}desc") == (
        "4 of 10 epochs. The loss goes from 2.000 to 0.500. The held-out accuracy goes from 50.0% to 87.5%. Epoch 4 is "
        "kept."
    )


def test_without_held_out_pictures_it_shows_the_loss_alone() -> None:
    root = drawn(training_curve(points(4, held_out=False), 4, 4, "Training"))
    assert len(root.findall(f"{SVG}polyline")) == 1
    assert not [text for text in texts(root) if "accuracy" in text]


@pytest.mark.parametrize(
    "some",
    [
        pytest.param([], id="no epoch yet"),
        pytest.param([Point(1, 0.7)], id="one epoch"),
        pytest.param([Point(1, 0.7, 1.0, wilson(9, 9)), Point(2, 0.7, 1.0, wilson(9, 9))], id="flat"),
        pytest.param([Point(1, 0.0, 0.0, wilson(0, 9)), Point(2, 0.0, 0.0, wilson(0, 9))], id="all wrong"),
        pytest.param([Point(1, 3e8), Point(2, 1e-9)], id="far apart"),
        pytest.param(points(2000), id="many epochs"),
    ],
)
def test_all_of_it_lies_within_the_picture(some: list[Point]) -> None:
    text = training_curve(some, max(len(some), 1), len(some) or None, "Training")
    root = drawn(text)
    height, width = (float(root.get(name) or 0) for name in ("height", "width"))
    for line in root.iter(f"{SVG}polyline"):
        for pair in (line.get("points") or "").split():
            x, y = map(float, pair.split(","))
            assert 0 <= x <= width
            assert 0 <= y <= height
    assert len(text) < 400_000


def test_a_title_is_escaped() -> None:
    root = drawn(training_curve(points(2), 2, 2, 'A <b> & "c" \u202e'))
    assert texts(root)[0] == 'A <b> & "c" \\u202e'


def test_it_needs_no_other_file_and_follows_light_and_dark() -> None:
    text = training_curve(points(3), 3, 3, "Training")
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"href|url\(|<script|@import|http(?!://www\.w3\.org/2000/svg)", text)
