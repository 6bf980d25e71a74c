"""Explanations in a folder: a picture and a map for each, a sheet of several, and last a manifest of all that is there.

While a run goes on, a journal in the folder names what it writes before that is written. So a folder is known as one of
explanations, finished or not, and its files from those of others, which are never touched.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from vithybrid_cli import __version__, atomic
from vithybrid_cli.errors import UsageError
from vithybrid_cli.explain.explained import Explained, Explanation
from vithybrid_cli.explain.file_names import Names
from vithybrid_cli.output import Writer
from vithybrid_cli.output.destination import FILE_FORMATS, opened, require_writable, unwritable
from vithybrid_cli.runs.watch import Watch

if TYPE_CHECKING:
    from vithybrid_cli.explain.sheet import Tile

MANIFEST, JOURNAL, SHEET = "manifest.json", "unfinished.jsonl", "sheet.png"
_PROGRAM = "vithybrid explain"  # by which a manifest or journal is known
_OWN = (".png", ".npy")  # suffixes of what is written for pictures
_MOST_READ = 2**28  # bytes of a manifest: that of a million pictures
_AGAIN = "make room and run it again: it starts over"


def require_folder(folder: Path) -> None:
    """Raise UsageError unless explanations can be written to ``folder``: it is new, empty, or has earlier ones."""
    if not folder.exists():
        _require_name_of_a_folder(folder)
        require_writable(folder)
        return
    try:
        if not folder.is_dir():
            raise UsageError(f"{folder} is a file, and explanations are written to a folder.", "Give another {output}.")
        names = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise unwritable(folder, error) from error
    if names and not (_is_ours(folder / MANIFEST) or _is_ours(folder / JOURNAL)):
        raise UsageError(
            f"{folder} has files that are no explanations.", "Give {output} a folder that is new or empty."
        )
    require_writable(folder / JOURNAL)


def _require_name_of_a_folder(folder: Path) -> None:
    """Raise UsageError for the name of a picture or of results, which nobody means to give a folder."""
    from vithybrid_cli.images.suffixes import picture_suffixes  # imports all of Pillow

    suffix = folder.suffix.lower()
    if suffix in picture_suffixes() or suffix.removeprefix(".") in (*FILE_FORMATS, "html", "npy", "zip"):
        raise UsageError(
            f"{folder} is named as a file, and explanations are written to a folder.",
            "Give {output} the name of a folder.",
        )


def require_apart(folder: Path, inputs: tuple[str, ...]) -> None:
    """Raise UsageError if one of the ``inputs`` lies in the ``folder``, whose earlier explanations are replaced."""
    place = folder.resolve()
    for text in inputs:
        try:
            within = Path(text).resolve().is_relative_to(place)
        except (OSError, ValueError):  # nothing of this name, or what can be none
            continue
        if within and folder.exists():
            raise UsageError(f"{text} lies in {folder}, whose content is replaced.", "Give another {output}.")


class FolderWriter(Writer[Explained]):
    """Writes each result as it comes. Get one from `explanations_in`."""

    def __init__(self, folder: Path, journal: TextIO, title: str, watch: Watch, *, probabilities: bool) -> None:
        self._folder, self._journal, self._title, self._watch = folder, journal, title, watch
        self._probabilities = probabilities
        taken = {path.stem for path in folder.iterdir()}
        self._names = Names(taken | {Path(name).stem for name in (MANIFEST, JOURNAL, SHEET)})
        self._pictures: list[dict[str, Any]] = []
        self._tiles: list[Tile] = []
        self._explained = 0

    def write(self, result: Explained) -> None:
        """The files of one result; raises UsageError when the system refuses."""
        if result.explanation is None:
            self._pictures.append(result.record())
            return
        self._pictures.append(self._written(result.path, result.explanation))
        self._explained += 1

    def close(self) -> None:
        """Nothing: `finish` ends it, and what is not finished has no manifest."""

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Write the sheet, and the manifest with these ``facts`` of the run."""
        sheet = self._write_sheet()
        manifest = {"program": _PROGRAM, **facts, "sheet": sheet, "pictures": self._pictures}
        with self._new(MANIFEST) as part:
            part.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8", newline="\n")

    def said(self) -> str:
        """What is there, in words."""
        maps = "the map of 1 picture" if self._explained == 1 else f"the maps of {self._explained:,} pictures"
        return f"{self._folder} has {maps}" + (f", and {SHEET} shows them together" if self._tiles[1:] else "")

    def _written(self, path: str, explanation: Explanation) -> dict[str, Any]:
        import numpy as np

        stem = self._names.of(path)
        files = {"overlay": f"{stem}.png", "map": f"{stem}.npy"}
        self._note(*files.values())
        drawn = explanation.drawn()
        with self._new(files["map"]) as part, part.open("wb") as stream:
            np.save(stream, explanation.heat.values, allow_pickle=False)
        with self._new(files["overlay"]) as part:
            drawn.save(part, "PNG")
        self._add_tile(path, explanation, drawn)
        rows, columns = explanation.heat.values.shape
        sizes = {"drawn": list(drawn.size), "shape": [rows, columns]}
        best = [{"index": one.index, "label": one.label, "score": one.rounded} for one in explanation.predictions]
        return {"path": path, **explanation.facts(), **sizes, "files": files, "predictions": best}

    def _add_tile(self, path: str, explanation: Explanation, drawn: Any) -> None:
        from vithybrid_cli.explain.sheet import MOST_ON_A_SHEET, Tile, small, tile_side
        from vithybrid_cli.output.table import score_text  # imports rich

        if len(self._tiles) < MOST_ON_A_SHEET:
            label, against = explanation.label, explanation.against
            name = label.label if against is None else f"{label.label} rather than {against.label}"
            picture = small(drawn, tile_side(len(self._tiles) + 1))
            self._tiles.append(Tile(picture, name, score_text(label.score, probability=self._probabilities), path))
        elif len(self._tiles) == self._explained:
            self._watch.say(f"{SHEET} shows the first {MOST_ON_A_SHEET} pictures")

    def _write_sheet(self) -> str | None:
        from vithybrid_cli.explain.sheet import sheet

        if len(self._tiles) < 2:
            return None
        self._note(SHEET)
        with self._new(SHEET) as part:
            sheet(self._tiles, self._title).save(part, "PNG")
        return SHEET

    @contextmanager
    def _new(self, name: str) -> Iterator[Path]:
        """A file to write, which appears whole in the folder."""
        with _told(self._folder / name), atomic.replacing(self._folder / name) as part:
            yield part

    def _note(self, *files: str) -> None:
        self._journal.write(json.dumps({"files": files}) + "\n")
        self._journal.flush()


@contextmanager
def explanations_in(folder: Path, title: str, watch: Watch, *, probabilities: bool) -> Iterator[FolderWriter]:
    """A writer to ``folder``, from which the explanations of an earlier run are removed; its manifest goes first.

    ``title`` is that of the sheet; ``probabilities`` says whether scores are from 0 to 1.

    The journal goes last, if the block ends without an exception. Raises UsageError when the system refuses, and where
    another run is writing there.
    """
    with _told(folder):
        folder.mkdir(exist_ok=True)
    journal = folder / JOURNAL
    keep = journal.stat().st_size if journal.exists() else 0
    with opened(journal, keep=keep, remedy=_AGAIN) as stream:
        earlier = _own_files(folder)
        stream.write(json.dumps({"program": _PROGRAM, "files": earlier}) + "\n")
        stream.flush()
        with _told(folder):
            for name in (MANIFEST, *earlier):
                if name != MANIFEST or _is_ours(folder / MANIFEST):
                    (folder / name).unlink(missing_ok=True)
        yield FolderWriter(folder, stream, title, watch, probabilities=probabilities)
        if os.name != "nt":
            journal.unlink()  # while it is locked: after that, another run may have begun
    if os.name == "nt":  # where no open file can be removed
        journal.unlink()


def versions() -> dict[str, str]:
    """Of the program, and of the libraries that decide what is computed and drawn."""
    return {"vithybrid": __version__, **{name: version(name) for name in ("torch", "numpy", "Pillow")}}


def _is_ours(file: Path) -> bool:
    """Whether a manifest or journal is one of explanations."""
    return any(record.get("program") == _PROGRAM for record in _records(file))


def _records(file: Path) -> list[dict[str, Any]]:
    """The object that a file holds, or one for each of its lines; without a last one that is cut off."""
    try:
        if not file.is_file() or file.stat().st_size > _MOST_READ:
            return []
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    found = []
    for part in text.splitlines() if file.name == JOURNAL else [text]:
        try:
            record = json.loads(part)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            found.append(record)
    return found


def _own_files(folder: Path) -> list[str]:
    """The files of explanations that manifest and journal name and that are there. No other name is believed."""
    named: list[object] = []
    for record in _records(folder / MANIFEST):
        if record.get("program") == _PROGRAM:
            named += [record.get("sheet"), *_files_of(record.get("pictures"))]
    for record in _records(folder / JOURNAL):
        files = record.get("files")
        named += files if isinstance(files, list) else []
    names = dict.fromkeys(name for name in named if isinstance(name, str))
    return [name for name in names if _is_own_name(name) and (folder / name).is_file()]


def _files_of(pictures: object) -> Iterator[object]:
    """The files that a manifest names for its pictures."""
    for picture in pictures if isinstance(pictures, list) else []:
        files = picture.get("files") if isinstance(picture, dict) else None
        yield from files.values() if isinstance(files, dict) else ()


def _is_own_name(name: str) -> bool:
    return Path(name).name == name and name.endswith(_OWN)


@contextmanager
def _told(place: Path) -> Iterator[None]:
    """What the system refuses to do there becomes an error of the user's. Raises UsageError."""
    try:
        yield
    except OSError as error:
        raise unwritable(place, error, f"What was written stays; {_AGAIN}.") from error
