"""The checkpoints that this version loads by name, and what is known about each; a new one is a new row.

Where the numbers of the published ones come from:

- Parameters: counted in our network, as its file stores them; tests/checkpoints/test_architectures.py compares them
  with what was published. A file's size that is not known is taken as four bytes for each, rounded to a megabyte.
- GMACs, billions of multiply-additions for one picture: timm's benchmark of inference (``infer_gmacs``, in
  https://github.com/huggingface/pytorch-image-models/tree/main/results). It counts all tokens through all layers; our
  networks compute only those of the last layer that the head reads. What timm's tables lack is counted in our network,
  in the same way.
- Accuracy: timm's results (``results-imagenet.csv``, same place) for the same weights, also for Google's in the layout
  of transformers; for DeiT and BEiT the tables of their own repositories. DINO has no head and thus no accuracy.
- Licence: the model cards, and ``license`` in timm's ``pretrained_cfg``.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Final

DEFAULT_MODEL: Final = "google/vit-hybrid-base-bit-384"
BUILT_IN: Final = "tiny"
MAIN: Final = "main"  # the branch of the hub that is fetched where none is named
IMAGENET: Final = "ImageNet-1k"


class CatalogFamily(StrEnum):
    """The kind of a network, or how it was trained."""

    HYBRID = "hybrid"
    VIT = "vit"
    DEIT = "deit"
    DINO = "dino"
    BEIT = "beit"
    BIT = "bit"


@dataclass(frozen=True)
class Entry:
    """One known checkpoint.

    ``revision`` is what is fetched where the user names none: the main branch, or for want of safetensors there the
    pull request of the hub's conversion bot (``refs/pr/N``), by its commit where all of that is known. Such a pull
    request must be at ``commit``; of a main branch, which may move on, ``commit`` is only where ``sha256``, the digest
    of ``model.safetensors``, was read. Commits may be shortened; they and digests are ``None`` where they are not
    known. ``hub_id`` is ``None`` for the model that is part of the package; so is
    ``architecture``, the name in `vithybrid_cli.checkpoints.layouts.architectures`, which its own config replaces.
    ``size_bytes`` is what a first use fetches; ``gmacs`` are billions of multiply-additions for one picture;
    ``image_size`` is in pixels. It was trained or fine-tuned on ``dataset``; ``top1`` and ``top5`` are percentages on
    its validation set.
    """

    alias: str
    hub_id: str | None
    family: CatalogFamily
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


# Size, parameters, image size and accuracy of the built-in model are measured by `make tiny`, its GMACs are counted
# in our network; test_catalog.py and test_architectures.py hold all but the accuracy against its files.
TINY: Final = Entry(
    alias=BUILT_IN,
    hub_id=None,
    family=CatalogFamily.HYBRID,
    architecture=None,
    revision=None,
    commit=None,
    sha256=None,
    size_bytes=5_332_935,
    parameters=2_656_298,
    gmacs=0.07,
    image_size=64,
    dataset="CIFAR-10",
    top1=86.02,
    top5=99.00,
    licence="Apache-2.0",
    layout="transformers",
    description="built in, ten labels, needs no network",
)

# Commit and sha256: the hub's own record of model.safetensors. Size: the same record, rounded to a megabyte.
# Accuracy: timm's results for vit_base_r50_s16_384, which is the same network with the same weights.
BASE_384: Final = Entry(
    alias="base-384",
    hub_id=DEFAULT_MODEL,
    family=CatalogFamily.HYBRID,
    architecture="vit_base_r50_s16_384",
    revision=MAIN,
    commit="e8cc9d5",
    sha256="0dc3dcb8990acc23def4b732654e19b4cb23af44ab776ca3c6038ec0971b2531",
    size_bytes=396_000_000,
    parameters=98_950_952,
    gmacs=67.43,
    image_size=384,
    dataset=IMAGENET,
    top1=84.99,
    top5=97.30,
    licence="Apache-2.0",
    layout="transformers",
    description="the published Hybrid ViT; the default",
)


def _at(commit: str, sha256: str | None = None) -> tuple[str, str | None, str | None]:
    """What is fetched is the commit itself: nobody can move that."""
    return commit, commit, sha256


# Where model.safetensors waits in the pull request of the conversion bot or what it is on the main branch, as the
# hub's pages of 2024 to 2026 have it: what is fetched, its commit, its sha256.
_FETCHED: Final[dict[str, tuple[str, str | None, str | None]]] = {
    "google/bit-50": _at("9e9a281aa096247270860f9cda4f68daacca33d0"),
    "google/vit-large-patch16-224": _at(
        "8041a8c7b0517e25d4cfa63f2e2e35b50b853386", "e145bac42eabd05431772b91c046920c901c2777817c5339d4e87aaaf2d6a3ce"
    ),
    "google/vit-large-patch16-384": ("refs/pr/1", None, None),
    "facebook/deit-tiny-patch16-224": ("refs/pr/3", "7cfd95a", None),
    "facebook/deit-small-patch16-224": ("refs/pr/4", "44af8df", None),
    "facebook/deit-base-patch16-224": _at(
        "d864b19ac2f8bd86027ddab0339dac4f733342a8", "d87f1ddbbfd353c7c81705f0f223093bd1e61633ed21cd25aac0919bdd12b3a8"
    ),
    "facebook/deit-base-patch16-384": _at(
        "dc8ec3a5e95c93d6dc9b4a79ba0d0cd4ab8e8f89", "dd4f1594f3e08492de69d37380e26faa82f873b3aded1c6e5fccef4d0c1dc241"
    ),
    "facebook/deit-base-distilled-patch16-224": (
        "refs/pr/2",
        "1558311",
        "15667e351ef635d1b6450f400cd3462f4287f0cbd7e1e3be9826db942ceeb69d",
    ),
    "facebook/dino-vits16": _at("a7a4d161f5c0bd70478c05ca5777ec7cd8848021"),
    "facebook/dino-vitb16": _at(
        "a77533c84408875b30b5e8beb766c82a5be82bf4", "2c465a30aa590f9b3fbe36feb962a1eb35635da809643f42857cf64ee450007c"
    ),
    "facebook/dino-vits8": (MAIN, "483f2fc", "87f9945d7793843d3d8d2b213cbce5fbc6983e277d145060b5035d45450dc452"),
    "facebook/dino-vitb8": (MAIN, "f1ca762", "f51c99ce793d1eb87daf2a670b9e11e50927fd00334d2cac75cbd30666d13f6b"),
    "microsoft/beit-base-patch16-224": (MAIN, "f02e8f7", None),
}


def _published(
    family: CatalogFamily,
    alias: str,
    hub_id: str,
    image_size: int,
    parameters: int,
    gmacs: float,
    accuracy: tuple[float, float] | None,
    description: str,
) -> Entry:
    """A row for a checkpoint of ImageNet-1k; ``accuracy`` is ``top1`` and ``top5``.

    Its architecture is its name on the hub up to the first dot; the rest says how it was trained.
    """
    top1, top5 = accuracy or (None, None)
    revision, commit, sha256 = _FETCHED.get(hub_id, (MAIN, None, None))
    return Entry(
        alias=alias,
        hub_id=hub_id,
        family=family,
        architecture=hub_id.partition("/")[2].partition(".")[0].replace("-", "_"),
        revision=revision,
        commit=commit,
        sha256=sha256,
        size_bytes=round(4 * parameters, -6),
        parameters=parameters,
        gmacs=gmacs,
        image_size=image_size,
        dataset=IMAGENET,
        top1=top1,
        top5=top5,
        licence="Apache-2.0",
        layout="timm" if hub_id.startswith("timm/") else "transformers",
        description=description,
    )


def _augreg(
    family: CatalogFamily,
    alias: str,
    name: str,
    parameters: int,
    gmacs: float,
    accuracy: tuple[float, float],
    description: str,
) -> Entry:
    """A row for what Google published with "How to train your ViT?" (https://arxiv.org/abs/2106.10270), by timm."""
    hub_id, image_size = f"timm/{name}.augreg_in21k_ft_in1k", int(name.rpartition("_")[2])
    return _published(family, alias, hub_id, image_size, parameters, gmacs, accuracy, description)


_hybrid, _vit = partial(_augreg, CatalogFamily.HYBRID), partial(_augreg, CatalogFamily.VIT)
_google, _deit, _dino = (
    partial(_published, family) for family in (CatalogFamily.VIT, CatalogFamily.DEIT, CatalogFamily.DINO)
)

_HYBRIDS: Final = (
    _hybrid("r-ti16-224", "vit_tiny_r_s16_p8_224", 6_337_704, 0.44, (71.80, 90.81), "the least work for ImageNet"),
    _hybrid("r-ti16-384", "vit_tiny_r_s16_p8_384", 6_355_944, 1.34, (75.96, 93.27), "small and fast"),
    _hybrid("r26-s32-224", "vit_small_r26_s32_224", 36_431_912, 3.6, (81.86, 96.04), "fast and good"),
    _hybrid("r26-s32-384", "vit_small_r26_s32_384", 36_468_392, 10.43, (84.07, 97.31), "a sixth of base-384's work"),
    BASE_384,
    _published(
        CatalogFamily.HYBRID,
        "r50-b16-384",
        "timm/vit_base_r50_s16_384.orig_in21k_ft_in1k",
        384,
        98_950_952,
        67.43,
        (84.99, 97.30),
        "base-384 in timm's layout",
    ),
    _hybrid("r50-l32-224", "vit_large_r50_s32_224", 328_994_856, 19.58, (84.43, 97.15), "large, for small pictures"),
    _hybrid("r50-l32-384", "vit_large_r50_s32_384", 329_092_136, 57.43, (86.19, 97.93), "the best of the hybrids"),
)
_VITS: Final = (
    _google(
        "vit-base-224",
        "google/vit-base-patch16-224",
        224,
        86_567_656,
        17.58,
        (81.79, 96.12),
        "base size, as in the ViT paper",
    ),
    _google(
        "vit-base-384",
        "google/vit-base-patch16-384",
        384,
        86_859_496,
        55.54,
        (84.21, 97.22),
        "vit-base-224 for larger pictures",
    ),
    _google(
        "vit-large-224",
        "google/vit-large-patch16-224",
        224,
        304_326_632,
        61.6,
        None,
        "large, as in the ViT paper",
    ),
    _google(
        "vit-large-384",
        "google/vit-large-patch16-384",
        384,
        304_715_752,
        191.21,
        None,
        "vit-large-224 for larger pictures",
    ),
    _vit(
        "augreg-base-32-384", "vit_base_patch32_384", 88_297_192, 13.0, (83.35, 96.83), "coarse patches, so less work"
    ),
    _vit("augreg-base-224", "vit_base_patch16_224", 86_567_656, 17.58, (84.53, 97.30), "vit-base-224, trained better"),
    _vit("augreg-base-384", "vit_base_patch16_384", 86_859_496, 55.54, (86.01, 98.00), "vit-base-384, trained better"),
    _vit("augreg-large-224", "vit_large_patch16_224", 304_326_632, 61.6, (85.83, 97.82), "large, trained better"),
    _vit("augreg-large-384", "vit_large_patch16_384", 304_715_752, 191.21, (87.08, 98.30), "the best of all, and slow"),
)
_DEITS: Final = (
    _deit(
        "deit-tiny", "facebook/deit-tiny-patch16-224", 224, 5_717_416, 1.26, (72.20, 91.10), "the smallest for ImageNet"
    ),
    _deit(
        "deit-small",
        "facebook/deit-small-patch16-224",
        224,
        22_050_664,
        4.61,
        (79.90, 95.00),
        "small, of ImageNet-1k alone",
    ),
    _deit(
        "deit-base",
        "facebook/deit-base-patch16-224",
        224,
        86_567_656,
        17.58,
        (81.80, 95.60),
        "base size, of ImageNet-1k alone",
    ),
    _deit(
        "deit-base-384",
        "facebook/deit-base-patch16-384",
        384,
        86_859_496,
        55.54,
        (82.90, 96.20),
        "deit-base for larger pictures",
    ),
    _deit(
        "deit-base-distilled",
        "facebook/deit-base-distilled-patch16-224",
        224,
        87_338_192,
        17.68,
        (83.40, 96.50),
        "taught by a RegNet",
    ),
)
_DINOS: Final = (
    _dino("dino-vits16", "facebook/dino-vits16", 224, 21_665_664, 4.61, None, "features only, no labels"),
    _dino("dino-vits8", "facebook/dino-vits8", 224, 21_670_272, 22.44, None, "features only, finer patches"),
    _dino("dino-vitb16", "facebook/dino-vitb16", 224, 85_798_656, 17.58, None, "features only, larger"),
    _dino("dino-vitb8", "facebook/dino-vitb8", 224, 85_807_872, 78.22, None, "features only, larger, finer patches"),
)
_BEITS: Final = (
    _published(
        CatalogFamily.BEIT,
        "beit-base",
        "microsoft/beit-base-patch16-224",
        224,
        86_530_984,
        17.58,
        (85.20, 97.60),
        "the best of its size at 224",
    ),
)
_BITS: Final = (
    _published(
        CatalogFamily.BIT,
        "bit-50",
        "google/bit-50",
        448,
        25_549_352,
        16.4,
        (80.38, 95.70),
        "a ResNet without a transformer",
    ),
)
ENTRIES: Final = (TINY, *_HYBRIDS, *_VITS, *_DEITS, *_DINOS, *_BEITS, *_BITS)


def resolve(name: str) -> Entry | None:
    """Return the row whose alias or hub id is ``name``, or ``None`` for a name the catalog does not know."""
    return next((entry for entry in ENTRIES if name in (entry.alias, entry.hub_id)), None)
