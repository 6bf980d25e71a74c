"""Which class a label folder stands for, and what is said of one that stands for none or for several."""

import unicodedata

import pytest

from vithybrid_cli.errors import UsageError
from vithybrid_cli.evaluation.labels import match_labels

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
        UsageError, match=rf'^One folder is not named after a label of the model: "{folder}"\. .*vithybrid info'
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
