"""Names for files that are made of pictures: any file system takes them, and no two are the same to any."""

import re
import unicodedata
from collections.abc import Iterable

from vithybrid_cli.items import own_name

_MOST = 120  # bytes of UTF-8: with suffixes and a number far below the 255 that file systems take
_UNUSUAL = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"/\\|?*\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+')
# What Windows keeps for devices, with whatever suffix.
_DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\.|$)", re.IGNORECASE)
_LAST_PART = re.compile(r"[^/\\]*$")
_QUERY = re.compile(r"[?#].*$", re.DOTALL)
_LONGEST_SUFFIX = len("parquet")
_NOTHING_LEFT = "picture"


def stem_of(name: str) -> str:
    """What a file may be called that is made of the picture of this ``name``; without a suffix.

    Of a row of a table that is the table's name and the number, of an address its last part.
    """
    if name.startswith("data:"):
        return _NOTHING_LEFT
    inner = own_name(name)
    if inner != name and inner.isdigit():
        return _safe(f"{_stem(name.rpartition('::')[2])}-{inner}")
    return _safe(_stem(inner))


class Names:
    """Gives each picture a name of its own: the second ``cat`` is ``cat-2``."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        """``taken`` are stems that no picture gets."""
        self._taken = {_alike(name) for name in taken}
        self._last: dict[str, int] = {}

    def of(self, name: str) -> str:
        """A stem for the picture of this ``name``, which no other has: not in other letters' case either."""
        stem = given = stem_of(name)
        key = _alike(stem)
        while _alike(given) in self._taken:
            self._last[key] = number = self._last.get(key, 1) + 1
            given = f"{stem}-{number}"
        self._taken.add(_alike(given))
        return given


def _stem(name: str) -> str:
    """The last part of a path or an address, without the suffix."""
    if "://" in name:
        name = _QUERY.sub("", name)
    last = _LAST_PART.search(name.rstrip("/\\"))
    text = last[0] if last else ""
    stem, dot, suffix = text.rpartition(".")
    return stem if dot and stem.strip(".") and len(suffix) <= _LONGEST_SUFFIX else text


def _safe(text: str) -> str:
    text = _UNUSUAL.sub("_", unicodedata.normalize("NFC", text)).strip(" .")
    text = text.encode()[:_MOST].decode(errors="ignore").strip(" .")
    if text.startswith(("-", "~")):  # which programs take for an option, and shells for a home
        text = f"_{text}"
    return f"_{text}" if _DEVICES.match(text) else text or _NOTHING_LEFT


def _alike(name: str) -> str:
    """One form for names that some file system takes for the same."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKD", name).casefold())
