"""Which class a label folder stands for, and what is said of one that stands for none or for several."""

import unicodedata
from collections.abc import Callable

import pytest

from vithybrid_cli.checkpoints.layouts.imagenet import class_list, labels_by_count
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


LISTS = {count: labels_by_count(count) for count in (1000, 11_221, 11_821, 21_841, 21_842, 21_843)}


@pytest.mark.parametrize("count", LISTS)
def test_a_folder_is_named_by_a_wordnet_id_where_labels_are_one_of_imagenets_lists(count: int) -> None:
    labels = LISTS[count]
    found = match_labels(["n02123045", "n03126707"], labels)
    assert [labels[index] for index in found.values()] == ["tabby, tabby cat", "crane"]
    assert class_list(count).wnids[found["n03126707"]] == "n03126707"  # type: ignore[union-attr]  # there is this list


@pytest.mark.parametrize(
    "spelt",
    [
        pytest.param(lambda label: label, id="all names"),
        pytest.param(lambda label: label.split(", ")[0], id="first name"),
        pytest.param(lambda label: label.split(", ")[-1], id="last name"),
        pytest.param(lambda label: label.split(", ")[0].replace(" ", "_").lower(), id="underscores"),
        pytest.param(lambda label: f"{label.split(', ')[0].title()} (a class)", id="in brackets"),
    ],
)
def test_imagenets_classes_are_known_by_any_of_their_names_and_their_order(spelt: Callable[[str], str]) -> None:
    labels = [spelt(label) for label in LISTS[1000]]
    wnids = class_list(1000).wnids  # type: ignore[union-attr]  # there is this list
    assert list(match_labels(wnids, labels).values()) == list(range(1000))


@pytest.mark.parametrize(
    ("folder", "index"),
    [
        pytest.param("n02123045", 0, id="id"),
        pytest.param("n02123045-tabby", 0, id="id before a name"),
        pytest.param("n02123045_tabby", 0, id="id before an underscore"),
        pytest.param("n01440764", 1, id="id of another spelling"),
        pytest.param("n03417042", 2, id="any name"),
        pytest.param("n02085620", 3, id="label that begins with the id"),
        pytest.param("Chihuahua", 3, id="name of a label that is an id"),
        pytest.param("n02085620-Chihuahua", 3, id="whole label"),
        pytest.param("4", 4, id="index"),
    ],
)
def test_ids_are_compared_by_name_with_labels_of_ones_own(folder: str, index: int) -> None:
    labels = ["tabby, tabby cat", "Tench", "dustcart", "n02085620-Chihuahua", "4"]
    assert match_labels([folder], labels) == {folder: index}


def test_folders_may_be_named_in_several_ways_at_once() -> None:
    found = match_labels(["tench", "n02123045", "3"], LISTS[1000])
    assert found == {"tench": 0, "n02123045": 281, "3": 3}


def test_labels_that_are_ids_are_also_named_by_what_imagenet_calls_them() -> None:
    labels = ["n01440764", "n02123045"]
    assert match_labels(["tench", "tabby, tabby cat", "n01440764"], labels) == {
        "tench": 0,
        "tabby, tabby cat": 1,
        "n01440764": 0,
    }


@pytest.mark.parametrize("folder", ["n99999999", "n0212304", "n021230455", "N02123045", "tabby-n02123045"])
def test_an_id_that_imagenet_has_not_is_named(folder: str) -> None:
    with pytest.raises(UsageError, match=rf'label of the model: "{folder}"\. Name each folder'):
        match_labels([folder], LISTS[1000])


def test_an_id_that_the_model_has_not_is_named_with_its_meaning() -> None:
    with pytest.raises(UsageError) as raised:
        match_labels(["n02124075", "n04399382"], ["LABEL_0", "cat"])
    assert str(raised.value) == (
        '2 folders are not named after a label of the model: "n02124075" (Egyptian cat), "n04399382" (teddy). '
        "Leave out classes that the model does not know, or name each folder by a label, by a label's first name, or "
        "by its index; `vithybrid info MODEL` lists them."
    )


def test_two_ids_are_not_the_same_label_of_ones_own() -> None:
    with pytest.raises(UsageError, match=r'Several .* label of the model, "crane": "n02012849" \(crane\), "n031'):
        match_labels(["n02012849", "n03126707"], ["crane", "dog"])


def test_an_id_whose_name_several_labels_have_is_ambiguous() -> None:
    with pytest.raises(UsageError, match=r'"n02012849" \(0 or 1\)'):
        match_labels(["n02012849"], ["crane", "Crane", "dog"])
