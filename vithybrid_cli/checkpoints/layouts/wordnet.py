"""What stands above ImageNet's classes in WordNet 3.0, as far as it says something as an answer.

``wordnet-ancestors.tsv`` is made by ``scripts/wordnet.py`` from WordNet's own file, and says what is left out of it:
``object`` would help nobody. WordNet's licence, which asks to go with every copy, is ``wordnet-licence.txt``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_TABLE = Path(__file__).with_name("wordnet-ancestors.tsv")


@dataclass(frozen=True, slots=True)
class Ancestors:
    """Synsets by WordNet id (n02084071): the ``name`` of each that has something below it ("dog"), and what is above.

    Synsets may have several above them.
    """

    names: Mapping[str, str]
    above: Mapping[str, tuple[str, ...]]


@cache
def ancestors() -> Ancestors:
    """The table; reading it takes some hundredths of a second."""
    names: dict[str, str] = {}
    above: dict[str, tuple[str, ...]] = {}
    _, *lines = _TABLE.read_text(encoding="utf-8").splitlines()
    for line in lines:
        wnid, name, below = line.split("\t")
        names[wnid] = name
        for number in below.split(" "):
            child = f"n{number}"
            above[child] = (*above.get(child, ()), wnid)
    return Ancestors(names, above)
