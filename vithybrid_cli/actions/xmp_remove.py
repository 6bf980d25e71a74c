"""What the program has written in a sidecar is taken out of its text again.

Everything was written after an element's end and begins with its own white space: without that and without the element
the text is what it was. Where another program has rewritten the sidecar meanwhile, what is ours is found all the same.
"""

from collections.abc import Iterable

from vithybrid_cli.actions.xmp_memory import NAMESPACE, PROPERTIES, Memory, Property, array_of, items
from vithybrid_cli.actions.xmp_spans import Edit, edited
from vithybrid_cli.actions.xmp_structure import Element, Sidecar


def without(sidecar: Sidecar, was: Memory) -> bytes:
    if was.is_empty:
        return sidecar.content
    edits = [edit for one in PROPERTIES for edit in _without_values(sidecar, one, was)]
    for element in (sidecar.rdf, *sidecar.descriptions()):
        edits += [Edit(one.start, one.end) for one in element.attributes if _is_ours(one.name[0], one.value)]
        edits += [_out(sidecar, child) for child in element.children if child.name[0] == NAMESPACE]
    edits += [_out(sidecar, one) for one in sidecar.descriptions() if _is_all_ours(sidecar.content, one, edits)]
    left = edited(sidecar.content[sidecar.rdf.inner : sidecar.rdf.outer], _moved(edits, -sidecar.rdf.inner))
    if not left.strip() and (tail := _tail(was, "RDF")) is not None:
        edits.append(_closed(sidecar.rdf, tail))
    return edited(sidecar.content, edits)


def _is_ours(namespace: str, value: str) -> bool:
    return namespace == NAMESPACE or (namespace == "http://www.w3.org/2000/xmlns/" and value == NAMESPACE)


def _out(sidecar: Sidecar, element: Element) -> Edit:
    """An element with the white space before it."""
    return Edit(element.start - len(sidecar.lead(element)), element.end)


def _without_values(sidecar: Sidecar, one: Property, was: Memory) -> list[Edit]:
    """What takes the values that were written out of a property, and all of it if there is nothing else."""
    ours = list(was.of(one.memory))
    edits: list[Edit] = []
    for description in sidecar.descriptions():
        for element in description.children:
            if element.name != one.name or (array := array_of(element)) is None:
                continue
            taken = []
            for item in reversed(list(items(array))):  # ours came last
                if item.text.strip() in ours:
                    ours.remove(item.text.strip())
                    taken.append(_out(sidecar, item))
            if taken and _is_nothing_left(sidecar.content, array, taken):
                taken = [_emptied(sidecar, one, was, element, array)]
            edits += taken
    return edits


def _is_nothing_left(content: bytes, element: Element, edits: Iterable[Edit]) -> bool:
    inner = [edit for edit in edits if element.inner <= edit.start and edit.end <= element.outer]
    return not edited(content[element.inner : element.outer], _moved(inner, -element.inner)).strip()


def _emptied(sidecar: Sidecar, one: Property, was: Memory, element: Element, array: Element) -> Edit:
    """What is done with a property whose values were all ours."""
    if one.local in was.of("Made"):
        return _out(sidecar, element)
    if (tail := _tail(was, one.local)) is not None:
        return _closed(element, tail)
    if f"{one.local} in" in was.of("Opened"):
        return _out(sidecar, array)
    if (tail := _tail(was, f"{one.local} array")) is not None:
        return _closed(array, tail)
    first = next(items(array))
    return Edit(first.start - len(sidecar.lead(first)), list(items(array))[-1].end)


def _tail(was: Memory, what: str) -> bytes | None:
    """How an empty tag ended before it was opened."""
    for text in was.of("Opened"):
        place, _, tail = text.partition(": ")
        if place == what and tail.endswith("/>") and not tail[:-2].strip():
            return tail.encode()
    return None


def _closed(element: Element, tail: bytes) -> Edit:
    return Edit(element.inner - 1, element.end, tail)


def _is_all_ours(content: bytes, description: Element, edits: list[Edit]) -> bool:
    own = [one for one in description.attributes if _is_ours(one.name[0], one.value)]
    others = [
        one
        for one in description.attributes
        if one not in own and one.name[0] != "http://www.w3.org/2000/xmlns/" and one.name[1] != "about"
    ]
    within = any(description.inner <= edit.start and edit.end <= description.outer for edit in edits)
    return bool(own or within) and not others and _is_nothing_left(content, description, edits)


def _moved(edits: Iterable[Edit], by: int) -> list[Edit]:
    return [Edit(edit.start + by, edit.end + by, edit.new) for edit in edits if edit.start + by >= 0]
