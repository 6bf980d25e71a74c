"""Tags are put into the text of a sidecar in which nothing is ours.

What is added is one ``rdf:Description`` at the end of ``rdf:RDF``, with the properties that the sidecar does not have
and the program's memory; where the sidecar has a property already, items at the end of it, since XMP allows each
property once.
"""

from dataclasses import dataclass

from vithybrid_cli.actions.xmp_memory import (
    NAMESPACE,
    PREFIX,
    PROPERTIES,
    Memory,
    Property,
    Tags,
    array_of,
    expected,
    find,
    kind_of,
    no_list,
    sorted_arrays,
    tag_of,
    values,
)
from vithybrid_cli.actions.xmp_spans import Edit, edited
from vithybrid_cli.actions.xmp_structure import RDF, Element, Sidecar


def with_tags(sidecar: Sidecar, tags: Tags, gone: list[str]) -> bytes:
    """The text, in which nothing is ours, with the tags but for those that are gone."""
    paths = {f"|{PROPERTIES[1].value(tags.roots, keyword.text)}": keyword for keyword in tags.keywords}
    keywords = tuple(keyword for path, keyword in paths.items() if not {path, keyword.text} & set(gone))
    memory = expected(Tags(keywords, tags.roots, tags.model, tags.version))
    layout = _Layout.of(sidecar)
    edits: list[Edit] = []
    made: list[tuple[Property, list[str]]] = []
    for one in PROPERTIES:
        here = values(sidecar, one.name)
        wanted = dict.fromkeys(one.value(tags.roots, keyword.text) for keyword in keywords)
        if not (new := [value for value in wanted if value not in here]):
            continue
        memory.arrays[one.memory] = new
        if (element := find(sidecar, one.name)) is None:
            made.append((one, new))
            memory.arrays.setdefault("Made", []).append(one.local)
        else:
            edit, opened = _more(sidecar, layout, one, element, new)
            edits.append(edit)
            memory.arrays.setdefault("Opened", []).extend(opened)
    if gone:
        memory.arrays["Gone"] = gone
    if not (edits or made or gone):
        return sidecar.content
    edits.append(_described(sidecar, layout, made, memory))
    return edited(sidecar.content, edits)


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a sidecar breaks its lines: ``newline`` is empty where it does not."""

    newline: bytes
    lead: bytes  # before a description
    unit: bytes  # by which each level is moved
    rdf: str  # the prefix of RDF, or one that has to be declared
    declares: bool

    @classmethod
    def of(cls, sidecar: Sidecar) -> "_Layout":
        rdf = sidecar.rdf
        prefix, declares = rdf.prefix or "rdf:", not rdf.prefix
        outer = sidecar.lead(rdf)
        lead = sidecar.lead(rdf.children[-1]) if rdf.children else outer + (b" " if _newline(outer) else b"")
        unit = _indent(lead).removeprefix(_indent(outer)) or b" "
        return cls(_newline(lead), lead, unit, prefix, declares)

    def before(self, level: int) -> bytes:
        """What stands before an element so many levels below a description."""
        return self.newline + _indent(self.lead) + self.unit * level if self.newline else b""


def _newline(space: bytes) -> bytes:
    return b"\r\n" if b"\r\n" in space else b"\n" if b"\n" in space else b"\r" if b"\r" in space else b""


def _indent(space: bytes) -> bytes:
    """The white space of the last line."""
    return space.rpartition(b"\n")[2].rpartition(b"\r")[2] if _newline(space) else b""


def _described(sidecar: Sidecar, layout: _Layout, made: list[tuple[Property, list[str]]], memory: Memory) -> Edit:
    """The description with our properties, at the end of RDF."""
    rdf = sidecar.rdf
    if rdf.is_empty_tag:
        tail = sidecar.content[_slash(sidecar.content, rdf) : rdf.inner].decode()
        memory.arrays.setdefault("Opened", []).append(f"RDF: {tail}")
    names = {PREFIX: NAMESPACE, **{one.prefix: one.name[0] for one, _ in made}}
    if layout.declares:
        names["rdf"] = RDF
    tag = f"{layout.rdf}Description".encode()
    parts = [layout.lead, b"<", tag, b" ", _about(sidecar, layout)]
    parts += [(layout.before(2) or b" ") + f'xmlns:{prefix}="{name}"'.encode() for prefix, name in names.items()]
    parts += [b">"]
    parts += [_array(layout, f"{one.prefix}:{one.local}", one.array, new) for one, new in made]
    parts += [_text(layout, tag_of(name), text) for name, text in memory.texts.items()]
    parts += [_array(layout, tag_of(name), kind_of(name), texts) for name, texts in sorted_arrays(memory)]
    whole = b"".join((*parts, layout.before(0), b"</", tag, b">"))
    if rdf.is_empty_tag:
        return _opened(sidecar.content, rdf, whole + sidecar.lead(rdf))
    place = rdf.children[-1].end if rdf.children else rdf.inner
    return Edit(place, place, whole)


def _about(sidecar: Sidecar, layout: _Layout) -> bytes:
    """What all descriptions say they are of: it has to be the same in each (part 1, section 7.4)."""
    for description in sidecar.descriptions():
        about = description.attribute(RDF, "about") or description.attribute("", "about")
        if about is not None:
            return f"{layout.rdf}about=".encode() + sidecar.raw(about)
    return f'{layout.rdf}about=""'.encode()


def _text(layout: _Layout, name: str, text: str) -> bytes:
    return layout.before(1) + f"<{name}>{_escaped(text)}</{name}>".encode()


def _array(layout: _Layout, name: str, kind: str, texts: list[str]) -> bytes:
    open_tag, rdf = f"<{name}>".encode(), layout.rdf
    return b"".join(
        (
            layout.before(1) + open_tag,
            _bag(layout.before(2), layout.before(3), f"{rdf}{kind}", f"{rdf}li", texts),
            layout.before(1) + f"</{name}>".encode(),
        )
    )


def _bag(before: bytes, deeper: bytes, tag: str, item: str, texts: list[str], declared: str = "") -> bytes:
    lines = b"".join(_item(deeper, item, text) for text in texts)
    return before + f"<{tag}{declared}>".encode() + lines + before + f"</{tag}>".encode()


def _item(before: bytes, tag: str, text: str) -> bytes:
    return before + f"<{tag}>{_escaped(text)}</{tag}>".encode()


def _more(sidecar: Sidecar, layout: _Layout, one: Property, element: Element, new: list[str]) -> tuple[Edit, list[str]]:
    """More values in a property that is there, and what is to be remembered of a tag that was empty."""
    content = sidecar.content
    array = array_of(element)
    own = sidecar.lead(element)
    step = layout.unit if _newline(own) else b""
    if array is not None:
        if len(element.children) > 1:
            raise no_list(one.local)
        tag = array.prefix + "li"
        if array.is_empty_tag:
            lead = sidecar.lead(array)
            lines = b"".join(_item(lead + (step if _newline(lead) else b""), tag, text) for text in new)
            tail = content[_slash(content, array) : array.inner].decode()
            return _opened(content, array, lines + lead), [f"{one.local} array: {tail}"]
        lead = sidecar.lead(array.children[-1]) if array.children else sidecar.lead(array) + step
        place = array.children[-1].end if array.children else array.inner
        return Edit(place, place, b"".join(_item(lead, tag, text) for text in new)), []
    if element.children or element.text.strip() or any(a.name[0] == RDF for a in element.attributes):
        raise no_list(one.local)
    rdf = layout.rdf
    declared = f' xmlns:{rdf[:-1]}="{RDF}"' if layout.declares else ""
    bag = _bag(own + step, own + step * 2, rdf + one.array, f"{rdf}li", new, declared)
    if element.is_empty_tag:
        tail = content[_slash(content, element) : element.inner].decode()
        return _opened(content, element, bag + own), [f"{one.local}: {tail}"]
    return Edit(element.inner, element.inner, bag), [f"{one.local} in"]


def _slash(content: bytes, element: Element) -> int:
    """Where the end of an empty tag begins, with the white space before it."""
    place = element.inner - 2
    while content[place - 1] in b" \t\r\n":
        place -= 1
    return place


def _opened(content: bytes, element: Element, inner: bytes) -> Edit:
    """An empty tag becomes two, with ``inner`` between them."""
    return Edit(_slash(content, element), element.inner, b">" + inner + f"</{element.tag}>".encode())


_ESCAPES: tuple[tuple[str, str], ...] = (
    ("&", "&amp;"),
    ("<", "&lt;"),
    (">", "&gt;"),
    ("\r", "&#13;"),
    ("\n", "&#10;"),
    ("\t", "&#9;"),
)


def _escaped(text: str) -> str:
    """``text`` between tags. Line breaks are written so that no reader makes others of them."""
    for plain, written in _ESCAPES:
        text = text.replace(plain, written)
    return text
