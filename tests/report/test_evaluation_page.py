"""What the page of an evaluation holds."""

import io
import json
import re
from typing import Any

from evaluations import HOSTILE, LOOK, evaluated, page_of

from vithybrid_cli.choices import Activation
from vithybrid_cli.evaluation.figures import Confusion, LabelMetrics, Metrics, Unreadable
from vithybrid_cli.evaluation.matrix import confusion_matrix
from vithybrid_cli.report.entries import About
from vithybrid_cli.report.evaluation import Evaluated, label_names, worth_a_thumbnail, write_evaluation


def data(page: str) -> Any:
    (block,) = re.findall(r'<script type="application/json" id="evaluation">(.*?)</script>', page)
    return json.loads(block)


def test_the_page_has_each_picture_once_and_numbers_where_it_belongs() -> None:
    found = data(page_of(("cat", "dog"), (0, 1, 0.9), (0, 0, 0.8), (1, 1, 0.7), (0, 1, 0.6)))
    assert [picture["path"] for picture in found["pictures"]] == ["0.jpg", "3.jpg", "2.jpg", "1.jpg"]
    assert (found["mistakes"], found["hits"]) == ([0, 1], [2, 3])
    assert found["cells"] == {
        "0-0": {"count": 1, "pictures": [3]},
        "1-1": {"count": 1, "pictures": [2]},
        "0-1": {"count": 2, "pictures": [0, 1]},
    }


def test_thumbnails_are_in_the_page_and_a_picture_without_one_is_there_by_its_name() -> None:
    page = page_of(("cat", "dog"), (0, 1, 0.9), (1, 0, 0.8), looks={"0.jpg": LOOK})
    assert re.findall(r'id="thumbnail-(\d+)">(data:image/png;base64,)', page) == [("0", "data:image/png;base64,")]
    assert [picture["thumbnail"] for picture in data(page)["pictures"]] == [[2, 1], None]


def test_the_page_says_accuracy_interval_and_calibration_error() -> None:
    page = page_of(("cat", "dog"), (0, 0, 0.9), (0, 1, 0.9), (1, 1, 0.9))
    assert '<p class="large-number">66.7%</p>' in page
    assert "95% interval: 20.8 – 93.9" in page
    assert '<p class="large-number">23.3%</p>' in page
    assert "Scores are 90.0% on average, and 66.7% of the labels are right" in page


def test_raw_outputs_have_no_diagram_and_the_page_says_why() -> None:
    page = page_of(("cat", "dog"), (0, 0, 17.5), (1, 0, -3.0), activation=Activation.NONE)
    assert "raw outputs, not probabilities" in page
    assert 'class="reliability"' not in page
    assert data(page)["isProbability"] is False


def test_of_sigmoid_it_is_said_what_counts_as_wrong() -> None:
    page = page_of(("cat", "dog"), (0, 0, 0.9), activation=Activation.SIGMOID)
    assert "The model scores each label by itself" in page


def test_without_pictures_there_is_a_page_that_says_so() -> None:
    page = page_of(("cat", "dog"))
    assert "no pictures" in page
    assert 'id="matrix"' not in page


def test_labels_of_one_name_have_their_index_with_it() -> None:
    rows = tuple(LabelMetrics(index, name, 1, 1, 1, 1) for index, name in ((3, "crane"), (5, "crane"), (7, "a\u2028b")))
    assert label_names(rows) == {3: "crane (3)", 5: "crane (5)", 7: r"a\u2028b"}


def test_names_are_text_and_never_markup() -> None:
    page = page_of((HOSTILE, "dog"), (0, 1, 0.9), (0, 0, 0.8), paths=HOSTILE)
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert data(page)["pictures"][0]["path"] == f"{HOSTILE}0.jpg"


def test_unreadable_pictures_are_named_up_to_a_number_and_the_rest_counted() -> None:
    broken = tuple(Unreadable(f"{number}.jpg", "UnreadableImage", "It is <b>empty</b>.") for number in range(205))
    stream = io.StringIO()
    one = evaluated(("cat", "dog"), (0, 0, 0.9))
    metrics = Metrics(one.metrics.labels, (), broken, one.metrics.calibration)
    write_evaluation(stream, Evaluated(metrics, one.matrix, one.examples, {}), About("Evaluation"))
    page = stream.getvalue()
    assert page.count("It is &lt;b&gt;empty&lt;/b&gt;.") == 200
    assert "5 more are in JSON and CSV." in page
    assert "205 more could not be read" in page


def test_what_a_matrix_of_many_labels_leaves_out_is_said() -> None:
    rows = tuple(LabelMetrics(index, f"label {index}", 10, 5, 9, 10) for index in range(1000))
    pairs = tuple(Confusion(i, f"label {i}", i + 1, f"label {i + 1}", 5) for i in range(0, 1000, 2))
    metrics, one = Metrics(rows, pairs, ()), evaluated(("cat", "dog"))
    stream = io.StringIO()
    write_evaluation(stream, Evaluated(metrics, confusion_matrix(metrics), one.examples, {}), About("Evaluation"))
    assert (
        "the 40 labels of the most frequent confusions, with 100 of 2,500 mistakes; 960 other labels are left out"
        in (stream.getvalue())
    )
    assert stream.getvalue().count('role="gridcell"') == 60


def test_thumbnails_are_made_of_mistakes_before_hits() -> None:
    one = evaluated(("cat", "dog"), (0, 1, 0.9), (0, 0, 0.3), (1, 1, 0.7), (0, 1, 0.6))
    assert worth_a_thumbnail(one.matrix, one.examples) == ("0.jpg", "3.jpg", "1.jpg", "2.jpg")


def test_after_those_of_all_each_pair_has_a_picture_before_one_has_a_second() -> None:
    pictures = [(0, 1, 0.9)] * 30 + [(1, 0, 0.1)] * 2 + [(0, 0, 0.99)] * 30 + [(1, 1, 0.999)]
    one = evaluated(("cat", "dog"), *pictures)
    after = worth_a_thumbnail(one.matrix, one.examples)[24 + 24 :]
    assert after == ("30.jpg", "62.jpg", "31.jpg")
