"""Which class each label folder stands for."""

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from vithybrid_cli.errors import UsageError

NAMED_FOLDERS = 5  # that an error message lists


def match_labels(folders: Sequence[str], labels: Sequence[str]) -> dict[str, int]:
    """The class index that each folder name stands for.

    A folder is named by the whole label, or else by the class index in decimal digits, or else by the first name of the
    label, which is the part before its first comma. A label wins over an index, so that ``7`` finds the label "7" of a
    model of digits. A label that cannot be a folder name, such as one with a slash, is named by its index or its first
    name. Accents match however the file system composes them. Several folders may stand for one label.

    Raises UsageError if a folder stands for no label, or for several, as "crane" does for two of ImageNet.
    """
    find = _finder(labels)
    found = {folder: find(folder) for folder in folders}
    if unknown := [folder for folder, indices in found.items() if not indices]:
        raise _no_label(unknown)
    if ambiguous := {folder: indices for folder, indices in found.items() if len(indices) > 1}:
        raise _several_labels(ambiguous)
    return {folder: indices[0] for folder, indices in found.items()}


def _finder(labels: Sequence[str]) -> Callable[[str], Sequence[int]]:
    """A function from a folder name to the indices that it may stand for."""
    whole = _positions(labels)
    first = _positions(label.split(",")[0] for label in labels)
    numbers = {str(index): (index,) for index in range(len(labels))}

    def find(folder: str) -> Sequence[int]:
        name = _normal(folder)
        return whole.get(name) or numbers.get(name) or first.get(name) or ()

    return find


def _positions(names: Iterable[str]) -> Mapping[str, Sequence[int]]:
    """Where each name occurs."""
    positions: defaultdict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(names):
        positions[_normal(name)].append(index)
    return positions


def _normal(name: str) -> str:
    """One form for names that look the same: macOS decomposes the accents in folder names, labels seldom do."""
    return unicodedata.normalize("NFC", name).strip()


def _no_label(folders: Sequence[str]) -> UsageError:
    names = _enumeration([f'"{folder}"' for folder in folders])
    subject = "One folder is" if len(folders) == 1 else f"{len(folders)} folders are"
    return UsageError(
        f"{subject} not named after a label of the model: {names}.",
        "Name each folder by a label, by a label's first name, or by its index; `vithybrid info MODEL` lists them.",
    )


def _several_labels(folders: Mapping[str, Sequence[int]]) -> UsageError:
    names = _enumeration([f'"{folder}" ({_either(indices)})' for folder, indices in folders.items()])
    return UsageError(
        f"Some folder names stand for several labels of the model: {names}.", "Name these folders by the index."
    )


def _either(indices: Sequence[int]) -> str:
    return " or ".join(map(str, indices))


def _enumeration(names: Sequence[str]) -> str:
    more = len(names) - NAMED_FOLDERS
    return ", ".join(names[:NAMED_FOLDERS]) + (f" and {more} more" if more > 0 else "")
