"""Which label of a model a user means, by its name, index or WordNet id."""

import difflib
from collections.abc import Callable, Iterable, Sequence

from vithybrid_cli.errors import UsageError, listed
from vithybrid_cli.evaluation.labels import finder

_NEAREST, _NAMED = 3, 6  # labels that a message names
_ALIKE = 0.6  # difflib's own measure for close matches


def label_index(text: str, labels: Sequence[str], option: str) -> int:
    """The index of the label that ``text`` names: as a folder does for `evaluate`, or else in other letters' case, or
    by another of its names.

    ``option`` is what the user gave it to. Raises UsageError for no label of the model, and for several.
    """
    found = finder(labels)(text) or _by_any_name(text, labels)
    if not found:
        raise UsageError(f'The model has no label "{text}"{_hint(text, labels)}.', _remedy(option))
    if len(found) > 1:
        raise UsageError(
            f'"{text}" is the name of {len(found)} labels of the model: {_listed(found, labels)}.',
            f"Give {{{option}}} the index of the one that is meant.",
        )
    return found[0]


def _remedy(option: str) -> str:
    return f"Give {{{option}}} a label, its first name, or its index; `vithybrid info MODEL` lists them."


def _by_any_name(text: str, labels: Sequence[str]) -> Sequence[int]:
    """Those of which it is the whole label, or else the first name, or else any name, whatever the letters' case."""
    wanted = _folded(text)
    of: tuple[Callable[[str], Iterable[str]], ...] = (
        lambda label: (label,),
        lambda label: label.split(",")[:1],
        lambda label: label.split(","),
    )
    for names in of:
        if found := [index for index, label in enumerate(labels) if wanted in map(_folded, names(label))]:
            return found
    return ()


def _folded(name: str) -> str:
    return " ".join(name.replace("_", " ").split()).casefold()


def _hint(text: str, labels: Sequence[str]) -> str:
    """What may have been meant, in words."""
    if text.strip().lstrip("+-").isdigit():
        return f", whose indices go from 0 to {len(labels) - 1}"
    wanted = _folded(text)
    scored = []
    for index, label in enumerate(labels):
        names = {_folded(name) for name in (label, *label.split(","))}
        ratio = max(difflib.SequenceMatcher(None, wanted, name).ratio() for name in names)
        within = len(wanted) > 2 and any(wanted in name.split() for name in names)
        if within or ratio >= _ALIKE:
            scored.append((-ratio, index))
    nearest = [index for _, index in sorted(scored)[:_NEAREST]]
    return f"; the nearest are {_listed(nearest, labels)}" if nearest else ""


def _listed(indices: Sequence[int], labels: Sequence[str]) -> str:
    return listed([f'"{labels[index]}" ({index})' for index in indices], _NAMED)
