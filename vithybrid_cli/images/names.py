"""Names under which there is no file: what they look like, and what to do."""

import glob
import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from urllib.parse import unquote

from vithybrid_cli.errors import MissingFile

_Explained = MissingFile | None
_QUOTES = ("''", '""', "``", "“”", "‘’", "«»", "„“")
_LONGEST_LINE, _MOST_WORDS = 4096, 12  # in which a path is looked for; `ls -l` has eight words before it
_DASHES = ("–", "—", "−")


def explained(path: str | os.PathLike[str]) -> MissingFile | None:
    """What to say of a name under which there is no file, if it looks like something else."""
    name = os.fsdecode(os.fspath(path))
    return next((found for explain in _LOOKS if (found := explain(name)) is not None), None)


def _is_there(name: str) -> bool:
    return os.path.lexists(name)


def _link(name: str) -> _Explained:
    if not os.path.islink(name):  # noqa: PTH114 (Path raises on odd names)
        return None
    target = os.readlink(name)  # noqa: PTH115
    if "/annex/objects/" in target.replace(os.sep, "/"):
        return MissingFile(
            "This is a link of git-annex, which has not fetched the file.", "Fetch it with `git annex get`."
        )
    return MissingFile(f"This is a link to {target}, where there is nothing.", "Mend the link, or leave it out.")


def _url(name: str) -> _Explained:
    scheme = re.match(r"([a-z][a-z0-9+.-]+):/", name, re.IGNORECASE)
    if name.lower().startswith("data:"):
        return MissingFile(
            "This is a data URL where a file has to be given.", "Write what it holds into a file, and give that."
        )
    if scheme is None:
        return None
    if scheme[1].lower() == "file":
        local = unquote(re.sub("^file:/+(?:localhost/)?", "/", name, flags=re.IGNORECASE))
        return MissingFile(f"This is a URL of {local}, which is not there or on another machine.", "Give its path.")
    if scheme[1].lower() in ("http", "https", "ftp"):
        return MissingFile(
            "This is a URL where a file has to be given.",
            "Fetch it first, for example with curl, and give the file.",
        )
    return MissingFile(
        "This is a URL of a kind that is not read, or not here.",
        "Copy what it names to this machine, and give the file.",
    )


def _shell(name: str) -> _Explained:
    if re.match(r"~\w*(/|$)", name):
        return MissingFile("A ~ stands for a home folder only where a shell expands it.", "Write the folder's path.")
    if re.match(r"\$\w+|\$\{\w+\}|%\w+%", name):
        return MissingFile("A variable stands for its value only where a shell expands it.", "Write the value.")
    if name.startswith(_DASHES):
        return MissingFile(
            "This begins with a dash that is no hyphen, so it is no option.", "Type a hyphen in its place."
        )
    if name == "-":
        return MissingFile(
            "There is no file named -, and it stands for stdin only as an argument.", "Give it as an argument."
        )
    return None


def _windows(name: str) -> _Explained:
    if os.sep == "\\":
        return None
    if re.match(r"[A-Za-z]:[\\/]|\\\\\w", name):
        return MissingFile(
            "This is a path of Windows, which this system does not have.", "Give the path that it has here."
        )
    if "\\" in name and _is_there(name.replace("\\", "/")):
        return MissingFile("There is no file of this name, but one with / for each \\.", "Write / between folders.")
    if "\\" in name and _is_there(re.sub(r"\\(.)", r"\1", name)):
        return MissingFile(
            "There is no file of this name, but one without the backslashes.", "Leave out what only a shell needs."
        )
    return None


def _quoted(name: str) -> _Explained:
    stripped = name.strip()
    if len(stripped) > 2 and stripped[0] + stripped[-1] in _QUOTES:
        return MissingFile("There is no file whose name has these quotes.", "Leave out the quotes.")
    if stripped != name and _is_there(stripped):
        return MissingFile(
            "There is no file of this name, but one without the white space around it.", "Leave out the white space."
        )
    if "\r" in name:
        return MissingFile(
            "There is no file whose name has a carriage return.", "End each line of the list with a newline."
        )
    return None


def _row(name: str) -> _Explained:
    if re.fullmatch(r"\s*[\[{].*[\]}],?\s*", name) and '"' in name:
        return MissingFile("This is JSON, not the name of a file.", "Give a list with nothing but paths.")
    if name.startswith("#"):
        return MissingFile(
            "There is no file of this name, and a list has no comments.", "Give a list with nothing but paths."
        )
    file = next((part for part in _parts(name) if part != name and os.path.isfile(part)), None)  # noqa: PTH113
    if file is None:
        return None
    return MissingFile(f"This line has more than the name of {file}.", "Give a list with nothing but paths.")


def _parts(name: str) -> Iterator[str]:
    """What may be the path in a line of a table, of ``path label``, or of a detailed listing."""
    yield from (cell.strip("\"' ") for cell in re.split(r"[,;\t]", name))
    words = len(name.split()) if len(name) < _LONGEST_LINE else 0
    yield from (name.rsplit(None, count)[0] for count in range(1, min(words, _MOST_WORDS)))
    yield from (name.split(None, count)[-1] for count in range(1, min(words, _MOST_WORDS)))


def _pattern(name: str) -> _Explained:
    if not glob.has_magic(name):
        return None
    if next(glob.iglob(name), None) is not None:  # noqa: PTH207
        return MissingFile("This is a pattern, and a list holds paths.", "Give the pattern as an argument, in quotes.")
    return MissingFile(
        "No file has this name, and as a pattern it matches none.",
        "Check the spelling, in which case counts; if it is from a list, give paths in its place.",
    )


def _spelling(name: str) -> _Explained:
    other = next((other for other in _spellings(name) if other != name and _is_there(other)), None)
    if other is None:
        return None
    return MissingFile(f"There is no file of this name, but there is {other}.", "Give that name, letter by letter.")


def _spellings(name: str) -> Iterator[str]:
    """The same name in other capitals of its suffix, with accents composed in other ways, or in another encoding."""
    stem, suffix = os.path.splitext(name)  # noqa: PTH122
    yield from (stem + suffix.lower(), stem + suffix.upper())
    yield from (unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name))
    yield unquote(name)
    yield os.fsencode(name).decode("latin-1")


_LOOKS: tuple[Callable[[str], _Explained], ...] = (
    _link,
    _url,
    _shell,
    _windows,
    _quoted,
    _row,
    _pattern,
    _spelling,
)
