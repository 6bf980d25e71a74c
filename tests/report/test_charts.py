"""The charts of an evaluation, read as the SVG that they are."""

from xml.etree import ElementTree

import pytest

from vithybrid_cli.evaluation.calibration import Bin, Calibration
from vithybrid_cli.evaluation.figures import LabelMetrics
from vithybrid_cli.evaluation.matrix import ConfusionMatrix
from vithybrid_cli.report.charts import (
    log_opacity,
    matrix_chart,
    matrix_legend,
    reliability_chart,
    share_bar,
    shortened,
)

HOSTILE = "</svg><script>alert(1)</script> \" ' &"


def matrix(counts: dict[tuple[int, int], int], labels: int = 3) -> ConfusionMatrix:
    rows = tuple(LabelMetrics(index, f"label {index}", 9, 5, 9, 9) for index in range(labels))
    return ConfusionMatrix(rows, counts, 0, 0)


def read(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def test_only_cells_with_pictures_are_elements_and_each_says_what_it_is() -> None:
    names = {0: "cat", 1: "dog", 2: HOSTILE}
    found = read(matrix_chart(matrix({(0, 0): 12, (0, 1): 1, (2, 1): 3}), names))
    cells = [element for element in found.iter() if element.get("role") == "gridcell"]
    assert {cell.get("data-cell"): cell.get("aria-label") for cell in cells} == {
        "0-0": "cat: 12 pictures right",
        "0-1": "cat taken for dog: 1 picture",
        "2-1": f"{HOSTILE} taken for dog: 3 pictures",
    }
    assert [rect.get("class") for cell in cells for rect in cell.findall("rect")] == ["hit", "miss", "miss"]
    assert [text.text for cell in cells for text in cell.findall("text")] == ["12", "1", "3"]
    assert [element.tag for element in found.iter() if element.tag == "script"] == []


def test_rows_and_columns_have_the_names_of_labels_in_the_order_of_the_matrix() -> None:
    found = read(matrix_chart(matrix({(0, 0): 1}), {0: "cat", 1: "dog", 2: "a label as long as no room is beside it"}))
    for role in ("rowheader", "columnheader"):
        heads = [element for element in found.iter() if element.get("role") == role]
        assert [head.text for head in heads] == ["cat", "dog", "a label as long as no…"]
        assert [head.findtext("title") for head in heads][2] == "a label as long as no room is beside it"


def test_a_matrix_of_many_labels_has_no_numbers_in_its_cells() -> None:
    found = read(matrix_chart(matrix({(0, 1): 3}, labels=40), dict.fromkeys(range(40), "label")))
    assert [element for element in found.iter() if element.get("class") == "number"] == []


def test_colours_go_with_the_logarithm() -> None:
    opacity = log_opacity(100)
    assert opacity(100) == 1
    assert opacity(10) == pytest.approx((opacity(1) + opacity(100)) / 2)
    assert log_opacity(1)(1) == opacity(1) > 0


def test_the_legend_names_even_steps_of_the_logarithm() -> None:
    texts = [text.text for text in read(matrix_legend(matrix({(0, 0): 10_000, (0, 1): 1}))).iter("text")]
    assert texts == ["right", "wrong", "1", "10", "100", "1,000", "10,000"]
    assert [text.text for text in read(matrix_legend(matrix({(0, 0): 1}))).iter("text")] == ["right", "wrong", "1"]


def test_a_bar_of_the_reliability_diagram_is_as_high_as_the_accuracy() -> None:
    bins = (Bin(0.4, 0.5, 4, 3, 1.8), Bin(0.5, 0.6, 0, 0, 0.0), Bin(0.9, 1.0, 8, 8, 7.6))
    found = read(reliability_chart(Calibration(bins=bins)))
    heights = [float(bar.get("height", 0)) for bar in found.iter("rect") if bar.get("class") == "bin"]
    assert heights == [0.75 * 300, 300]
    many = [float(bar.get("height", 0)) for bar in found.iter("rect") if bar.get("class") == "many"]
    assert many[0] / many[1] == pytest.approx(0.5)
    assert [title.text for group in found.iter("g") for title in group.findall("title")] == [
        "Scores 40% to 50%: 4 pictures, mean score 45.0%, accuracy 75.0%",
        "Scores 90% to 100%: 8 pictures, mean score 95.0%, accuracy 100.0%",
    ]


def test_a_bar_has_the_width_of_its_share_and_a_whisker_from_end_to_end_of_the_interval() -> None:
    found = read(share_bar(0.5, (0.25, 0.75)))
    assert [part.get("width") for part in found.iter("rect")] == ["100%", "50.00%"]
    assert [(line.get("x1"), line.get("x2")) for line in found.iter("line")] == [("25.00%", "75.00%")]
    assert share_bar(None, None) == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("tabby", "tabby"),
        ("tabby, tabby cat", "tabby, ta…"),
        ("虎斑猫虎斑猫", "虎斑猫虎…"),
        ("x" * 11, "x" * 9 + "…"),
    ],
)
def test_a_long_name_is_cut_at_its_end(text: str, shown: str) -> None:
    assert shortened(text, 10) == shown
