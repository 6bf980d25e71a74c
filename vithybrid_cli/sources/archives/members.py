"""Which members of an archive are pictures to read, by the rules for folders; what is said of those that are not."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from vithybrid_cli.errors import FileTooLarge, MissingFile, UnreadableMember
from vithybrid_cli.images.signatures import HEAD, Kind, kind_of
from vithybrid_cli.images.suffixes import OTHER_SUFFIXES, RAW_SUFFIXES, picture_suffixes, suffix_of
from vithybrid_cli.sources.archives.index import Seen
from vithybrid_cli.sources.containers import Wanted, suffix_of_container
from vithybrid_cli.sources.system_folders import is_system_folder

HEAD_BYTES = HEAD
_MOST_FOLDERS = 4096  # that are remembered; one that comes again after that is counted again
_OUTSIDE = re.compile(r"/|[A-Za-z]:/|(?:.*/)?\.\.(?:/|$)", re.DOTALL)


@dataclass(slots=True)
class Members:
    """Chooses the members of one archive, in its order; what it does not take is counted.

    Files with the suffixes ``also`` are taken besides pictures, such as those that have the pictures' labels.
    """

    wanted: Wanted
    also: frozenset[str] = frozenset()
    _folders: dict[str, bool] = field(default_factory=dict)
    _names: Seen = field(default_factory=Seen)

    def takes(self, name: str, head: Callable[[], bytes] | None = None) -> bool:
        """Whether this file is a picture to read.

        Its first `HEAD_BYTES` bytes decide only where the suffix says nothing; without ``head`` it is none then.
        """
        path = slashed(name)
        folder, _, base = path.rpartition("/")
        if not base or base.startswith(".") or self._passes_over(folder):
            return False
        if self.wanted.exclude.passes_over(path, "", self.wanted.survey, is_folder=False):
            return False
        suffix = suffix_of(base)
        if self._is_picture(base, suffix, head):
            return True
        self.wanted.survey.leave_out(suffix_of_container(base) or suffix)
        return False

    def is_new(self, name: str) -> bool:
        """Whether no picture before had this name."""
        return self._names.add(name)

    def _passes_over(self, folder: str) -> bool:
        """Whether a folder in the archive is hidden, excluded or a system's own, or lies in such a one."""
        passed = self._folders.get(folder)
        if passed is None:
            above, _, base = folder.rpartition("/")
            passed = bool(folder) and (self._passes_over(above) or self._is_passed(folder, base))
            if len(self._folders) == _MOST_FOLDERS:
                self._folders.clear()
            self._folders[folder] = passed
        return passed

    def _is_passed(self, folder: str, base: str) -> bool:
        survey = self.wanted.survey
        if base.startswith(".") and base not in (".", ".."):
            survey.pass_hidden(base)
            return True
        if self.wanted.exclude.passes_over(folder, "", survey, is_folder=True):
            return True
        if is_system_folder(folder):
            survey.system_folders[base] += 1
            return True
        return False

    def _is_picture(self, base: str, suffix: str, head: Callable[[], bytes] | None) -> bool:
        if suffix in picture_suffixes() or suffix in self.also:
            return True
        if suffix in RAW_SUFFIXES:
            return self.wanted.raw
        if head is None or suffix in OTHER_SUFFIXES or suffix_of_container(base) is not None:
            return False
        kind = kind_of(head())
        return kind is Kind.PICTURE or (kind is Kind.RAW and self.wanted.raw)


def slashed(name: str) -> str:
    """A member's name with / between its parts, as Windows' programs do not always write it."""
    return name.replace("\\", "/")


def refusal_of_name(name: str) -> UnreadableMember | None:
    """What is wrong with the name of a picture, if anything is."""
    if "\0" in name:
        return UnreadableMember("The member's name has a NUL byte.", _ANOTHER_NAME)
    if _OUTSIDE.match(slashed(name)):
        return UnreadableMember("The member's name leads out of the archive, as .. and an absolute path do.", _UNPACKED)
    return None


_ANOTHER_NAME = "Pack it again under another name."
_UNPACKED = "If you trust the archive, unpack it where that does no harm, and give the pictures."


def duplicate() -> UnreadableMember:
    """Of a member whose name another one before it has."""
    return UnreadableMember("A member before this one has the same name.", "Unpack the archive, or give each its name.")


def link(target: str) -> UnreadableMember:
    """Of a member that is a link."""
    where = f"a link to {target}" if target else "a link"
    return UnreadableMember(f"The member is {where}, and holds no picture itself.", "Give what it leads to.")


def special(what: str) -> UnreadableMember:
    """Of a member that is a device or a pipe."""
    return UnreadableMember(f"The member is {what}, not a file.", "Pack the picture itself.")


def sparse() -> UnreadableMember:
    """Of a file with holes."""
    return UnreadableMember("The member is a sparse file, of which a part is left out.", "Pack it as a plain file.")


def encrypted() -> UnreadableMember:
    """Of what needs a password."""
    return UnreadableMember("The member is encrypted.", "Unpack the archive with its password, and give the pictures.")


def damaged(why: str) -> UnreadableMember:
    """Of a member that cannot be read, in words that follow ``The member is damaged:``."""
    return UnreadableMember(f"The member is damaged: {why}.", "Copy or download the archive again.")


def too_large(max_bytes: int) -> FileTooLarge:
    """Of a member that is larger than it may be."""
    return FileTooLarge(
        f"The member has more than {max_bytes} bytes.",
        f"If you trust the archive, set {{max_bytes}} above {max_bytes}.",
    )


def too_dense(times: int) -> FileTooLarge:
    """Of a member that grows beyond what pictures do."""
    return FileTooLarge(
        f"The member unpacks to more than {times} times its size, as no photograph does.",
        "If you trust the archive, unpack it, and give the pictures.",
    )


def no_member(place: str) -> MissingFile:
    """Of a name that leads to nothing in an archive that can be read."""
    return MissingFile(f"There is no member of this name in {place}.", "Check the spelling.")
