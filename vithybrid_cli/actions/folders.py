"""Which folder stands for each label: a name of its own on every file system, that `evaluate` and `train` understand.

It is the whole label, as ``tabby, tabby cat``. The class index follows in brackets where the label alone would not do:
where several classes share it, as ImageNet's two are called ``crane (134)`` and ``crane (517)``; where another label
differs in nothing but case; and where it has to be altered to be a name at all.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import cache

from vithybrid_cli.actions.names import UNNAMED, is_unaltered, safe_name, same_on_some_disk
from vithybrid_cli.checkpoints.layouts.imagenet import class_list
from vithybrid_cli.results import Answer

UNSURE = "unsure"  # also the label that a rule puts in place of a guess
UNREADABLE = "unreadable"

Label = tuple[str, int | None]  # a label and its class index, if it is a class

_COUNTS_OF_CLASSES = (1000, 11_221, 11_821, 21_841, 21_843)  # of ImageNet's lists


def label_of(answer: Answer) -> Label:
    """What tells the labels of two pictures apart."""
    return answer.label, answer.index


def folder_names(labels: Iterable[Label]) -> dict[Label, str]:
    """The name of the folder of each label; they depend on the labels alone, and not on their order."""
    distinct = sorted(set(labels), key=lambda label: (label[0], -1 if label[1] is None else label[1]))
    names = {label: _plain(*label) for label in distinct}
    alike: defaultdict[str, list[Label]] = defaultdict(list)
    for label, name in names.items():
        alike[same_on_some_disk(name)].append(label)
    for shared in alike.values():
        if len(shared) > 1:
            names |= {label: _numbered(names[label], label[1]) for label in shared}
    return _all_different(names)


def _plain(label: str, index: int | None) -> str:
    if index is None and label == UNSURE:
        return UNSURE
    safe = safe_name(label)
    taken = same_on_some_disk(safe) in (UNSURE, UNREADABLE)
    if not safe or taken or not is_unaltered(label, safe) or (index is not None and _is_shared(label, index)):
        return _numbered(safe or UNNAMED, index)
    return safe


def _numbered(name: str, index: int | None) -> str:
    """The name with the index; of what is no class, with a word in its place where the name alone is taken."""
    if index is not None:
        return name if name.endswith(f" ({index})") else f"{name} ({index})"
    return f"{name} (label)" if same_on_some_disk(name) in (UNSURE, UNREADABLE) else name


def _all_different(names: Mapping[Label, str]) -> dict[Label, str]:
    """The names, with a number more where labels that are no classes are still alike."""
    taken: set[str] = {UNREADABLE}
    found: dict[Label, str] = {}
    for label, name in names.items():
        free, more = name, 1
        while same_on_some_disk(free) in taken:
            more += 1
            free = f"{name} ({more})" if label[1] is None else f"{name} {more}"
        taken.add(same_on_some_disk(free))
        found[label] = free
    return found


def _is_shared(label: str, index: int) -> bool:
    """Whether it is a class of one of ImageNet's lists in which another one has the same label."""
    for count in _COUNTS_OF_CLASSES:
        if index < count and _list(count)[index] == label and _counts(count)[label] > 1:
            return True
    return False


def _list(count: int) -> tuple[str, ...]:
    found = class_list(count)
    return () if found is None else found.labels


@cache
def _counts(count: int) -> Counter[str]:
    return Counter(_list(count))
