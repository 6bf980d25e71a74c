"""Labels go into the sidecars of pictures, where photo managers find them, and out again; no picture is touched."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from threading import Lock

from vithybrid_cli.actions.keywords import keywords, roots_of
from vithybrid_cli.actions.tagging import Outcome, Tagged, Tagging
from vithybrid_cli.actions.xmp_edit import EMPTY, is_tagged, tagged, untagged
from vithybrid_cli.actions.xmp_files import SidecarFile, create, read_file, remove, replace
from vithybrid_cli.actions.xmp_memory import NAMESPACE, Keyword, Tags
from vithybrid_cli.actions.xmp_names import Folders, SidecarName, has_suffix, new_sidecar, sidecars
from vithybrid_cli.actions.xmp_structure import UnusableSidecar
from vithybrid_cli.images.local import LocalFile
from vithybrid_cli.items import NO_FILE, Item
from vithybrid_cli.results import Pictured
from vithybrid_cli.sources.remote.urls import FileUrl

_AT_ONCE = 8  # sidecars: each waits for the disk to have it, and the disk takes several as fast as one


@dataclass(frozen=True, slots=True)
class _Wish:
    path: str
    keywords: tuple[Keyword, ...]
    left_alone: Outcome | None


@dataclass(slots=True)
class Plan:
    """All pictures of some results, each once, with what is wanted of them: the last result of a picture counts.

    ``unknown`` is how many there are of which nothing tells whether they have been replaced, ``twice`` how many results
    were of pictures that came again.
    """

    how: Tagging
    unknown: int = 0
    twice: int = 0
    _wishes: dict[str, _Wish] = field(default_factory=dict)
    _nowhere: list[Tagged] = field(default_factory=list)

    @classmethod
    def of(cls, pictured: Iterable[Pictured], how: Tagging) -> "Plan":
        """What to do for these results. It keeps their pictures' names and keywords."""
        plan, real = cls(how), dict[str, str]()
        for one in pictured:
            path = _path(one.item)
            if path is None:
                plan._nowhere.append(Tagged(one.result.path, _why_nowhere(one, how)))
                continue
            wish = _wish(one, path, how)
            plan.unknown += one.changed is None and wish.left_alone is None
            folder, name = os.path.split(path)
            if folder not in real:
                real[folder] = os.path.realpath(folder)
            key = os.path.join(real[folder], name)  # noqa: PTH118 (a link to a picture has a sidecar of its own)
            plan.twice += plan._wishes.pop(key, None) is not None
            plan._wishes[key] = wish
        return plan

    def __len__(self) -> int:
        return len(self._wishes) + len(self._nowhere)

    def run(self) -> Iterator[Tagged]:
        """Do it, picture by picture. Each sidecar is whole at any time. Raises UsageError on a full disk."""
        yield from self._nowhere
        folders = Folders(wish.path for wish in self._wishes.values())
        wishes = iter(self._wishes.values())
        locks = [Lock() for _ in range(_AT_ONCE * 8)]

        def done(wish: _Wish) -> tuple[Tagged, ...]:
            with locks[hash(_stem(wish.path)) % len(locks)]:  # two pictures may have one sidecar
                return _done(wish, self.how, folders)

        with ThreadPoolExecutor(_AT_ONCE) as threads:
            while some := list(islice(wishes, _AT_ONCE * 8)):
                for of_one in threads.map(done, some):
                    yield from of_one


def _path(item: Item) -> str | None:
    """Where the file of a picture lies, if it has one of its own on this machine."""
    if isinstance(item, LocalFile):
        return item.name
    return item.path if isinstance(item, FileUrl) else None


def _why_nowhere(one: Pictured, how: Tagging) -> Outcome:
    if how.remove:
        return Outcome.NOT_TAGGED
    return Outcome.NO_FILE if one.result.error is None else Outcome.NOT_READ


def _wish(one: Pictured, path: str, how: Tagging) -> _Wish:
    if how.remove:
        return _Wish(path, (), None)
    wanted = keywords(one.result, how.top_k, how.min_score)
    if one.result.error is not None:
        return _Wish(path, wanted, Outcome.NOT_READ)
    if one.item.stamp() == NO_FILE:
        return _Wish(path, wanted, Outcome.GONE)
    return _Wish(path, wanted, Outcome.REPLACED if one.changed else None)


def _stem(picture: str) -> str:
    return new_sidecar(picture, SidecarName.ADOBE).casefold()


def _done(wish: _Wish, how: Tagging, folders: Folders) -> tuple[Tagged, ...]:
    if how.remove:
        return tuple(_untag(wish.path, how))
    return (_tag(wish, how, folders) if wish.left_alone is None else Tagged(wish.path, wish.left_alone),)


def _tag(wish: _Wish, how: Tagging, folders: Folders) -> Tagged:
    tags = Tags(wish.keywords, roots_of(how.prefix), how.model, how.version)
    texts = tuple(keyword.text for keyword in wish.keywords)
    name, has_two = _chosen(wish.path, how.sidecar_name, folders)
    if name is None:
        return Tagged(wish.path, Outcome.SHARED if texts else Outcome.NO_LABEL)
    try:
        if not os.path.lexists(name):
            return Tagged(wish.path, _make(name, tags, how), name, texts)
        file = read_file(name)
        new = tagged(file.content, tags)
        outcome = _put(file, new, how, Outcome.CHANGED if texts else Outcome.TAKEN_OUT)
        if outcome is Outcome.UNCHANGED and not texts:
            outcome = Outcome.NO_LABEL
        return Tagged(wish.path, outcome, name, texts, has_two=has_two)
    except UnusableSidecar as error:
        return Tagged(wish.path, Outcome.FAILED, name, texts, error)


def _chosen(picture: str, kind: SidecarName, folders: Folders) -> tuple[str | None, bool]:
    """The sidecar to write to, None where it would be another picture's, too; and whether there are two.

    One that is there is taken; of two the one that is tagged already, or else the one of the kind that is asked for.
    """
    found = sidecars(picture)
    if SidecarName.ADOBE in found and folders.are_several(picture):
        del found[SidecarName.ADOBE]
    if len(found) == 2:
        other = next(one for one in SidecarName if one is not kind)
        return found[other if _has_ours(found[other]) and not _has_ours(found[kind]) else kind], True
    if found:
        return next(iter(found.values())), False
    if (kind is SidecarName.ADOBE or not has_suffix(picture)) and folders.are_several(picture):
        return None, False
    return new_sidecar(picture, kind), False


def _has_ours(name: str) -> bool:
    try:
        return is_tagged(read_file(name).content)
    except UnusableSidecar:
        return False


def _make(name: str, tags: Tags, how: Tagging) -> Outcome:
    if not tags.keywords:
        return Outcome.NO_LABEL
    if not how.dry_run:
        create(name, tagged(EMPTY, tags))
    return Outcome.MADE


def _put(file: SidecarFile, new: bytes, how: Tagging, changed: Outcome) -> Outcome:
    """Write what has become of a sidecar; one that we have made and that holds nothing else is removed."""
    if new == file.content:
        return Outcome.UNCHANGED
    if new == EMPTY:
        if not how.dry_run:
            remove(file)
        return Outcome.REMOVED
    if not how.dry_run:
        replace(file, new)
    return changed


def _may_be_ours(content: bytes) -> bool:
    """Whether a sidecar names us at all, in whatever encoding; one that does not was never written to."""
    return NAMESPACE.encode() in content.replace(b"\0", b"")


def _untag(picture: str, how: Tagging) -> Iterator[Tagged]:
    """What earlier runs have written is taken out of all sidecars of a picture, whatever became of that."""
    nothing = True
    for name in sidecars(picture).values():
        try:
            file = read_file(name)
            if not _may_be_ours(file.content):
                continue
            outcome = _put(file, untagged(file.content), how, Outcome.TAKEN_OUT)
        except UnusableSidecar as error:
            nothing = False
            yield Tagged(picture, Outcome.FAILED, name, error=error)
        else:
            if outcome is not Outcome.UNCHANGED:
                nothing = False
                yield Tagged(picture, outcome, name)
    if nothing:
        yield Tagged(picture, Outcome.NOT_TAGGED if os.path.lexists(picture) else Outcome.GONE)
