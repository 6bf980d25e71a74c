"""The calibration error, by hand and against torchmetrics 1.9 (``multiclass_calibration_error``, 15 bins, l1)."""

import numpy as np
import pytest

from vithybrid_cli.choices import Activation
from vithybrid_cli.evaluation.calibration import BINS, EDGES, Calibration, Reliability, bin_of
from vithybrid_cli.evaluation.figures import Evaluation
from vithybrid_cli.results import ImageResult, best_predictions

LOGITS = (
    "3.3 -4.1 0.7 -0.9; -0.7 -0.3 -3.2 -0.4; -1.4 5.3 0.4 -0.6; -0.5 -1.1 -1.7 -0.6; 0.8 -0.4 1.5 -0.3; "
    "0.0 2.5 0.9 -0.8; -0.3 0.9 3.1 -0.4; -0.4 1.6 -1.4 -0.5; 1.4 0.9 0.1 1.1; -4.5 1.6 -1.5 -2.7; "
    "0.4 1.1 -0.7 -1.7; 0.0 -0.1 2.2 1.2; 0.3 1.8 -0.3 -1.5; 0.9 0.9 -0.3 -1.3; 0.4 -4.0 1.1 0.8; "
    "-2.6 0.1 -1.5 1.2; -3.3 -1.5 1.1 1.9; -3.5 -0.8 0.5 -1.0; 2.5 -1.9 0.6 -1.7; 2.2 -0.0 -0.6 -2.7; "
    "2.7 1.2 1.2 1.8; 0.6 -1.0 -1.3 -1.3; 2.2 -2.3 -1.0 -0.5; 0.4 0.9 -2.0 -2.8"
)
TRUE = (0, 1, 1, 3, 2, 1, 2, 1, 3, 1, 1, 1, 1, 0, 2, 3, 3, 2, 0, 0, 2, 0, 2, 1)


def counted(*scores: tuple[float, bool], activation: Activation = Activation.SOFTMAX) -> Calibration:
    reliability = Reliability(activation)
    for score, correct in scores:
        reliability.add(score, correct=correct)
    return reliability.calibration()


def test_the_error_is_that_of_torchmetrics() -> None:
    evaluation = Evaluation("abcd")
    for row, true in zip(LOGITS.split(";"), TRUE, strict=True):
        logits = np.array(row.split(), np.float32)
        evaluation.add(true, ImageResult("p", best_predictions(logits, "abcd")))
    assert evaluation.metrics().calibration.error == pytest.approx(0.1978956162929535, abs=1e-7)


def test_the_error_is_the_mean_distance_of_accuracy_and_score_over_bins_weighted_by_pictures() -> None:
    found = counted((0.9, True), (0.92, False), (0.5, True), (0.3, False))
    # The bin up to 0.933 has an accuracy of 0.5 and a mean score of 0.91, that up to 0.533 1 and 0.5, and that up to
    # 0.333 0 and 0.3.
    assert found.error == pytest.approx((2 * 0.41 + 0.5 + 0.3) / 4)
    assert [(one.pictures, one.correct) for one in found.bins if one.pictures] == [(1, 0), (1, 1), (2, 1)]
    assert [one.mean_score for one in found.bins if one.pictures] == pytest.approx([0.3, 0.5, 0.91])


@pytest.mark.parametrize(
    ("score", "place"), [(0.0, 0), (EDGES[1], 0), (EDGES[1] + 1e-9, 1), (EDGES[14], 13), (1.0, 14), (1.0 + 1e-12, 14)]
)
def test_a_bin_has_its_upper_edge_and_not_its_lower_one(score: float, place: int) -> None:
    assert bin_of(score) == place


def test_bins_cover_all_scores_with_equal_width() -> None:
    bins = counted().bins
    assert (len(bins), bins[0].low, bins[-1].high) == (BINS, 0.0, 1.0)
    assert all(one.high - one.low == pytest.approx(1 / 15) for one in bins)


def test_without_pictures_there_is_no_error() -> None:
    assert counted().error is None


def test_raw_outputs_have_no_error_and_it_is_said_why() -> None:
    record = counted((17.25, True), (-3.0, False), activation=Activation.NONE).record()
    assert (record["error"], record["scores"], record["bins"]) == (None, "none", [])
    assert "raw outputs" in record["why_not"]


def test_a_picture_without_a_prediction_is_in_no_bin() -> None:
    evaluation = Evaluation("ab")
    evaluation.add(0, ImageResult("p"))
    assert evaluation.metrics().calibration.error is None
