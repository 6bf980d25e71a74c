"""ImageNet's lists of classes: which one a number of classes stands for, and what its classes are called."""

import pytest

from vithybrid_cli.checkpoints.layouts.imagenet import class_list, imagenet_labels, labels_by_count, wordnet_labels


@pytest.mark.parametrize(
    ("count", "index", "wnid", "label"),
    [
        pytest.param(1000, 0, "n01440764", "tench, Tinca tinca", id="ImageNet-1k"),
        pytest.param(1000, 999, "n15075141", "toilet tissue, toilet paper, bathroom tissue", id="its last class"),
        pytest.param(11_221, 0, "n00005787", "benthos", id="21k-P"),
        pytest.param(11_821, 0, "n00005787", "benthos", id="12k"),
        pytest.param(21_841, 0, "n00004475", "organism, being", id="22k"),
        pytest.param(21_842, 0, "n01440764", "tench, Tinca tinca", id="22k that begins with 1k"),
        pytest.param(21_842, 1000, "n00004475", "organism, being", id="after its first thousand"),
        pytest.param(21_843, 9205, "n03931044", "picture, image, icon, ikon", id="21k of Google's"),
    ],
)
def test_the_number_of_classes_tells_which_list_of_imagenet_they_are(
    count: int, index: int, wnid: str, label: str
) -> None:
    found = class_list(count)
    assert found is not None
    assert (len(found.wnids), len(found.labels), len(set(found.wnids))) == (count, count, count)
    assert (found.wnids[index], found.labels[index]) == (wnid, label)


def test_every_list_names_a_wordnet_id_alike() -> None:
    named = wordnet_labels()
    for count in (1000, 11_221, 11_821, 21_841, 21_842, 21_843):
        found = class_list(count)
        assert found is not None
        assert found.labels == tuple(named[wnid] for wnid in found.wnids)


def test_a_number_of_classes_that_no_list_has_only_numbers_them() -> None:
    assert class_list(999) is None
    assert labels_by_count(2) == ("LABEL_0", "LABEL_1")


def test_imagenet_has_a_thousand_labels_of_which_two_are_alike() -> None:
    labels = imagenet_labels()
    assert sorted({label for label in labels if labels.count(label) > 1}) == ["crane"]
