"""The checkpoints this version can load by name, with what is known about each; a new one is a new row."""

from dataclasses import dataclass
from typing import Final

DEFAULT_MODEL: Final = "google/vit-hybrid-base-bit-384"
BUILT_IN: Final = "tiny"


@dataclass(frozen=True)
class Entry:
    """One known checkpoint.

    ``revision`` is the (shortened) commit at which ``sha256``, the digest of ``model.safetensors``, was read.
    ``size_bytes`` is what a first use fetches; ``image_size`` is in pixels; ``top1`` and ``top5`` are percentages on
    ``dataset``. ``hub_id`` is ``None`` for the model that is part of the package.
    """

    alias: str
    hub_id: str | None
    revision: str | None
    sha256: str | None
    size_bytes: int
    parameters: int
    image_size: int
    dataset: str
    top1: float | None
    top5: float | None
    licence: str
    layout: str
    description: str

    @property
    def name(self) -> str:
        """What error messages and listings call it: the hub id, or the alias of the built-in model."""
        return self.hub_id or self.alias


# Size, parameters, image size and accuracy of the built-in model are measured by `make tiny`;
# tests/test_catalog.py holds all but the accuracy against the shipped files.
TINY: Final = Entry(
    alias=BUILT_IN,
    hub_id=None,
    revision=None,
    sha256=None,
    size_bytes=5_332_935,
    parameters=2_656_298,
    image_size=64,
    dataset="CIFAR-10",
    top1=86.02,
    top5=99.00,
    licence="Apache-2.0",
    layout="transformers",
    description="built in, ten labels, needs no network",
)

# Revision and sha256: the hub's own record of model.safetensors. Size: the same record, rounded to a megabyte.
# Accuracy: timm's results for vit_base_r50_s16_384, which is the same network with the same weights.
BASE_384: Final = Entry(
    alias="base-384",
    hub_id=DEFAULT_MODEL,
    revision="e8cc9d5",
    sha256="0dc3dcb8990acc23def4b732654e19b4cb23af44ab776ca3c6038ec0971b2531",
    size_bytes=396_000_000,
    parameters=98_950_952,
    image_size=384,
    dataset="ImageNet-1k",
    top1=84.99,
    top5=97.30,
    licence="Apache-2.0",
    layout="transformers",
    description="the published Hybrid ViT, a thousand labels; the default",
)

ENTRIES: Final = (TINY, BASE_384)


def resolve(name: str) -> Entry | None:
    """Return the row whose alias or hub id is ``name``, or ``None`` for a name the catalog does not know."""
    return next((entry for entry in ENTRIES if name in (entry.alias, entry.hub_id)), None)
