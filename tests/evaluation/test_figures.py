"""The numbers of an evaluation against cases that are counted by hand."""

import gc
import weakref

from vithybrid_cli.errors import ImageError, UnreadableImage
from vithybrid_cli.evaluation.figures import Confusion, Evaluation, LabelMetrics
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
    metrics = evaluated(
        (0, result(0, 1, 2, 3, 4)),
        (0, result(1, 0, 2, 3, 4)),
        (0, result(1, 2, 3, 4, 0)),
        (0, result(1, 2, 3, 4, 5, 0)),
    ).metrics()
    assert (metrics.pictures, metrics.top1, metrics.top5) == (4, 0.25, 0.75)


def test_recall_is_over_a_labels_pictures_and_precision_over_what_was_given_it() -> None:
    metrics = evaluated((0, result(0)), (0, result(0)), (0, result(1)), (1, result(0)), (2, result(1))).metrics()
    assert metrics.labels == (
        LabelMetrics(0, "ant", pictures=3, correct=2, correct_top5=2, predicted=3),
        LabelMetrics(1, "bee", pictures=1, correct=0, correct_top5=0, predicted=2),
        LabelMetrics(2, "cat", pictures=1, correct=0, correct_top5=0, predicted=0),
    )
    assert [label.recall for label in metrics.labels] == [2 / 3, 0.0, 0.0]
    assert [label.precision for label in metrics.labels] == [2 / 3, 0.0, None]


def test_a_label_that_was_given_but_has_no_pictures_is_listed_without_recall() -> None:
    (true, given) = evaluated((3, result(6))).metrics().labels
    assert (true.label, true.recall, true.precision) == ("dog", 0.0, None)
    assert (given.label, given.recall, given.precision) == ("gnu", None, 0.0)


def test_the_most_frequent_confusions_come_first_and_equal_ones_by_index() -> None:
    pairs = [(4, result(5)), (2, result(3)), (3, result(2)), (3, result(2)), (3, result(3))]
    assert evaluated(*pairs).metrics(confusions=2).confusions == (
        Confusion(3, "dog", 2, "cat", 2),
        Confusion(2, "cat", 3, "dog", 1),
    )


def test_unreadable_pictures_are_named_in_order_and_count_for_nothing_else() -> None:
    metrics = evaluated((0, broken("b.jpg")), (0, result(0)), (1, broken("a.jpg"))).metrics()
    assert [found.path for found in metrics.unreadable] == ["b.jpg", "a.jpg"]
    assert (metrics.pictures, metrics.top1, len(metrics.labels)) == (1, 1.0, 1)


def test_of_an_error_its_words_are_kept_and_not_the_picture_that_its_traceback_refers_to() -> None:
    class Pixels:
        """What a decoder has in hand when it fails."""

    pictures: list[weakref.ref[Pixels]] = []

    def decode() -> ImageResult:
        pixels = Pixels()
        pictures.append(weakref.ref(pixels))
        raise UnreadableImage("The file is cut off.")

    def decoded() -> ImageResult:
        try:
            return decode()
        except ImageError as error:
            return ImageResult("p", error=error)

    evaluation = evaluated(*((0, decoded()) for _ in range(3)))
    gc.collect()
    assert [picture() for picture in pictures] == [None] * 3
    assert [picture.message for picture in evaluation.metrics().unreadable] == ["The file is cut off."] * 3


def test_a_picture_without_predictions_is_wrong_but_confused_with_nothing() -> None:
    metrics = evaluated((0, result()), (0, result(0))).metrics()
    assert (metrics.top1, metrics.top5, metrics.confusions) == (0.5, 0.5, ())


def test_no_pictures_give_no_accuracy() -> None:
    metrics = evaluated().metrics()
    assert (metrics.pictures, metrics.top1, metrics.top5, metrics.labels) == (0, None, None, ())


def test_labels_of_the_same_name_are_counted_apart() -> None:
    evaluation = Evaluation(["crane", "crane"])
    evaluation.add(0, ImageResult("p", (Prediction(1, "crane", 0.9),)))
    metrics = evaluation.metrics()
    assert metrics.top1 == 0.0
    assert metrics.confusions == (Confusion(0, "crane", 1, "crane", 1),)


def test_the_record_of_metrics_is_made_of_plain_values() -> None:
    assert evaluated((0, result(0)), (0, result(1)), (0, result(1, 0)), (2, broken("x"))).metrics().record() == {
        "pictures": 3,
        "top1": 0.333333,
        "top5": 0.666667,
        "top1_interval": [0.061492, 0.79234],
        "top5_interval": [0.20766, 0.938508],
        "calibration": {
            "error": 0.233333,
            "scores": "softmax",
            "bins": [
                {
                    "low": round(number / 15, 6),
                    "high": round((number + 1) / 15, 6),
                    "pictures": 3 if number == 1 else 0,
                    "mean_score": 0.1 if number == 1 else None,
                    "accuracy": 0.333333 if number == 1 else None,
                }
                for number in range(15)
            ],
        },
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
                "recall_interval": [0.061492, 0.79234],
                "precision_interval": [0.206549, 1.0],
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
                "recall_interval": None,
                "precision_interval": [0.0, 0.65762],
            },
        ],
        "confusions": [{"true_index": 0, "true": "ant", "predicted_index": 1, "predicted": "bee", "count": 2}],
        "unreadable": [{"path": "x", "error": {"type": "UnreadableImage", "message": "the file is empty"}}],
    }
