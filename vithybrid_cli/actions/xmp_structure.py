"""Where everything in an XMP sidecar stands: elements and attributes with their bytes, so that a text can be edited.

A parser that builds a tree and writes it again loses what it does not model: quotes, prefixes, comments, the packet's
wrapper. So expat says where elements begin and end, and nothing is ever written but what is put in between. Only what
XMP gives a meaning is kept: ``rdf:RDF``, its descriptions, their properties, the arrays and items in these (XMP
specification, part 1, section 7).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from vithybrid_cli.errors import VitHybridError

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
MOST_BYTES = 16 << 20  # sidecars with a long history of edits have a few megabytes

_META = ("adobe:ns:meta/", "xmpmeta"), ("adobe:ns:meta/", "xapmeta")  # what wraps RDF, now and formerly
_XML, _XMLNS = "http://www.w3.org/XML/1998/namespace", "http://www.w3.org/2000/xmlns/"
_DEPTH = 5  # RDF, description, property, array, item
_OTHER_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff", b"<\0", b"\0<")  # UTF-16 and UTF-32
_VALUE = rb"\s*=\s*(?:\"[^\"]*\"|'[^']*')"
_NAME = rb"[^\s=<>/\"']+"
_TAG = re.compile(rb"<" + _NAME + rb"(?:\s+" + _NAME + _VALUE + rb")*\s*(/?)>")
_ATTRIBUTE = re.compile(rb"\s+" + _NAME + _VALUE)
_SPACE = b" \t\r\n"

Name = tuple[str, str]  # namespace, local name


class UnusableSidecar(VitHybridError):
    """A file in a sidecar's place that cannot be edited without losing what is in it."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute; its bytes begin with the white space before it."""

    name: Name
    value: str
    start: int
    end: int


@dataclass(slots=True)
class Element:
    """One element: ``start`` to ``inner`` is its start tag, ``outer`` to ``end`` its end tag, which may be missing."""

    name: Name
    tag: str  # as it is written, with its prefix
    attributes: list[Attribute]
    start: int
    inner: int
    is_empty_tag: bool
    outer: int = 0
    end: int = 0
    text: str = ""
    children: list["Element"] = field(default_factory=list)
    has_more: bool = False  # elements below the depth that is kept

    @property
    def prefix(self) -> str:
        """``rdf:`` of ``rdf:Bag``, and nothing of ``Bag``."""
        return self.tag[: -len(self.name[1])]

    def attribute(self, *name: str) -> Attribute | None:
        """The attribute of this name."""
        return next((one for one in self.attributes if one.name == name), None)


@dataclass(frozen=True, slots=True)
class Sidecar:
    """The text of a sidecar and its ``rdf:RDF``."""

    content: bytes
    rdf: Element

    def descriptions(self) -> Iterator[Element]:
        """The elements that hold properties."""
        return (element for element in self.rdf.children if element.name == (RDF, "Description"))

    def lead(self, element: Element) -> bytes:
        """The white space before an element."""
        return self.space_before(element.start)

    def space_before(self, place: int) -> bytes:
        """The white space that ends at a place."""
        begin = place
        while begin and self.content[begin - 1] in _SPACE:
            begin -= 1
        return self.content[begin:place]

    def raw(self, attribute: Attribute) -> bytes:
        """An attribute's value as it is written, with its quotes."""
        return self.content[attribute.start : attribute.end].partition(b"=")[2].strip()


def read(content: bytes) -> Sidecar:
    """The structure of a sidecar. Raises UnusableSidecar for what is no XMP in UTF-8, or has a document type."""
    _require_text(content)
    reader = _Reader(content)
    try:
        reader.parse()
    except expat.ExpatError as error:
        raise UnusableSidecar(
            f"It is no well-formed XML: {expat.ErrorString(error.code)} in line {error.lineno:,}.", _ELSE
        ) from error
    if len(reader.found) != 1:
        cause = "It is no XMP: there is no rdf:RDF in it." if not reader.found else "It has several rdf:RDF."
        raise UnusableSidecar(cause, _ELSE)
    return Sidecar(content, reader.found[0])


_ELSE = "Mend it with the program that wrote it, or move it away."


def _require_text(content: bytes) -> None:
    if not content.strip(_SPACE + b"\0"):
        raise UnusableSidecar("It is empty.", "Remove it, or bring back what it held.")
    if len(content) > MOST_BYTES:
        size, most = len(content) >> 20, MOST_BYTES >> 20
        raise UnusableSidecar(f"It has {size:,} MB, and sidecars of more than {most} MB are not edited.", _ELSE)
    if content.startswith(_OTHER_MARKS):
        raise UnusableSidecar("It is in UTF-16 or UTF-32, and only UTF-8 is edited.", "Save it as UTF-8.")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnusableSidecar("It is no text in UTF-8.", "Save it as UTF-8.") from error


class _Reader:
    """Follows expat through one text. ``found`` are the ``rdf:RDF`` where XMP has one."""

    def __init__(self, content: bytes) -> None:
        self.found: list[Element] = []
        self._content = content
        self._depth = 0
        self._rdf_depth: int | None = None
        self._open: list[Element] = []
        self._scopes: list[tuple[int, dict[str, str]]] = [(0, {"xml": _XML, "xmlns": _XMLNS, "": ""})]
        self._wrapped = False
        self._parser = parser = expat.ParserCreate("UTF-8")  # whatever is declared, which `_declared` looks at
        parser.ordered_attributes = True
        parser.XmlDeclHandler = self._declared
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text

    def parse(self) -> None:
        """Raises ExpatError and UnusableSidecar."""
        self._parser.Parse(self._content, True)

    def _declared(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding is not None and encoding.upper() not in ("UTF-8", "UTF8"):
            raise UnusableSidecar(f"It says that it is in {encoding}, and only UTF-8 is edited.", "Save it as UTF-8.")

    def _doctype(self, name: str, system: str | None, public: str | None, internal: bool) -> None:
        raise UnusableSidecar("It has a document type, and may mean another text than is written there.", _ELSE)

    def _start(self, tag: str, attributes: list[str]) -> None:
        self._depth += 1
        if self._rdf_depth is not None and self._depth - self._rdf_depth >= _DEPTH:
            self._open[-1].has_more = True
            return
        element = self._element(tag, attributes)
        if self._open:
            self._open[-1].children.append(element)
            self._open.append(element)
        elif element.name == (RDF, "RDF") and self._depth <= 1 + self._wrapped:
            self.found.append(element)
            self._open.append(element)
            self._rdf_depth = self._depth
        elif self._depth == 1:
            self._wrapped = element.name in _META

    def _element(self, tag: str, attributes: list[str]) -> Element:
        start = self._parser.CurrentByteIndex
        name_end = start + 1 + len(tag.encode())
        if not attributes and self._content[name_end] == ord(">"):  # as most are
            return Element(self._name(tag), tag, [], start, name_end + 1, False)
        matched = _TAG.match(self._content, start)
        if matched is None:  # expat has found a tag there
            raise UnusableSidecar("It has a tag that cannot be read.", _ELSE)
        pairs = list(zip(attributes[::2], attributes[1::2], strict=True))
        declared = {name[6:]: value for name, value in pairs if name == "xmlns" or name.startswith("xmlns:")}
        if declared:
            self._scopes.append((self._depth, {**self._scopes[-1][1], **declared}))
        spans = [one.span() for one in _ATTRIBUTE.finditer(self._content, name_end, matched.end())]
        kept = [
            Attribute(self._name(name, attribute=True), value, *span)
            for (name, value), span in zip(pairs, spans, strict=True)
        ]
        return Element(self._name(tag), tag, kept, start, matched.end(), bool(matched[1]))

    def _name(self, written: str, *, attribute: bool = False) -> Name:
        prefix, colon, local = written.rpartition(":")
        if attribute and not colon:
            return ("", local) if local != "xmlns" else (_XMLNS, "")
        namespace = self._scopes[-1][1].get(prefix)
        if namespace is None or (colon and not namespace):
            raise UnusableSidecar(f"It uses the prefix {prefix} without a namespace.", _ELSE)
        return namespace, local

    def _end(self, tag: str) -> None:
        if self._rdf_depth is None or self._depth - self._rdf_depth < _DEPTH:
            if self._scopes[-1][0] == self._depth:
                self._scopes.pop()
            if self._open:
                self._close(self._open.pop())
        self._depth -= 1

    def _close(self, element: Element) -> None:
        if element.is_empty_tag:
            element.outer = element.end = element.inner
        else:
            element.outer = self._parser.CurrentByteIndex
            element.end = self._content.index(b">", element.outer) + 1
        if not self._open:
            self._rdf_depth = None

    def _text(self, text: str) -> None:
        if self._rdf_depth is not None and len(self._open) in (3, 5) and self._depth - self._rdf_depth < _DEPTH:
            self._open[-1].text += text
