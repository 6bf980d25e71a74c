"""What takes the place of a guess: the first ancestor whose labels reach a score together, or ``unsure``."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pytest
from fake_program import FakeEngine

from vithybrid_cli.checkpoints.layouts import wordnet
from vithybrid_cli.checkpoints.layouts.imagenet import class_list, imagenet_labels, labels_by_count
from vithybrid_cli.choices import Activation
from vithybrid_cli.errors import UsageError
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.pipeline.classifier import Classifier
from vithybrid_cli.pipeline.rollup import Tree, tree_of
from vithybrid_cli.results import Answer, ImageResult, Prediction

LABELS = imagenet_labels()
BREEDS = ("Siberian husky", "Eskimo dog, husky", "malamute, malemute, Alaskan malamute", "Norwegian elkhound, elkhound")


def classifier(labels: tuple[str, ...] = LABELS, activation: Activation = Activation.SOFTMAX) -> Classifier:
    return Classifier(FakeEngine(), Preprocessing.default((4, 4)), labels, activation=activation)


def logits(scores: Mapping[str, float], labels: tuple[str, ...] = LABELS) -> npt.NDArray[np.float32]:
    """A row of logits [C] of which softmax makes these scores; what is left is shared by the other labels."""
    rest = (1 - sum(scores.values())) / (len(labels) - len(scores))
    return np.log([scores.get(label, rest) for label in labels]).astype(np.float32)


def result(scores: Mapping[str, float], *, unsure: float | None = None, rollup: float | None = None) -> ImageResult:
    return classifier().result("a.jpg", logits(scores), unsure=unsure, rollup=rollup)


def answer(
    scores: Mapping[str, float], *, unsure: float | None = None, rollup: float | None = None
) -> tuple[str, float]:
    """The answer's label, and its score with three decimals."""
    found = result(scores, unsure=unsure, rollup=rollup).answer
    assert found is not None
    return found.label, round(found.score, 3)


FOUR_BREEDS = dict.fromkeys(BREEDS, 0.23)


# --rollup


def test_four_breeds_are_a_dog() -> None:
    found = result(FOUR_BREEDS, rollup=0.9)
    assert found.instead == Answer("dog", found.instead.score if found.instead else 0, None)
    assert answer(FOUR_BREEDS, rollup=0.9) == ("dog", 0.929)  # with the other breeds among the labels left
    assert [prediction.label for prediction in found.predictions[:4]] == sorted(BREEDS, key=LABELS.index)


def test_the_first_ancestor_that_reaches_the_score_is_the_answer() -> None:
    scores = {
        "Siberian husky": 0.3,
        "dalmatian, coach dog, carriage dog": 0.2,
        "tabby, tabby cat": 0.3,
        "tench, Tinca tinca": 0.15,
    }
    assert answer(scores, rollup=0.3) == ("Siberian husky", 0.3)
    assert answer(scores, rollup=0.45) == ("dog", 0.506)
    assert answer(scores, rollup=0.75) == ("domestic animal", 0.806)  # of cats and dogs
    assert answer(scores, rollup=0.95) == ("vertebrate", 0.967)


@pytest.mark.parametrize(
    ("least", "expected"),
    [
        (0.3, ("Siberian husky", 0.3)),
        (0.5, ("sled dog", 0.51)),
        (0.7, ("working dog", 0.771)),
        (0.9, ("dog", 0.915)),
        (0.95, ("canine", 0.965)),
        (0.99, ("Siberian husky", 0.3)),
    ],
)
def test_the_page_about_it_tells_what_it_does(least: float, expected: tuple[str, float]) -> None:
    scores = dict(zip(BREEDS, (0.3001, 0.26, 0.21, 0.14), strict=True))
    scores["timber wolf, grey wolf, gray wolf, Canis lupus"] = 0.05
    assert answer(scores, rollup=least) == expected


def test_a_label_that_reaches_the_score_stays_as_it_is() -> None:
    found = result({"Siberian husky": 0.91}, rollup=0.9)
    assert found.instead is None
    assert found.ruled
    assert found.answer == Answer("Siberian husky", found.predictions[0].score, 250)


def test_where_nothing_that_says_something_reaches_the_score_the_label_stays() -> None:
    scores = {"Siberian husky": 0.4, "minivan": 0.35, "pizza, pizza pie": 0.2}  # an entity, all of them
    assert result(scores, rollup=0.9).instead is None
    assert answer(scores, rollup=0.9) == ("Siberian husky", 0.4)


def test_a_label_without_ancestors_stays() -> None:
    assert answer({"remote control, remote": 0.4, "joystick": 0.35}, rollup=0.5) == ("remote control, remote", 0.4)


def test_labels_that_are_not_among_the_best_count_too() -> None:
    retrievers = [label for label in LABELS if "retriever" in label]
    scores = {**dict.fromkeys(retrievers, 0.15), "minivan": 0.1}
    found = classifier().result("a.jpg", logits(scores), top_k=1, rollup=0.7)
    assert len(found.predictions) == 1
    assert found.instead is not None
    assert found.instead.label == "retriever"


def test_a_threshold_hides_predictions_but_no_answer() -> None:
    found = classifier().result("a.jpg", logits(FOUR_BREEDS), threshold=0.5, rollup=0.9)
    assert (found.predictions, found.answer and found.answer.label) == ((), "dog")


@pytest.mark.parametrize(("unsure", "rollup"), [(0.3, None), (None, 0.3)])
def test_the_best_label_is_the_answer_where_it_is_sure_enough_and_a_threshold_hides_it(
    unsure: float | None, rollup: float | None
) -> None:
    scores = logits({"minivan": 0.4, "convertible": 0.3})
    shown = classifier().result("a.jpg", scores, unsure=unsure, rollup=rollup)
    found = classifier().result("a.jpg", scores, threshold=0.9, unsure=unsure, rollup=rollup)
    assert (found.predictions, found.answer) == ((), shown.answer)
    assert shown.answer is not None
    assert shown.answer.label == "minivan"


def test_of_several_ways_up_the_narrowest_counts() -> None:
    # A minivan is a van and a car, which are both motor vehicles.
    assert answer({"minivan": 0.4, "moving van": 0.35}, rollup=0.7)[0] == "van"
    assert answer({"minivan": 0.4, "convertible": 0.35}, rollup=0.7)[0] == "car"
    assert answer({"minivan": 0.4, "convertible": 0.3, "moving van": 0.25}, rollup=0.9)[0] == "motor vehicle"


def a_tree(monkeypatch: pytest.MonkeyPatch, above: Mapping[str, tuple[str, ...]], *classes: str) -> Tree:
    """The tree of these classes, in a world of synsets that have one letter each."""
    names = {synset: synset.upper() for synset in {*above, *(one for many in above.values() for one in many)}}
    monkeypatch.setattr("vithybrid_cli.pipeline.rollup.ancestors", lambda: wordnet.Ancestors(names, above))
    return Tree(classes)


def test_of_ancestors_with_the_same_labels_the_lowest_counts_whatever_way_is_shorter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # a is a p, which is a q, which is an r; and a is an r by a short way, too.
    tree = a_tree(monkeypatch, {"a": ("r", "p"), "p": ("q",), "q": ("r",), "b": ("p",)}, "a", "b")
    assert [ancestor.name for ancestor in tree.ancestors(0)] == ["P", "Q", "R"]


def test_of_ancestors_that_are_alike_in_all_the_lower_id_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    for order in (("p", "q"), ("q", "p")):
        tree = a_tree(monkeypatch, {"a": order, "b": order}, "a", "b")
        assert [ancestor.name for ancestor in tree.ancestors(0)] == ["P", "Q"]


def test_a_label_below_an_ancestor_on_two_ways_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = a_tree(monkeypatch, {"a": ("p", "q"), "b": ("p",), "p": ("r",), "q": ("r",), "c": ("r",)}, "a", "b", "c")
    (last,) = (ancestor for ancestor in tree.ancestors(0) if ancestor.name == "R")
    assert last.classes.tolist() == [0, 1, 2]
    assert tree.answer(np.array([0.25, 0.25, 0.5]), 0, 1.0) == Answer("R", 1.0, None)


def test_a_label_that_others_lie_below_may_be_the_answer_with_them() -> None:
    # ImageNet-21k has "dog" and its breeds.
    labels = labels_by_count(21_843)
    dog = "dog, domestic dog, Canis familiaris"
    row = logits({dog: 0.4, "Siberian husky": 0.3, "dalmatian, coach dog, carriage dog": 0.25}, labels)
    found = classifier(labels).result("a.jpg", row, rollup=0.9)
    assert found.predictions[0].label == dog
    assert found.instead is not None
    assert (found.instead.label, found.instead.index) == ("dog", None)


def test_scores_are_summed_over_all_labels_whatever_their_number() -> None:
    rng = np.random.default_rng(0)
    tree = tree_of(LABELS)
    for _ in range(20):
        scores = rng.dirichlet(np.full(len(LABELS), 0.05))
        best = int(scores.argmax())
        for least in (0.3, 0.6, 0.9):
            found = tree.answer(scores, best, least)
            sums = [(a.name, sum(scores[i] for i in a.classes)) for a in tree.ancestors(best)]
            expected = next(((name, total) for name, total in sums if total >= least), None)
            assert (found and found.label) == (expected and expected[0])
            if found and expected:
                assert found.score == pytest.approx(expected[1], abs=1e-12)


# --unsure


@pytest.mark.parametrize(
    ("least", "expected"),
    [
        pytest.param(0.0, ("tench, Tinca tinca", 0.5), id="each score reaches 0"),
        pytest.param(0.49, ("tench, Tinca tinca", 0.5), id="below the score"),
        pytest.param(0.51, ("unsure", 0.5), id="above the score"),
        pytest.param(1.0, ("unsure", 0.5), id="no score is 1"),
    ],
)
def test_a_score_below_the_one_asked_for_is_unsure(least: float, expected: tuple[str, float]) -> None:
    assert answer({"tench, Tinca tinca": 0.5}, unsure=least) == expected


def test_a_score_that_is_the_very_one_asked_for_is_sure() -> None:
    found = classifier(("a", "b")).result("a.jpg", np.zeros(2, np.float32), unsure=0.5)
    assert found.answer == Answer("a", 0.5, 0)


def test_predictions_stay_where_the_answer_is_unsure() -> None:
    row = np.log(np.array([0.3, 0.6, 0.1], np.float32))
    plain = classifier(("a", "b", "c")).result("a.jpg", row)
    found = classifier(("a", "b", "c")).result("a.jpg", row, unsure=0.9)
    assert found.predictions == plain.predictions
    assert found.instead == Answer("unsure", plain.predictions[0].score, None)
    assert found.instead.is_unsure


def test_a_class_that_is_called_unsure_is_told_from_a_guess() -> None:
    found = classifier(("unsure", "b")).result("a.jpg", np.array([3, 0], np.float32), unsure=0.5)
    assert found.answer is not None
    assert not found.answer.is_unsure


def test_a_sigmoid_may_be_unsure_too() -> None:
    found = classifier(("a", "b"), Activation.SIGMOID).result("a.jpg", np.array([0, -1], np.float32), unsure=0.6)
    assert found.instead == Answer("unsure", 0.5, None)


# Both


@pytest.mark.parametrize(
    ("scores", "unsure", "rollup", "expected"),
    [
        pytest.param(FOUR_BREEDS, 0.5, 0.9, ("dog", 0.929), id="an ancestor that is sure"),
        pytest.param(FOUR_BREEDS, 0.95, 0.9, ("unsure", 0.23), id="an ancestor that is not"),
        pytest.param({"minivan": 0.4, "pizza, pizza pie": 0.4}, 0.5, 0.9, ("unsure", 0.4), id="no ancestor"),
        pytest.param({"minivan": 0.6, "pizza, pizza pie": 0.3}, 0.5, 0.9, ("minivan", 0.6), id="a label that is sure"),
        pytest.param({"minivan": 0.6}, 0.8, 0.5, ("unsure", 0.6), id="a label that reaches one score alone"),
    ],
)
def test_an_ancestor_comes_first_and_unsure_is_what_is_left(
    scores: Mapping[str, float], unsure: float, rollup: float, expected: tuple[str, float]
) -> None:
    assert answer(scores, unsure=unsure, rollup=rollup) == expected


def test_without_a_rule_a_result_is_what_it_was() -> None:
    found = classifier().result("a.jpg", logits(FOUR_BREEDS), top_k=1)
    assert found == ImageResult("a.jpg", (Prediction(*_first(found)),))
    assert found.record().keys() == {"path", "predictions"}


def _first(found: ImageResult) -> tuple[int, str, float]:
    return found.predictions[0].index, found.predictions[0].label, found.predictions[0].score


# Which models


@pytest.mark.parametrize("count", [1000, 11_221, 11_821, 21_841, 21_842, 21_843])
def test_each_list_of_imagenet_has_its_ancestors(count: int) -> None:
    found = class_list(count)
    assert found is not None
    husky = found.wnids.index("n02110185")
    assert "dog" in [ancestor.name for ancestor in tree_of(found.labels).ancestors(husky)]


def test_labels_that_are_wordnet_ids_or_begin_with_them_have_ancestors() -> None:
    tree = tree_of(["n02110185", "n02085620-Chihuahua", "n03770679"])
    assert tree.ancestors(0)[0].name == "dog"
    assert tree.ancestors(2) == []


def test_labels_that_are_wholly_those_of_imagenet_have_ancestors_in_any_order() -> None:
    assert tree_of(["minivan", "Siberian_husky", "dalmatian, coach dog, carriage dog"]).ancestors(1)[0].name == "dog"


@pytest.mark.parametrize(
    ("labels", "cause"),
    [
        pytest.param(
            ("airplane", "automobile"),
            "The labels of the model are none of ImageNet's, so they have no place in WordNet: "
            '"airplane", "automobile".',
            id="CIFAR-10",
        ),
        pytest.param(
            ("minivan", "bakery of ours"),
            '1 of the 2 labels of the model is none of ImageNet\'s, so it has no place in WordNet: "bakery of ours".',
            id="one that is not",
        ),
        pytest.param(
            ("n02110185", "n99999999"),
            '1 of the 2 labels of the model is none of ImageNet\'s, so it has no place in WordNet: "n99999999".',
            id="an id that WordNet lacks",
        ),
        pytest.param(
            ("crane", "minivan"),
            '1 of the 2 labels of the model is none of ImageNet\'s, so it has no place in WordNet: "crane".',
            id="a name of two classes",
        ),
    ],
)
def test_a_model_with_other_labels_is_refused_before_the_first_picture(labels: tuple[str, ...], cause: str) -> None:
    with pytest.raises(UsageError) as raised:
        classifier(labels).classify([], rollup=0.5)
    assert raised.value.cause == cause


@pytest.mark.parametrize(
    ("rules", "activation", "says"),
    [
        pytest.param({"rollup": 0.5}, "sigmoid", "those of several do not add up", id="sigmoid"),
        pytest.param({"rollup": 0.5}, "none", "are the network's outputs themselves", id="outputs"),
        pytest.param({"unsure": 0.5}, "none", "are the network's outputs themselves", id="unsure of outputs"),
        pytest.param({"unsure": 1.1}, "auto", "The score 1.1 is no probability.", id="above 1"),
        pytest.param({"unsure": -0.1}, "sigmoid", "The score -0.1 is no probability.", id="below 0"),
        pytest.param({"rollup": float("nan")}, "auto", "The score nan is no probability.", id="no number"),
        pytest.param({"rollup": 75.0}, "auto", "The score 75.0 is no probability.", id="per cent"),
    ],
)
def test_scores_that_mean_nothing_are_refused_before_the_first_picture(
    rules: dict[str, float], activation: str, says: str
) -> None:
    with pytest.raises(UsageError) as raised:
        classifier().classify([], activation=activation, **rules)  # type: ignore[arg-type]
    assert says in raised.value.cause
