"""A label is named by any of its names, its index or its WordNet id; what is meant is never guessed among several."""

import pytest

from vithybrid_cli.commands.guard import as_flag
from vithybrid_cli.errors import UsageError, options_spelt
from vithybrid_cli.explain.label_choice import label_index

LABELS = (
    "tench, Tinca tinca",
    "tabby, tabby cat",
    "tiger cat",
    "crane",
    "crane",
    "7",
    "Egyptian cat",
    "sports car, sport car",
)


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("tabby, tabby cat", 1),
        ("tabby", 1),
        ("Tabby", 1),
        ("tabby cat", 1),
        ("TIGER CAT", 2),
        ("tiger_cat", 2),
        ("4", 4),
        ("7", 5),  # which is a label, and wins over the index
        ("n02123045", 1),
        ("n02123045 tabby", 1),
        (" egyptian  cat ", 6),
    ],
)
def test_a_label_has_several_names(text: str, index: int) -> None:
    assert label_index(text, LABELS, "label") == index


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "crane",
            '"crane" is the name of 2 labels of the model: "crane" (3), "crane" (4). Give --label the index of the one '
            "that is meant.",
        ),
        (
            "taby",
            'The model has no label "taby"; the nearest are "tabby, tabby cat" (1). Give --label a label, its first '
            "name, or its index; `vithybrid info MODEL` lists them.",
        ),
        (
            "cat",
            'The model has no label "cat"; the nearest are "tabby, tabby cat" (1), "tiger cat" (2), "Egyptian cat" '
            "(6). Give --label a label, its first name, or its index; `vithybrid info MODEL` lists them.",
        ),
        (
            "xyzzy",
            'The model has no label "xyzzy". Give --label a label, its first name, or its index; `vithybrid info '
            "MODEL` lists them.",
        ),
        (
            "99",
            'The model has no label "99", whose indices go from 0 to 7. Give --label a label, its first name, or its '
            "index; `vithybrid info MODEL` lists them.",
        ),
        (
            "",
            'The model has no label "". Give --label a label, its first name, or its index; `vithybrid info MODEL` '
            "lists them.",
        ),
    ],
)
def test_what_is_no_label_or_several_is_told(text: str, message: str) -> None:
    with options_spelt(as_flag), pytest.raises(UsageError) as told:
        label_index(text, LABELS, "label")
    with options_spelt(as_flag):
        assert str(told.value) == message
