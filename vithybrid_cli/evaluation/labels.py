"""Which class each label folder stands for."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from vithybrid_cli.errors import UsageError, listed
from vithybrid_cli.evaluation.wordnet import described, wordnet_finder, wordnet_id

_NUMBERED = re.compile(r"(.*) \((\d{1,9})\)", re.ASCII | re.DOTALL)
NAMED_FOLDERS = 5  # that an error message lists


def match_labels(folders: Sequence[str], labels: Sequence[str]) -> dict[str, int]:
    """The class index that each folder name stands for.

    A folder is named by the whole label, or else by the class index in decimal digits, or else by the first name of the
    label, which is the part before its first comma, or else by a WordNet id, alone or before a name. A label wins over
    an index, so that ``7`` finds the label "7" of a model of digits. A label that cannot be a folder name, such as one
    with a slash, is named by its index or its first name, or as `vithybrid sort` names it, by what can be written of it
    and the index in brackets: ``crane (134)``. Accents match however the file system composes them. Several folders may
    stand for one label, but not several WordNet ids. Labels that are WordNet ids are also named as ImageNet names
    these.

    Raises UsageError if a folder stands for no label, or for several, as "crane" does for two of ImageNet.
    """
    find = finder(labels)
    found = {folder: find(folder) for folder in folders}
    if unknown := [folder for folder, indices in found.items() if not indices]:
        raise _no_label(unknown)
    if ambiguous := {folder: indices for folder, indices in found.items() if len(indices) > 1}:
        raise _several_labels(ambiguous)
    matched = {folder: indices[0] for folder, indices in found.items()}
    _require_one_id_each(matched, labels)
    return matched


def finder(labels: Sequence[str]) -> Callable[[str], Sequence[int]]:
    """A function from a folder name to the indices that it may stand for."""
    whole = _positions(labels)
    first = _positions(label.split(",")[0] for label in labels)
    numbers = {str(index): (index,) for index in range(len(labels))}
    of_id = wordnet_finder(labels)
    called = [described(label) or "" for label in labels]  # where labels are ids
    called_whole, called_first = _positions(called), _positions(label.split(",")[0] for label in called)

    def find(folder: str) -> Sequence[int]:
        name = normal(folder)
        found = whole.get(name) or numbers.get(name) or first.get(name)
        if not found and (wnid := wordnet_id(name)):
            found = of_id(wnid)
        if not found and name:
            found = called_whole.get(name) or called_first.get(name)
        return found or _numbered(name, labels)

    return find


def _numbered(name: str, labels: Sequence[str]) -> Sequence[int]:
    """The index at the end of a name like ``crane (134)``, if the rest is that label as far as a folder can have it."""
    found = _NUMBERED.fullmatch(name)
    if found is None or int(found[2]) >= len(labels):
        return ()
    label, rest = _letters(labels[int(found[2])]), _letters(found[1])
    return (int(found[2]),) if (rest and label.startswith(rest)) or not label else ()


def _letters(name: str) -> str:
    """Letters and digits alone, without regard to case: other characters may be none that a folder's name can have."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFC", name).casefold()))


def _positions(names: Iterable[str]) -> Mapping[str, Sequence[int]]:
    """Where each name occurs."""
    positions: defaultdict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(names):
        positions[normal(name)].append(index)
    return positions


def normal(name: str) -> str:
    """One form for names that look the same: macOS decomposes the accents in folder names, labels seldom do."""
    return unicodedata.normalize("NFC", name).strip()


def _require_one_id_each(matched: Mapping[str, int], labels: Sequence[str]) -> None:
    """Raise UsageError where several WordNet ids stand for one label, which can be the name of one of them only."""
    ids: defaultdict[int, dict[str, str]] = defaultdict(dict)
    for folder, index in matched.items():
        if wnid := wordnet_id(folder):
            ids[index].setdefault(wnid, folder)
    for index, folders in ids.items():
        if len(folders) > 1:
            names = listed([_told(folder) for folder in folders.values()], NAMED_FOLDERS)
            raise UsageError(
                f'Several WordNet ids stand for one label of the model, "{labels[index]}": {names}.',
                "Name the folder that is meant by that label, and leave out the others.",
            )


def _no_label(folders: Sequence[str]) -> UsageError:
    names = listed([_told(folder) for folder in folders], NAMED_FOLDERS)
    subject = "One folder is" if len(folders) == 1 else f"{len(folders)} folders are"
    cause = f"{subject} not named after a label of the model: {names}."
    if all(described(folder) is not None for folder in folders):
        return UsageError(
            cause,
            "Leave out classes that the model does not know, or name each folder by a label, by a label's first name, "
            "or by its index; `vithybrid info MODEL` lists them.",
        )
    return UsageError(
        cause,
        "Name each folder by a label, by a label's first name, or by its index; `vithybrid info MODEL` lists them.",
    )


def _told(folder: str) -> str:
    """A folder's name, and what it means if it is a WordNet id."""
    meaning = described(folder)
    return f'"{folder}"' if meaning is None else f'"{folder}" ({meaning.split(",")[0]})'


def _several_labels(folders: Mapping[str, Sequence[int]]) -> UsageError:
    names = listed([f'"{folder}" ({_either(indices)})' for folder, indices in folders.items()], NAMED_FOLDERS)
    return UsageError(
        f"Some folder names stand for several labels of the model: {names}.", "Name these folders by the index."
    )


def _either(indices: Sequence[int]) -> str:
    return " or ".join(map(str, indices))
