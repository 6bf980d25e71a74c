"""Where each picture goes: ``LABEL/PATH BELOW THE INPUT``, ``unsure/…`` or ``unreadable/…``; and which stay."""

# ruff: noqa: PTH100, PTH118, PTH120, PTH122, PTH206

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from vithybrid_cli.actions.folders import UNREADABLE, UNSURE, Label, folder_names, label_of
from vithybrid_cli.actions.journal import Way
from vithybrid_cli.actions.names import UNNAMED, safe_name, same_on_some_disk
from vithybrid_cli.errors import ImageError, UsageError, are
from vithybrid_cli.images.local import LocalFile
from vithybrid_cli.images.suffixes import picture_suffixes, suffix_of
from vithybrid_cli.items import NO_FILE, Item, own_name
from vithybrid_cli.results import ImageResult, Pictured
from vithybrid_cli.sources.containers import is_member_name, place_of, suffix_of_container
from vithybrid_cli.sources.remote.addresses import is_address
from vithybrid_cli.sources.remote.urls import FileUrl, is_data_url, path_of_file_url

_NO_CLASS: Label = (UNSURE, None)
FAILED: Label = (UNREADABLE, -1)  # no class has this index
_SUFFIXES = (
    (rb"\xff\xd8\xff", ".jpg"),
    (rb"\x89PNG", ".png"),
    (rb"GIF8", ".gif"),
    (rb"RIFF....WEBP", ".webp"),
    (rb"II\*\0|MM\0\*", ".tif"),
    (rb"BM", ".bmp"),
)


@dataclass(frozen=True, slots=True)
class Choice:
    """What goes where: below ``minimum`` a label is no answer; ``below`` is the folder whose tree is kept.

    Without ``below`` that is the common parent folder of all pictures. ``changed``: pictures that were replaced since
    they were labelled are sorted, too.
    """

    into: Path
    way: Way = Way.COPY
    minimum: float | None = None
    below: Path | None = None
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Sorted:
    """One picture that is to be sorted: its item, its absolute path if it is a file, and its label."""

    item: Item
    path: str | None
    label: Label


@dataclass(slots=True)
class Plan:
    """All pictures that are to be sorted, in the order of their results, and how many are not, for which reason."""

    choice: Choice
    pictures: list[Sorted] = field(default_factory=list)
    all_paths: list[str] = field(default_factory=list)  # of every picture that is a file, sorted or not
    changed: int = 0
    unreadable: int = 0
    repeated: int = 0
    unknown: bool = False  # of some nothing tells whether they have changed
    base: str = ""
    folders: dict[Label, str] = field(default_factory=dict)
    sorted_before: frozenset[str] = frozenset()
    real: dict[str, str] = field(default_factory=dict)  # folders without links on the way
    root: str = field(init=False)

    def __post_init__(self) -> None:
        """Where the folder really is into which is sorted."""
        self.root = os.path.realpath(self.choice.into)

    def target(self, picture: Sorted) -> str:
        """Where it goes, as a path below the folder into which is sorted, with slashes."""
        folder = self.folders[picture.label]
        if picture.path is None:
            return f"{folder}/{_with_suffix(_below_of_name(picture.item, self.base), picture.item)}"
        inside = self.inside(picture)
        if inside is not None and len(inside) > 1 and same_on_some_disk(inside[0]) in self.sorted_before:
            return "/".join((folder, *inside[1:]))
        return f"{folder}/{_relative(picture.path, self.base)}"

    def inside(self, picture: Sorted) -> Sequence[str] | None:
        """The parts of its path below the folder into which is sorted; None if it is elsewhere."""
        if picture.path is None:
            return None
        root = os.path.join(self.root, "")
        path = self.resolved(picture.path)
        return path[len(root) :].split(os.sep) if path.startswith(root) else None

    def resolved(self, path: str) -> str:
        """The path without links on the way; what is at its end may be one."""
        folder, name = os.path.split(path)
        if folder not in self.real:
            self.real[folder] = os.path.realpath(folder)
        return os.path.join(self.real[folder], name)

    def lies_sorted(self, picture: Sorted) -> bool:
        """Whether it lies in the folder of a label already."""
        inside = self.inside(picture)
        return inside is not None and len(inside) > 1 and same_on_some_disk(inside[0]) in self.sorted_before


def make_plan(pictures: Iterable[Pictured], choice: Choice, folders_before: Iterable[str] = ()) -> Plan:
    """What to do with the ``pictures``. ``folders_before`` are those of labels into which was sorted earlier.

    Nothing is written. Raises UsageError if pictures are not below the folder that was given.
    """
    plan = Plan(choice)
    seen: set[str] = set()
    for one in pictures:
        _add(plan, one, seen)
    plan.folders = folder_names(picture.label for picture in plan.pictures if picture.label != FAILED)
    plan.folders |= {FAILED: UNREADABLE, _NO_CLASS: UNSURE}
    plan.sorted_before = frozenset(map(same_on_some_disk, (*plan.folders.values(), *folders_before)))
    plan.base = _base(plan)
    return plan


def local_path(item: Item) -> str | None:
    """The absolute path of an item that is a file of this machine."""
    if isinstance(item, LocalFile):
        return os.path.abspath(item.name)
    return os.path.abspath(item.path) if isinstance(item, FileUrl) else None


def source_of(picture: Sorted) -> str:
    """Its absolute path; for what is no file its name, in which the path of an archive is absolute."""
    if picture.path is not None:
        return picture.path
    name, place = picture.item.name, _place(picture.item)
    return name if place is None else name[: len(name) - len(place_of(name))] + place


def _add(plan: Plan, one: Pictured, seen: set[str]) -> None:
    path = local_path(one.item) if "\0" not in one.item.name else None
    if path is not None:
        plan.all_paths.append(path)
        plan.unknown |= one.changed is None
    identity = one.item.name if path is None else plan.resolved(path)
    if identity in seen:
        plan.repeated += 1
        return
    seen.add(identity)
    if one.result.error is not None and path is None:
        plan.unreadable += 1
    elif one.changed and not plan.choice.changed and one.item.stamp() != NO_FILE:
        plan.changed += 1
    else:
        plan.pictures.append(Sorted(one.item, path, _label(one.result, plan.choice.minimum)))


def _label(result: ImageResult, minimum: float | None) -> Label:
    if result.error is not None:
        return FAILED
    answer = result.answer
    if answer is None or (minimum is not None and answer.score < minimum):
        return _NO_CLASS
    return label_of(answer)


def _base(plan: Plan) -> str:
    """The folder whose tree is kept. Raises UsageError if that was given and not all pictures are below it."""
    paths = [picture.path or _place(picture.item) for picture in plan.pictures]
    own = [
        path for path, one in zip(paths, plan.pictures, strict=True) if path is not None and not plan.lies_sorted(one)
    ]
    if plan.choice.below is None:
        try:
            return os.path.commonpath({os.path.dirname(path) for path in own}) if own else ""
        except ValueError:  # several drives of Windows
            return ""
    base = os.path.abspath(plan.choice.below)
    outside = [path for path in own if os.path.commonpath([base, path]) != base]
    if outside:
        more = f" and {len(outside) - 1:,} more" if len(outside) > 1 else ""
        cause = f"{outside[0]}{more} {are(len(outside))} not below {base}."
        raise UsageError(cause, "Give {below} a folder that has all pictures in it, or leave it out.")
    return base


def _place(item: Item) -> str | None:
    """The absolute path of the archive or table of a member, if it is a file."""
    place = place_of(item.name)
    if not is_member_name(item.name) or is_address(place):
        return None
    return os.path.abspath(path_of_file_url(place) or place)


def _relative(path: str, base: str) -> str:
    below = os.path.relpath(path, base) if base else path
    return "/".join(part for part in os.path.splitdrive(below)[1].split(os.sep) if part)


def _below_of_name(item: Item, base: str) -> str:
    """A path for what is no file: of a member its archive's without suffix, and what it is called in there."""
    name = item.name
    if is_data_url(name):
        return f"data/{_short(name)}"
    if not is_member_name(name):
        return "/".join(_address_parts(name))
    place, member = _place(item), _safe_parts(own_name(name))
    if place is None:
        *folders, archive = _address_parts(place_of(name))
    else:
        *folders, archive = _relative(place, base).split("/")
    return "/".join((*folders, _without_suffix(archive), *member))


def _with_suffix(path: str, item: Item) -> str:
    """The path with a suffix that says what is in it, as rows of tables have none."""
    if suffix_of(path) in picture_suffixes():
        return path
    try:
        with item.open() as stream:
            head = stream.read(12)
    except (ImageError, OSError):
        return path
    return path + next((suffix for begin, suffix in _SUFFIXES if re.match(begin, head, re.DOTALL)), "")


def _without_suffix(archive: str) -> str:
    suffix = suffix_of_container(archive) or ""
    return archive[: len(archive) - len(suffix)] or archive


def _address_parts(address: str) -> Sequence[str]:
    """Host and path; a query, which tells pictures apart that have the same path, as a few letters."""
    parts = urlsplit(address)
    *folders, last = _safe_parts(f"{parts.hostname or ''}/{unquote(parts.path)}")
    if parts.query:
        stem, suffix = os.path.splitext(last)
        last = f"{stem}-{_short(parts.query)[:8]}{suffix}"
    return *folders, last


def _safe_parts(path: str) -> Sequence[str]:
    """The parts of a foreign path, none of which leads out of a folder or is refused by a file system."""
    parts = [part for part in re.split(r"[/\\]", path) if part not in ("", ".", "..")]
    return tuple(safe_name(part) or UNNAMED for part in parts) or (UNNAMED,)


def _short(text: str) -> str:
    return hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=8).hexdigest()
