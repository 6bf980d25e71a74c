"""What is known about a checkpoint that can be named by an alias."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MAIN: Final = "main"  # the branch of the hub that is fetched where none is named
IMAGENET: Final = "ImageNet-1k"
AUTHORS_OWN: Final = "its author's"  # a set of data that nobody else has


class CatalogFamily(StrEnum):
    """The kind of a network, or how it was trained."""

    HYBRID = "hybrid"
    VIT = "vit"
    DEIT = "deit"
    DINO = "dino"
    BEIT = "beit"
    BIT = "bit"


class Task(StrEnum):
    """What the labels are of; ``features`` are numbers without labels."""

    IMAGENET = "imagenet"
    CIFAR10 = "cifar10"
    FEATURES = "features"
    NSFW = "nsfw"
    AGE = "age"


@dataclass(frozen=True)
class Entry:
    """One known checkpoint.

    ``hub_id`` is ``None`` for the model that is part of the package; so is ``architecture``, the name in
    `vithybrid_cli.checkpoints.layouts.architectures`, which its own config replaces. ``labels`` are those of a
    fine-tune; where there are none, the ``task`` says which they are.

    ``revision`` is what is fetched where the user names none: the main branch, or for want of safetensors there the
    pull request of the hub's conversion bot (``refs/pr/N``), by its commit where all of that is known. Such a pull
    request must be at ``commit``; of a main branch, which may move on, ``commit`` is only where ``sha256``, the digest
    of ``model.safetensors``, was read. Commits may be shortened; they and digests are ``None`` where they are not
    known. ``size_bytes`` is what a first use fetches; ``gmacs`` are billions of multiply-additions for one picture;
    ``image_size`` is in pixels.

    It was trained or fine-tuned on ``dataset``; ``top1`` and ``top5`` are percentages on its validation set, measured
    with the preprocessing that ``measured_with`` says, which is ``measured_otherwise`` if the checkpoint's own files
    ask for another one. What no source tells is ``None``, or "unknown".
    """

    alias: str
    hub_id: str | None
    family: CatalogFamily
    task: Task
    labels: tuple[str, ...]
    architecture: str | None
    revision: str | None
    commit: str | None
    sha256: str | None
    size_bytes: int
    parameters: int
    gmacs: float | None
    image_size: int
    dataset: str
    top1: float | None
    top5: float | None
    measured_with: str | None
    measured_otherwise: bool
    licence: str
    layout: str
    description: str

    @property
    def name(self) -> str:
        """What error messages and listings call it: the hub id, or the alias of the built-in model."""
        return self.hub_id or self.alias

    @property
    def comparable_top1(self) -> float | None:
        """``top1`` if it is on ImageNet-1k: with ten labels it is easier to be right than with a thousand."""
        return self.top1 if self.dataset == IMAGENET else None
