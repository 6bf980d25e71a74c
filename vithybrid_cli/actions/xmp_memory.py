"""What the program remembers in a sidecar of what it has written there, as properties of a namespace of its own.

All of them are plain texts and arrays of texts, since other programs rewrite sidecars: they keep such properties, and
each writes them in its own way. Their names begin with ``Vithybrid``, since there are readers that ask ExifTool for a
name in whatever namespace: a Model of ours would pass for that of the camera.

========================  =====  ==================================================================================
Model, Version            text   of the run that has found the labels
Labels, Classes, Scores   Seq    each label as the model has it, its class index (nothing for none), its score
Subject, …, TagsList      Bag    the values that were added to each of the three properties
Made                      Bag    which of these properties were not there before
Opened                    Bag    which tags were empty before, and how these ended, so that they become so again
Gone                      Bag    keywords and ``|paths`` that were written once, and that somebody has taken out
========================  =====  ==================================================================================
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from vithybrid_cli.actions.xmp_structure import RDF, Element, Name, Sidecar, UnusableSidecar

NAMESPACE, PREFIX = "http://vithybrid/ns/1.0/", "vithybrid"  # a name and no address: there is nothing to fetch

_BEGIN = "Vithybrid"
_ORDERED = "Labels", "Classes", "Scores"
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, section 2.2
_ARRAYS = ((RDF, "Bag"), (RDF, "Seq"), (RDF, "Alt"))


@dataclass(frozen=True, slots=True)
class Property:
    """One of the properties in which photo managers look for labels: an array of texts.

    ``separator`` stands between the names of a hierarchy; None where there is none.
    """

    name: Name
    prefix: str
    array: str
    separator: str | None

    @property
    def local(self) -> str:
        """Its name without its namespace."""
        return self.name[1]

    @property
    def memory(self) -> str:
        """The name of what is remembered of it."""
        return self.local[0].upper() + self.local[1:]

    def value(self, roots: tuple[str, ...], keyword: str) -> str:
        """How a keyword below ``roots`` is written in it."""
        return keyword if self.separator is None else self.separator.join((*roots, keyword))


# Namespaces and kinds of arrays as Adobe (Dublin Core, Lightroom) and digiKam have them; ExifTool lists all three.
PROPERTIES = (
    Property(("http://purl.org/dc/elements/1.1/", "subject"), "dc", "Bag", None),
    Property(("http://ns.adobe.com/lightroom/1.0/", "hierarchicalSubject"), "lr", "Bag", "|"),
    Property(("http://www.digikam.org/ns/1.0/", "TagsList"), "digiKam", "Seq", "/"),
)


@dataclass(frozen=True, slots=True)
class Keyword:
    """A keyword, and the label that it is of: as the model has it, its class index and score."""

    text: str
    label: str
    index: int | None
    score: float


@dataclass(frozen=True, slots=True)
class Tags:
    """What is to be in a sidecar: keywords, below ``roots`` where there are hierarchies, and how they were found."""

    keywords: tuple[Keyword, ...] = ()
    roots: tuple[str, ...] = ()
    model: str | None = None
    version: str | None = None


@dataclass(slots=True)
class Memory:
    """What a sidecar remembers, or is to remember: ``texts`` and ``arrays`` by the names of the properties."""

    texts: dict[str, str] = field(default_factory=dict)
    arrays: dict[str, list[str]] = field(default_factory=dict)

    def of(self, name: str) -> list[str]:
        """An array; an empty one where there is none."""
        return self.arrays.get(name, [])

    @property
    def is_empty(self) -> bool:
        """Whether nothing is remembered: there is nothing of ours."""
        return not (self.texts or self.arrays)


def remembered(sidecar: Sidecar) -> Memory:
    """The memory in a sidecar, in whatever way it is written."""
    memory = Memory()
    for description in sidecar.descriptions():
        for attribute in description.attributes:
            if attribute.name[0] == NAMESPACE:
                memory.texts[attribute.name[1].removeprefix(_BEGIN)] = attribute.value
        for element in description.children:
            if element.name[0] != NAMESPACE:
                continue
            name = element.name[1].removeprefix(_BEGIN)
            if (array := array_of(element)) is None:
                memory.texts[name] = element.text.strip()
            else:
                memory.arrays.setdefault(name, []).extend(item.text for item in items(array))
    return memory


def tag_of(name: str) -> str:
    """The tag of what is remembered under a name."""
    return f"{PREFIX}:{_BEGIN}{name}"


def kind_of(name: str) -> str:
    """The kind of array that is remembered under a name: what has an order has it for others, too."""
    return "Seq" if name in _ORDERED else "Bag"


def sorted_arrays(memory: Memory) -> Iterator[tuple[str, list[str]]]:
    """The arrays that hold anything, in the order in which they are written."""
    names = (*_ORDERED, *(one.memory for one in PROPERTIES), "Made", "Opened", "Gone")
    return ((name, memory.arrays[name]) for name in names if memory.of(name))


def expected(tags: Tags) -> Memory:
    """What is remembered of how the labels were found."""
    memory = Memory()
    if tags.model is not None:
        memory.texts["Model"] = clean(tags.model)
    if tags.version is not None:
        memory.texts["Version"] = clean(tags.version)
    memory.arrays["Labels"] = [clean(keyword.label) for keyword in tags.keywords]
    memory.arrays["Classes"] = ["" if keyword.index is None else str(keyword.index) for keyword in tags.keywords]
    memory.arrays["Scores"] = [f"{keyword.score + 0.0:.6f}" for keyword in tags.keywords]
    return memory


def find(sidecar: Sidecar, name: Name) -> Element | None:
    """The first property of this name. Raises UnusableSidecar where it is an attribute, which can be one text alone."""
    for description in sidecar.descriptions():
        if description.attribute(*name) is not None:
            raise no_list(name[1])
        for element in description.children:
            if element.name == name:
                return element
    return None


def array_of(element: Element) -> Element | None:
    """The array that is the value of a property."""
    return next((child for child in element.children if child.name in _ARRAYS), None)


def items(array: Element) -> Iterator[Element]:
    """The items of an array."""
    return (child for child in array.children if child.name == (RDF, "li"))


def values(sidecar: Sidecar, name: Name) -> list[str]:
    """All that a property lists, wherever it is written."""
    found = []
    for description in sidecar.descriptions():
        for element in description.children:
            if element.name == name and (array := array_of(element)) is not None:
                found += [item.text.strip() for item in items(array)]
    return found


def no_list(local: str) -> UnusableSidecar:
    """What to say where a property is another thing than an array."""
    return UnusableSidecar(
        f"Its {local} is no list, as XMP has it.", "Mend it with the program that wrote it, or move it away."
    )


def clean(text: str) -> str:
    """``text`` with the sign for "no character" in place of each that XML cannot hold."""
    return _NO_XML.sub("\ufffd", text)
