"""In which encoding a list of paths is written, told by its first bytes; from there on its bytes are those of UTF-8.

Windows' PowerShell writes ``>`` and ``Out-File`` in UTF-16 with a byte order mark (version 5), others in UTF-8 with a
mark or without. Everything else is passed on as it is: names of files need not be text.
"""

import codecs
import re
from collections.abc import Iterator

_LETTER = rb"[\t\n\r -~]"
_UNMARKED = 4  # letters of ASCII with a NUL beside each that tell UTF-16 where there is no mark
_BEGINNING = max(2 * _UNMARKED, len(codecs.BOM_UTF8))

_UTF16 = (  # encoding, mark, and how it begins without one
    ("utf-16-le", codecs.BOM_UTF16_LE, re.compile(rb"(?:%s\0){%d}" % (_LETTER, _UNMARKED))),
    ("utf-16-be", codecs.BOM_UTF16_BE, re.compile(rb"(?:\0%s){%d}" % (_LETTER, _UNMARKED))),
)


def decoded(chunks: Iterator[bytes], null: bool) -> Iterator[bytes]:
    """The same text in UTF-8 without its mark, each chunk as it comes.

    ``null``: NUL bytes separate the entries, so that only a mark tells UTF-16. Only as long as the first bytes may
    still be a mark or UTF-16, they are held back.
    """
    held = b""
    for chunk in chunks:
        held += chunk
        if not _may_become_utf16(held, null):
            break
    encoding, mark = _encoding(held, null)
    if encoding is None:
        yield held[mark:]
        yield from chunks
    else:
        decoder = codecs.getincrementaldecoder(encoding)("replace")
        yield decoder.decode(held[mark:]).encode()
        for chunk in chunks:
            yield decoder.decode(chunk).encode()
        yield decoder.decode(b"", final=True).encode()


def _encoding(held: bytes, null: bool) -> tuple[str | None, int]:
    """The encoding, if it is UTF-16, and the length of the mark, which may be all there is."""
    if held.startswith(codecs.BOM_UTF8):
        return None, len(codecs.BOM_UTF8)
    for encoding, mark, unmarked in _UTF16:
        if held == mark or (held.startswith(mark) and b"\0" in held):
            return encoding, len(mark)
        if not null and unmarked.match(held):
            return encoding, 0
    return None, 0


def _may_become_utf16(held: bytes, null: bool) -> bool:
    """Whether more bytes are needed to tell."""
    if codecs.BOM_UTF8.startswith(held):
        return True
    if held.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return b"\0" not in held and b"\n" not in held
    if null or len(held) >= _BEGINNING:
        return False
    return any(re.fullmatch(pattern, held, re.DOTALL) for pattern in (rb"(?:.\0)+.?", rb"(?:\0.)*\0?"))
