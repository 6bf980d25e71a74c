"""What is asked of tagging, and what became of each picture. It costs nothing to import."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from vithybrid_cli.actions.xmp_names import SidecarName

if TYPE_CHECKING:
    from vithybrid_cli.actions.xmp_structure import UnusableSidecar


@dataclass(frozen=True, slots=True)
class Tagging:
    """What is written: the ``top_k`` best labels that reach ``min_score``, below ``prefix`` in hierarchies.

    ``model`` and ``version`` are those of the run that found the labels, as far as they are known. With ``remove`` what
    earlier runs have written is taken out. With ``dry_run`` nothing is written.
    """

    top_k: int = 1
    min_score: float | None = None
    prefix: str = "auto"
    sidecar_name: SidecarName = SidecarName.FULL
    remove: bool = False
    dry_run: bool = False
    model: str | None = None
    version: str | None = None


class Outcome(StrEnum):
    """What became of a picture's sidecar, or why it was left alone."""

    MADE = "made"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    TAKEN_OUT = "taken out"  # what earlier runs have written
    REMOVED = "removed"  # it held nothing else
    NO_LABEL = "no label"
    NOT_TAGGED = "not tagged"  # nothing is there to be taken out
    NOT_READ = "not read"  # the results hold an error in place of labels
    GONE = "gone"
    REPLACED = "replaced"
    NO_FILE = "no file"  # but a member of an archive, or what lies at an address
    SHARED = "shared"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Tagged:
    """What became of one picture: its ``sidecar``, the ``keywords`` that it is to have, or the ``error``."""

    picture: str
    outcome: Outcome
    sidecar: str | None = None
    keywords: tuple[str, ...] = ()
    error: "UnusableSidecar | None" = None
    has_two: bool = False
