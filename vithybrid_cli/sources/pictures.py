"""What is wanted of a folder: its pictures; the rest is counted."""

import os
from dataclasses import dataclass, replace
from pathlib import PurePath

from vithybrid_cli.images.signatures import Kind, kind_of_file
from vithybrid_cli.images.suffixes import OTHER_SUFFIXES, RAW_SUFFIXES, picture_suffixes, suffix_of
from vithybrid_cli.sources.containers import kind_of_container, suffix_of_container
from vithybrid_cli.sources.exclude import Exclude
from vithybrid_cli.sources.own_files import OwnFiles
from vithybrid_cli.sources.survey import Survey
from vithybrid_cli.sources.system_folders import is_system_folder
from vithybrid_cli.sources.tables.folders import FolderTables
from vithybrid_cli.sources.walk import Entry


@dataclass(frozen=True, slots=True)
class Pictures:
    """All visible pictures at any depth below ``root``, but for what is excluded; what else there is gets counted.

    A file is known by its suffix. Only where that is neither one of pictures nor one of other well-known files are its
    first bytes looked at, so that a folder of many files stays fast; pipes and devices never are. Cameras' raw files
    are pictures where ``raw`` says so, and archives and tables are taken where ``archives`` does, tables also where
    ``tables`` does. A link that leads nowhere is given too unless its suffix is of something else: what is behind it
    may be a picture, or a folder of them. Folders that systems make for themselves are passed over.

    ``tree`` is a folder that is walked as a whole: a link to another folder in it is not followed if that is found by
    itself, so that pictures have their own paths and not those of links.
    """

    survey: Survey
    exclude: Exclude
    raw: bool
    own: OwnFiles
    archives: bool = False
    tables: FolderTables | None = None
    root: str = ""
    tree: str = ""

    def at(self, root: str) -> "Pictures":
        """The same below another folder."""
        return replace(self, root=root)

    def all_of(self, tree: str) -> "Pictures":
        """The same for a walk through all of a folder."""
        return replace(self, root=self.root or tree, tree=tree)

    def takes(self, entry: Entry) -> bool:
        """Whether this file is a picture to read."""
        if entry.name.startswith(".") or self.excludes(entry):
            return False
        suffix = suffix_of(entry.name)
        if self._is_picture(entry, suffix):
            return True
        if not self.own.has(entry):
            container = suffix_of_container(entry.name)
            self.survey.leave_out(container or suffix)
            self.survey.containers += container is not None
        return False

    def below(self, entry: Entry) -> "Pictures | None":
        """What is wanted of this subfolder: the same, or nothing."""
        if entry.name.startswith(".") or self.excludes(entry) or self.skips(entry) or self.own.is_output(entry):
            return None
        return None if self.tree and entry.is_link and self._is_found_anyway(entry) else self

    def excludes(self, entry: Entry) -> bool:
        """Whether the user wants this passed over; it is counted."""
        return self.exclude.passes_over(entry.path, self.root, self.survey, is_folder=entry.is_folder)

    def skips(self, folder: Entry) -> bool:
        """Whether this folder is a system's own; it is counted."""
        if not is_system_folder(folder.path):
            return False
        self.survey.system_folders[folder.name] += 1
        return True

    def _is_found_anyway(self, link: Entry) -> bool:
        """Whether the folder that a link leads to lies in the tree, where nothing on the way is passed over."""
        tree, target = os.path.realpath(self.tree), os.path.realpath(link.path)
        begin = os.path.join(tree, "")  # noqa: PTH118 (as the path was made)
        if not target.startswith(begin):
            return False
        path = self.tree
        for name in PurePath(target[len(begin) :]).parts:
            path = os.path.join(path, name)  # noqa: PTH118
            if name.startswith(".") or is_system_folder(path) or self.exclude.fits(path, self.root, is_folder=True):
                return False
        return True

    def _is_picture(self, entry: Entry, suffix: str) -> bool:
        if suffix in picture_suffixes():
            return True
        if suffix in RAW_SUFFIXES:
            return self.raw
        if kind_of_container(entry.name) is not None:
            return self.archives or (self.tables is not None and self.tables.reads(entry))
        if suffix in OTHER_SUFFIXES:
            return False
        kind = kind_of_file(entry.path)
        return kind is Kind.PICTURE or (kind is Kind.RAW and self.raw) or entry.leads_nowhere


def may_be_a_lost_folder(entry: Entry) -> bool:
    """Whether it is a link that leads nowhere, and by its suffix was one to a folder."""
    if not entry.leads_nowhere:
        return False
    return suffix_of(entry.name) not in picture_suffixes() | RAW_SUFFIXES | OTHER_SUFFIXES
