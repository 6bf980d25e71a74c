"""Labels become names that every file system takes, and that what trains and evaluates understands."""

import itertools

import pytest

from vithybrid_cli.actions.folders import folder_names
from vithybrid_cli.actions.names import LONGEST, safe_name, same_on_some_disk
from vithybrid_cli.checkpoints.layouts.imagenet import labels_by_count
from vithybrid_cli.errors import UsageError
from vithybrid_cli.evaluation.labels import match_labels


@pytest.mark.parametrize(
    ("label", "name"),
    [
        pytest.param("tabby, tabby cat", "tabby, tabby cat", id="what is fine stays"),
        pytest.param("AC/DC", "AC_DC", id="slash"),
        pytest.param('a\\b:c*d?e"f<g>h|i', "a_b_c_d_e_f_g_h_i", id="what Windows refuses"),
        pytest.param("a\nb\0c\x7fd\x85e", "a_b_c_d_e", id="control characters"),
        pytest.param("\u202egpj.exe", "_gpj.exe", id="marks of direction"),
        pytest.param("\udcff", "_", id="lone surrogate"),
        pytest.param("a\u200db", "a\u200db", id="joiners"),
        pytest.param("etc. ", "etc", id="dots and blanks at the end"),
        pytest.param("  cat", "cat", id="blanks at the beginning"),
        pytest.param(".hidden", "_hidden", id="hidden"),
        pytest.param("..", "", id="parent folder"),
        pytest.param(". .", "", id="dots and blanks"),
        pytest.param("", "", id="empty"),
        pytest.param("CON", "_CON", id="device"),
        pytest.param("com1.txt", "_com1.txt", id="device with suffix"),
        pytest.param("LPT².a.b", "_LPT².a.b", id="device with raised digit"),
        pytest.param("nul .txt", "_nul .txt", id="device with blank"),
        pytest.param("console", "console", id="no device"),
        pytest.param("e\u0301", "\u00e9", id="decomposed accent"),
    ],
)
def test_a_name_is_one_on_every_file_system(label: str, name: str) -> None:
    assert safe_name(label) == name
    assert safe_name(name) == name


@pytest.mark.parametrize("label", ["x" * 300, "ü" * 150, "🐈" * 80, "a" * 198 + ". b", "é" * 120 + ".jpeg"])
def test_a_name_that_is_too_long_is_cut_between_characters_and_keeps_a_suffix(label: str) -> None:
    name = safe_name(label)
    assert LONGEST - 4 <= len(name.encode()) <= LONGEST
    assert not name.endswith((".", " "))
    assert name.endswith(".jpeg") == label.endswith(".jpeg")


def test_names_that_some_disk_takes_for_one_are_told() -> None:
    assert len({same_on_some_disk(name) for name in ("Crane", "crane", "CRANE")}) == 1
    assert same_on_some_disk("\u00c9") == same_on_some_disk("e\u0301")
    assert same_on_some_disk("a") != same_on_some_disk("b")


def test_labels_that_would_share_a_folder_have_their_index_with_them() -> None:
    labels = [("Cat", 1), ("cat", 2), ("a/b", 3), ("a:b", 4), ("dog", 5), ("same", 6), ("same", 7)]
    assert list(folder_names(labels).values()) == [
        "Cat (1)", "a_b (3)", "a_b (4)", "cat (2)", "dog", "same (6)", "same (7)",
    ]  # fmt: skip


def test_the_two_cranes_are_told_apart_though_only_one_of_them_is_there() -> None:
    assert folder_names([("crane", 134)]) == {("crane", 134): "crane (134)"}
    assert folder_names([("crane", 5)]) == {("crane", 5): "crane"}


def test_folders_depend_on_the_labels_and_not_on_their_order() -> None:
    labels = [("b", 1), ("B", None), ("b", None), ("b (1)", 7), ("", 2), ("unsure", 3), ("unsure", None)]
    names = folder_names(labels)
    assert all(folder_names(order) == names for order in itertools.permutations(labels))
    assert len({same_on_some_disk(name) for name in names.values()}) == len(labels)


def test_a_label_called_like_a_folder_of_ours_has_another_one() -> None:
    assert folder_names([("unsure", None)]) == {("unsure", None): "unsure"}
    labels = [("unsure", 3), ("Unsure", None), ("unreadable", 4), ("Unreadable", None)]
    names = folder_names(labels)
    assert names["unsure", 3] == "unsure (3)"
    assert names["unreadable", 4] == "unreadable (4)"
    assert not {same_on_some_disk(name) for name in names.values()} & {"unsure", "unreadable"}


@pytest.mark.parametrize("count", [1000, 21_843])
def test_what_is_sorted_by_the_labels_of_imagenet_can_be_evaluated(count: int) -> None:
    labels = labels_by_count(count)
    names = folder_names((label, index) for index, label in enumerate(labels))
    assert len({same_on_some_disk(name) for name in names.values()}) == count
    folders = [names[label, index] for index, label in enumerate(labels)]
    assert list(match_labels(folders, labels).values()) == list(range(count))


def test_what_is_sorted_by_odd_labels_can_be_evaluated() -> None:
    labels = [
        "a/b",
        "a:b",
        "",
        "..",
        "CON",
        "Cat",
        "cat",
        "e\u0301",
        "7",
        "x" * 300,
        "cat (2)",
        "unsure",
        "dog. ",
        "same",
        "same",
    ]
    names = folder_names((label, index) for index, label in enumerate(labels))
    folders = [names[label, index] for index, label in enumerate(labels)]
    assert list(match_labels(folders, labels).values()) == list(range(len(labels)))


def test_a_number_in_brackets_alone_names_no_label() -> None:
    with pytest.raises(UsageError, match="not named after a label"):
        match_labels(["holiday (1)"], ["cat", "dog"])
