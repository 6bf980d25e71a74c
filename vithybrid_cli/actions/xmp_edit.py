"""Tags are put into the text of a sidecar and taken out again; every other byte of it stays as it is."""

from vithybrid_cli.actions.xmp_insert import with_tags
from vithybrid_cli.actions.xmp_memory import PROPERTIES, Memory, Tags, remembered, values
from vithybrid_cli.actions.xmp_remove import without
from vithybrid_cli.actions.xmp_structure import Sidecar, read

# A sidecar as XMP's part 3, section 2 has it: a document of its own, without the wrapper that is for other files.
EMPTY = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="vithybrid">\n'
    b' <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'
    b" </rdf:RDF>\n"
    b"</x:xmpmeta>\n"
)


def tagged(content: bytes, tags: Tags) -> bytes:
    """A sidecar with these tags, in place of those that an earlier run has put there.

    Keywords that others have written stay theirs, and are not written twice. A keyword that an earlier run wrote and
    that is not there any more was taken out by somebody: it is not written again. Raises UnusableSidecar.
    """
    sidecar = read(content)
    was = remembered(sidecar)
    if was.is_empty:
        return with_tags(sidecar, tags, [])
    new = with_tags(read(without(sidecar, was)), tags, _gone(sidecar, was))
    return content if new == content or _is_same(read(new), sidecar) else new


def untagged(content: bytes) -> bytes:
    """A sidecar without what earlier runs have put there. Raises UnusableSidecar."""
    sidecar = read(content)
    was = remembered(sidecar)
    return content if was.is_empty else without(sidecar, was)


def is_tagged(content: bytes) -> bool:
    """Whether there is anything that earlier runs have put there. Raises UnusableSidecar."""
    return not remembered(read(content)).is_empty


def _is_same(new: Sidecar, old: Sidecar) -> bool:
    """Whether both say the same of us and list the same, though maybe in another order."""
    now, was = remembered(new), remembered(old)
    names = (now.arrays.keys() | was.arrays.keys()) - {"Made", "Opened"}  # which say how it was before us
    return (
        now.texts == was.texts
        and all(now.of(name) == was.of(name) for name in names)
        and all(sorted(values(new, one.name)) == sorted(values(old, one.name)) for one in PROPERTIES)
    )


def _gone(sidecar: Sidecar, was: Memory) -> list[str]:
    """Keywords that were ours and that somebody has taken out, now or earlier, and paths (they begin with ``|``).

    The plain list decides, which every program writes; where the keyword was there before us, the hierarchy does.
    """
    flat, tree = PROPERTIES[0], PROPERTIES[1]
    ours = was.of(flat.memory)
    paths = [path for path in was.of(tree.memory) if path.rpartition("|")[2] not in ours]
    there = {*values(sidecar, flat.name), *(f"|{path}" for path in values(sidecar, tree.name))}
    mine = (*was.of("Gone"), *ours, *(f"|{path}" for path in paths))
    return [one for one in dict.fromkeys(mine) if one not in there]
