"""Names that every file system takes, made of labels and of the names of an archive's members.

The rules are those of Windows ("Naming Files, Paths, and Namespaces"), which are the strictest, and of POSIX.
"""

import re
import unicodedata

LONGEST = 200  # bytes of UTF-8: file systems take 255, also where they decompose accents, and a number may follow
UNNAMED = "unnamed"

_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])[ ]*(\..*)?", re.IGNORECASE)
_INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")  # controls, marks of direction, lone surrogates, separators of lines
_JOINERS = "\u200c\u200d"  # of Persian, of Indian scripts and of emoji, which read otherwise without them


def safe_name(name: str) -> str:
    """``name`` as the name of a file or folder anywhere; an empty text where nothing of it can be used.

    Accents are composed. What some file system refuses becomes ``_``; so does the dot of a hidden file. A name that
    Windows keeps for devices gets a ``_`` before it. What is too long is cut off, and a file's suffix stays.
    """
    composed = unicodedata.normalize("NFC", name)
    safe = "".join("_" if _is_refused(character) else character for character in composed)
    safe = _trimmed(safe)
    if safe.startswith("."):
        safe = _trimmed("_" + safe[1:]) if safe.strip(".") else ""
    if _RESERVED.fullmatch(safe):
        safe = "_" + safe
    return _cut(safe)


def is_unaltered(name: str, safe: str) -> bool:
    """Whether ``safe`` is the ``name`` but for what nobody sees: how accents are composed, and blanks around it."""
    return safe == unicodedata.normalize("NFC", name).strip()


def same_on_some_disk(name: str) -> str:
    """What two names have alike if a file system that ignores case, or composes accents, takes them for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def _is_refused(character: str) -> bool:
    if character in _JOINERS:
        return False
    return bool(_FORBIDDEN.match(character)) or unicodedata.category(character) in _INVISIBLE


def _trimmed(name: str) -> str:
    """Without blanks around, and without the dots at the end that Windows drops."""
    return name.strip().rstrip(". ").rstrip()


def _cut(name: str) -> str:
    if len(name.encode()) <= LONGEST:
        return name
    stem, dot, suffix = name.rpartition(".")
    if not stem or len(suffix.encode()) > 10 or " " in suffix:
        stem, dot, suffix = name, "", ""
    room = LONGEST - len((dot + suffix).encode())
    return _trimmed(stem.encode()[:room].decode(errors="ignore")) + dot + suffix
