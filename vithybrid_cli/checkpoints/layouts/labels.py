"""What a checkpoint's files call the classes of its head, in order, and as many as the head has. No torch.

The fields are those of transformers' ``PretrainedConfig``: ``id2label`` decides, and else ``num_labels``, two by
default. Beyond transformers a ``label2id`` alone names labels, too.
"""

import json
import logging
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from vithybrid_cli.checkpoints.layouts.fields import Fields, field_error, shown
from vithybrid_cli.checkpoints.layouts.imagenet import unnamed_labels
from vithybrid_cli.errors import ModelError
from vithybrid_cli.hub.files import CONFIG as _FILE

_PROBLEMS = ("regression", "single_label_classification", "multi_label_classification")
_DEFAULT = 2  # transformers' number of labels
_LISTED = 5  # class indices in an error message
_HEAD = re.compile(r"(?:.*\.)?(?:cls_classifier|classifier(?:\.1)?)\.weight")

_log = logging.getLogger(__name__)


def read_labels(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The labels of a ``config.json`` by class index; ``LABEL_0`` … where it names none.

    Raises ModelError when the indices are not 0 … n-1, or a label is no text, number or truth value.
    """
    fields = Fields(config, _FILE)
    if names := fields.mapping("id2label"):
        return labels_in_order(names.items(), "id2label", _FILE)
    if indices := fields.mapping("label2id"):
        return labels_in_order(((index, label) for label, index in indices.items()), "label2id", _FILE)
    return unnamed_labels(_DEFAULT if config.get("num_labels") is None else fields.integer("num_labels", _DEFAULT))


def read_problem_type(config: Mapping[str, Any]) -> str | None:
    """Transformers' ``problem_type``; None where the file has none. Raises ModelError for one that is not known."""
    if config.get("problem_type") is None:
        return None
    return str(Fields(config, _FILE).require("problem_type", _PROBLEMS, default=None))


def write_labels(labels: tuple[str, ...]) -> dict[str, Any]:
    """The fields of a ``config.json`` that name these labels; of labels that repeat, ``label2id`` has the last."""
    if not labels:
        return {}
    return {
        "id2label": {str(index): label for index, label in enumerate(labels)},
        "label2id": {label: index for index, label in enumerate(labels)},
    }


def head_classes(shapes: Mapping[str, tuple[int, ...]]) -> int | None:
    """How many classes the head has that is among a transformers file's tensors; None where there is none."""
    heads = sorted((name for name in shapes if _HEAD.fullmatch(name) and len(shapes[name]) == 2), key=len)
    return shapes[heads[0]][0] if heads else None


def fitted_labels(config: Mapping[str, Any], labels: tuple[str, ...], classes: int | None) -> tuple[str, ...]:
    """The ``labels`` that `read_labels` gave, for a head of so many ``classes``, None for a network without one.

    A file that neither names labels nor counts them has as many as the head, which is said. Raises ModelError where the
    file has another number than the head.
    """
    if classes is None or not labels or len(labels) == classes:
        return labels
    if config.get("id2label") or config.get("label2id"):
        raise wrong_count(f"names {counted(len(labels), 'label', 'labels')}", classes)
    if config.get("num_labels") is not None:
        raise wrong_count(f"gives num_labels {len(labels)}", classes)
    called = "class is called LABEL_0" if classes == 1 else f"classes are called LABEL_0 to LABEL_{classes - 1}"
    _log.info(f"{_FILE} names no labels, so the weights' {classes:,} {called}.")
    return unnamed_labels(classes)


def wrong_count(says: str, classes: int) -> ModelError:
    """The error for a file that ``says`` another number of labels than the head has classes."""
    return ModelError(
        f"{_FILE} {says}, but the weights' head has {classes:,}.",
        f"Use the {_FILE} that was saved with these weights, or correct its labels.",
    )


def counted(count: int, one: str, several: str) -> str:
    """``count`` of something in words: "1 label", "21,843 labels"."""
    return f"{count:,} {one if count == 1 else several}"


def labels_in_order(pairs: Iterable[tuple[Any, Any]], field: str, where: str) -> tuple[str, ...]:
    """The labels of (class index, label) in the order of their index; ``field`` of the file ``where`` has them.

    Raises ModelError as `read_labels` does.
    """
    by_index: dict[int, str] = {}
    for given, label in pairs:
        index = _index(given)
        if index is None:
            raise field_error(where, f"{field} has {shown(given)} where a class index should be")
        if index in by_index:
            both = f"{shown(by_index[index])} and {shown(label)}"
            raise field_error(where, f"{field} gives class {index} two labels, {both}")
        by_index[index] = _text(label, index, field, where)
    if problem := _not_counted_from_zero(by_index):
        raise field_error(where, f"{field} {problem}")
    return tuple(by_index[index] for index in range(len(by_index)))


def _text(label: Any, index: int, field: str, where: str) -> str:
    """A label as text: a number or truth value as JSON writes it. Raises ModelError for what names nothing."""
    if isinstance(label, str):
        return label
    if not isinstance(label, int | float):
        raise field_error(where, f"{field} has {shown(label)} where the label of class {index} should be")
    return json.dumps(label)


def _index(given: Any) -> int | None:
    """A class index: a number or its digits, as ``int`` reads them."""
    if isinstance(given, bool) or not isinstance(given, int | str):
        return None
    try:
        return int(given)
    except ValueError:
        return None


def _not_counted_from_zero(indices: Collection[int]) -> str:
    """What is wrong with class indices, if they are not 0 … n-1."""
    count, first, last = len(indices), min(indices), max(indices)
    if first < 0:
        return f"names class {first}, but classes are counted from 0"
    if first > 0 and last - first == count - 1:
        return f"counts its {counted(count, 'class', 'classes')} from {first}, but they are counted from 0"
    missing = [index for index in range(min(last, count + _LISTED)) if index not in indices]
    if not missing:
        return ""
    lacking = last + 1 - count
    more = f" and {lacking - _LISTED:,} more" if lacking > _LISTED else ""
    return f"names classes up to {last}, but not {', '.join(map(str, missing[:_LISTED]))}{more}"
