"""Writes what stands above ImageNet's classes in WordNet as a table: ``python scripts/wordnet.py OUTPUT [data.noun]``.

The source is WordNet 3.0's ``data.noun`` as Debian's package ``wordnet-base`` (1:3.0-37) has it. A WordNet id of
ImageNet is "n" and the place of its synset in that file (wnintro(5WN), wndb(5WN)). Each class is looked up there, and
its lemmas have to be those of ``imagenet-labels.tsv``.

A line is a synset that may stand for several classes: its id, its first lemma, and the ids of what lies directly below
it and is a class or has classes below it. Instances count as what they are of (the sun is a star). Synsets that would
help nobody as an answer are left out:

- WordNet's own list of the most general (the lexicographers' file ``noun.Tops``: entity, object, artifact, organism …),
  but for four of them that people say: animal, plant, person, food;
- some more that say hardly more than "thing": that itself, instrumentality, device, commodity, consumer goods, and
  three of the meanings of part.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

CLASSES = Path(__file__).parent.parent / "vithybrid_cli/checkpoints/layouts/imagenet-labels.tsv"
NOUNS = Path("/usr/share/wordnet/data.noun")
TOPS = "03"  # the number of noun.Tops in lexnames(5WN)
SAID = {"n00015388": "animal", "n00017222": "plant", "n00007846": "person", "n00021265": "food"}
TOO_GENERAL = {
    "n03575240": "instrumentality",
    "n03183080": "device",
    "n03076708": "commodity",
    "n03093574": "consumer goods",
    "n03892891": "part",
    "n09385911": "part",
    "n13809207": "part",
    "n04424218": "thing",
}
ABOVE = ("@", "@i")  # pointers to hypernyms, and to what something is an instance of


class Synset(NamedTuple):
    """What a line of ``data.noun`` says of one."""

    lexicographer: str
    lemmas: tuple[str, ...]
    above: tuple[str, ...]


def synsets(file: Path) -> dict[str, Synset]:
    """Every noun by its id. Raises ValueError where a line is not at the place that it names."""
    found = {}
    place = 0
    with file.open("rb") as stream:
        for line in stream:
            if not line.startswith(b" "):  # as the licence does
                number, synset = _parsed(line.decode("ascii"))
                if int(number) != place:
                    raise ValueError(f"synset {number} lies at {place}")
                found[f"n{number}"] = synset
            place += len(line)
    return found


def _parsed(line: str) -> tuple[str, Synset]:
    number, lexicographer, _, words, *rest = line.split("|")[0].split()
    count = int(words, 16)
    lemmas = tuple(word.replace("_", " ") for word in rest[: 2 * count : 2])
    pointers = rest[2 * count + 1 :]
    above = tuple(
        f"n{to}"
        for kind, to, part_of_speech in zip(pointers[::4], pointers[1::4], pointers[2::4], strict=True)
        if kind in ABOVE and part_of_speech == "n"
    )
    return number, Synset(lexicographer, lemmas, above)


def classes(nouns: Mapping[str, Synset]) -> Iterator[str]:
    """The id of each class. Raises ValueError where WordNet calls it otherwise."""
    _, *lines = CLASSES.read_text(encoding="utf-8").splitlines()
    for line in lines:
        wnid, label, _ = line.split("\t")
        if wnid not in nouns or ", ".join(nouns[wnid].lemmas) != label:
            raise ValueError(f"{wnid} is not {label} in WordNet")
        yield wnid


def below(nouns: Mapping[str, Synset]) -> dict[str, set[str]]:
    """For each synset that has classes below it what lies directly below it."""
    found: dict[str, set[str]] = {}
    waiting = list(classes(nouns))
    seen = set(waiting)
    while waiting:
        wnid = waiting.pop()
        for parent in nouns[wnid].above:
            found.setdefault(parent, set()).add(wnid)
            if parent not in seen:
                seen.add(parent)
                waiting.append(parent)
    return found


def is_said(wnid: str, synset: Synset) -> bool:
    """Whether a synset helps as an answer. Raises ValueError where an id is not what is thought here."""
    for thought in (SAID, TOO_GENERAL):
        if wnid in thought and synset.lemmas[0] != thought[wnid]:
            raise ValueError(f"{wnid} is {synset.lemmas[0]}, and not {thought[wnid]}")
    return wnid in SAID or (synset.lexicographer != TOPS and wnid not in TOO_GENERAL)


def main() -> None:
    """Write the table."""
    output = Path(sys.argv[1])
    nouns = synsets(Path(sys.argv[2]) if len(sys.argv) > 2 else NOUNS)
    lines = [
        f"{wnid}\t{nouns[wnid].lemmas[0]}\t{' '.join(child[1:] for child in sorted(children))}"
        for wnid, children in sorted(below(nouns).items())
        if is_said(wnid, nouns[wnid])
    ]
    output.write_text("\n".join(["wnid\tname\tbelow", *lines]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
