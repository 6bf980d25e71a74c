"""Labels become keywords that photo managers can hold."""

import pytest

from vithybrid_cli.actions.keywords import keywords, roots_of
from vithybrid_cli.errors import UnreadableImage
from vithybrid_cli.results import Answer, ImageResult, Prediction


def result(*labels: str, instead: Answer | None = None) -> ImageResult:
    """A picture with these labels, of which each has half the score of the one before."""
    found = tuple(Prediction(index, label, 0.5**index) for index, label in enumerate(labels))
    return ImageResult("a.jpg", found, instead=instead)


def texts(result: ImageResult, top_k: int = 9, min_score: float | None = None) -> list[str]:
    return [keyword.text for keyword in keywords(result, top_k, min_score)]


@pytest.mark.parametrize(
    ("label", "keyword"),
    [
        pytest.param("tabby, tabby cat", "tabby", id="the first name of ImageNet's"),
        pytest.param("Smith, John", "Smith, John", id="all of another label with a comma"),
        pytest.param("AC/DC|live", "AC-DC-live", id="without what separates levels"),
        pytest.param("  two \n words\t", "two words", id="in one line"),
        pytest.param("a\x00b\udcff", "a\ufffdb\ufffd", id="without what XML cannot hold"),
    ],
)
def test_a_label_becomes_one_keyword(label: str, keyword: str) -> None:
    assert texts(result(label)) == [keyword]


def test_a_label_without_any_sign_is_no_keyword() -> None:
    assert texts(result(" ", "b")) == ["b"]


def test_the_two_cranes_are_one_keyword_with_the_better_score() -> None:
    found = keywords(result("crane", "crane"), 2)
    assert [(one.text, one.index, one.score) for one in found] == [("crane", 0, 1.0)]


def test_as_many_labels_are_taken_as_asked_for_and_reach_the_score() -> None:
    assert texts(result("a", "b", "c"), 2) == ["a", "b"]
    assert texts(result("a", "b", "c"), 3, 0.5) == ["a", "b"]
    assert texts(result("a"), 1, 1.5) == []


def test_what_stands_in_place_of_a_guess_stands_alone() -> None:
    assert texts(result("a", "b", instead=Answer("dog, domestic dog", 0.9, None))) == ["dog"]
    assert texts(result("a", "b", instead=Answer("unsure", 0.1, None))) == []


def test_a_class_that_is_called_unsure_is_a_label() -> None:
    assert texts(result("unsure")) == ["unsure"]


def test_without_an_answer_there_is_no_keyword() -> None:
    assert texts(result()) == []
    assert texts(ImageResult("a.jpg", error=UnreadableImage("It is damaged.", "Copy it."))) == []


@pytest.mark.parametrize(
    ("prefix", "roots"),
    [("auto", ("auto",)), ("", ()), ("auto/vithybrid", ("auto", "vithybrid")), ("a|b", ("a", "b")), (" / ", ())],
)
def test_a_prefix_is_one_level_or_several(prefix: str, roots: tuple[str, ...]) -> None:
    assert roots_of(prefix) == roots
