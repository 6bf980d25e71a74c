"""The numbers of an evaluation against cases that are counted by hand."""

import unicodedata

import pytest

from vithybrid_cli.errors import UnreadableImage, UsageError
from vithybrid_cli.evaluation.figures import Confusion, Evaluation, LabelScore, match_labels
from vithybrid_cli.results import ImageResult, Prediction

LABELS = ("ant", "bee", "cat", "dog", "eel", "fox", "gnu")


def result(*indices: int, path: str = "p") -> ImageResult:
    return ImageResult(path, tuple(Prediction(index, LABELS[index], 0.1) for index in indices))


def broken(path: str) -> ImageResult:
    return ImageResult(path, error=UnreadableImage("the file is empty"))


def evaluated(*pairs: tuple[int, ImageResult]) -> Evaluation:
    evaluation = Evaluation(LABELS)
    for true, found in pairs:
        evaluation.add(true, found)
    return evaluation


def test_accuracy_counts_the_first_label_and_the_first_five() -> None:
    report = evaluated(
        (0, result(0, 1, 2, 3, 4)),
        (0, result(1, 0, 2, 3, 4)),
        (0, result(1, 2, 3, 4, 0)),
        (0, result(1, 2, 3, 4, 5, 0)),
    ).report()
    assert (report.pictures, report.top1, report.top5) == (4, 0.25, 0.75)


def test_recall_is_over_a_labels_pictures_and_precision_over_what_was_given_it() -> None:
    report = evaluated((0, result(0)), (0, result(0)), (0, result(1)), (1, result(0)), (2, result(1))).report()
    assert report.labels == (
        LabelScore(0, "ant", pictures=3, correct=2, correct_top5=2, predicted=3),
        LabelScore(1, "bee", pictures=1, correct=0, correct_top5=0, predicted=2),
        LabelScore(2, "cat", pictures=1, correct=0, correct_top5=0, predicted=0),
    )
    assert [score.recall for score in report.labels] == [2 / 3, 0.0, 0.0]
    assert [score.precision for score in report.labels] == [2 / 3, 0.0, None]


def test_a_label_that_was_given_but_has_no_pictures_is_listed_without_recall() -> None:
    (true, given) = evaluated((3, result(6))).report().labels
    assert (true.label, true.recall, true.precision) == ("dog", 0.0, None)
    assert (given.label, given.recall, given.precision) == ("gnu", None, 0.0)


def test_the_most_frequent_confusions_come_first_and_equal_ones_by_index() -> None:
    pairs = [(4, result(5)), (2, result(3)), (3, result(2)), (3, result(2)), (3, result(3))]
    assert evaluated(*pairs).report(confusions=2).confusions == (
        Confusion(3, "dog", 2, "cat", 2),
        Confusion(2, "cat", 3, "dog", 1),
    )


def test_unreadable_pictures_are_named_in_order_and_count_for_nothing_else() -> None:
    report = evaluated((0, broken("b.jpg")), (0, result(0)), (1, broken("a.jpg"))).report()
    assert [found.path for found in report.unreadable] == ["b.jpg", "a.jpg"]
    assert (report.pictures, report.top1, len(report.labels)) == (1, 1.0, 1)


def test_a_picture_without_predictions_is_wrong_but_confused_with_nothing() -> None:
    report = evaluated((0, result()), (0, result(0))).report()
    assert (report.top1, report.top5, report.confusions) == (0.5, 0.5, ())


def test_no_pictures_give_no_accuracy() -> None:
    report = evaluated().report()
    assert (report.pictures, report.top1, report.top5, report.labels) == (0, None, None, ())


def test_labels_of_the_same_name_are_counted_apart() -> None:
    evaluation = Evaluation(["crane", "crane"])
    evaluation.add(0, ImageResult("p", (Prediction(1, "crane", 0.9),)))
    report = evaluation.report()
    assert report.top1 == 0.0
    assert report.confusions == (Confusion(0, "crane", 1, "crane", 1),)


def test_the_record_of_a_report_is_made_of_plain_values() -> None:
    assert evaluated((0, result(0)), (0, result(1)), (0, result(1, 0)), (2, broken("x"))).report().record() == {
        "pictures": 3,
        "top1": 0.333333,
        "top5": 0.666667,
        "labels": [
            {
                "index": 0,
                "label": "ant",
                "pictures": 3,
                "correct": 1,
                "correct_top5": 2,
                "predicted": 1,
                "recall": 0.333333,
                "precision": 1.0,
            },
            {
                "index": 1,
                "label": "bee",
                "pictures": 0,
                "correct": 0,
                "correct_top5": 0,
                "predicted": 2,
                "recall": None,
                "precision": 0.0,
            },
        ],
        "confusions": [{"true_index": 0, "true": "ant", "predicted_index": 1, "predicted": "bee", "count": 2}],
        "unreadable": [{"path": "x", "error": {"type": "UnreadableImage", "message": "the file is empty"}}],
    }


IMAGENET = ("tench, Tinca tinca", "crane", "crane", "maillot", "maillot, tank suit", "and/or", "Grünspecht", "7")


@pytest.mark.parametrize(
    ("folder", "index"),
    [
        pytest.param("tench, Tinca tinca", 0, id="whole-label"),
        pytest.param("tench", 0, id="first-name"),
        pytest.param("1", 1, id="index"),
        pytest.param("2", 2, id="index-of-a-repeated-label"),
        pytest.param("maillot", 3, id="whole-label-before-first-name"),
        pytest.param("maillot, tank suit", 4, id="label-that-begins-like-another"),
        pytest.param("5", 5, id="index-of-a-label-with-a-slash"),
        pytest.param(unicodedata.normalize("NFD", "Grünspecht"), 6, id="decomposed-accents"),
        pytest.param("7", 7, id="label-of-digits"),
    ],
)
def test_a_folder_is_named_by_label_index_or_first_name(folder: str, index: int) -> None:
    assert match_labels([folder], IMAGENET) == {folder: index}


def test_a_label_of_digits_wins_over_the_index() -> None:
    assert match_labels(["0", "1"], ["1", "0"]) == {"0": 1, "1": 0}


def test_several_folders_may_stand_for_one_label() -> None:
    assert match_labels(["tench", "0"], IMAGENET) == {"tench": 0, "0": 0}


@pytest.mark.parametrize("folder", ["kraken", "8", "-1", "01", "Tinca tinca", "TENCH", ""])
def test_a_folder_that_is_no_label_is_named_with_the_next_step(folder: str) -> None:
    with pytest.raises(
        UsageError, match=rf'^this folder is named after no label of the model: "{folder}"\. .*vithybrid info'
    ):
        match_labels(["tench", folder], IMAGENET)


def test_many_wrong_folders_are_counted_and_the_first_few_named() -> None:
    with pytest.raises(UsageError, match=r'^7 folders are .*: "a", "b", "c", "d", "e" and 2 more\. '):
        match_labels(list("abcdefg"), IMAGENET)


def test_a_folder_that_is_two_labels_is_named_with_their_indices() -> None:
    with pytest.raises(UsageError, match=r'several labels of the model: "crane" \(1 or 2\)\. .*index'):
        match_labels(["crane"], IMAGENET)


def test_a_first_name_that_two_labels_share_is_ambiguous() -> None:
    with pytest.raises(UsageError, match=r'"sail" \(0 or 1\)'):
        match_labels(["sail"], ["sail, canvas", "sail, voyage"])
