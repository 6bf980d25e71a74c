"""The rows of the catalog, and where their numbers come from; a new checkpoint is a new row.

- Parameters: counted in our network, as its file stores them; tests/checkpoints/test_architectures.py compares them
  with what was published. A file's size that is not known is taken as four bytes for each, rounded to a megabyte.
- GMACs, billions of multiply-additions for one picture: timm's benchmark of inference (``infer_gmacs``, in
  https://github.com/huggingface/pytorch-image-models/tree/main/results). It counts all tokens through all layers; our
  networks compute only those of the last layer that the head reads. What timm's tables lack is counted in our network,
  in the same way.
- Accuracy: timm's results (``results-imagenet.csv``, same place) for the same weights, also for Google's in the layout
  of transformers; for DeiT and BEiT the tables of their own repositories; for fine-tunes the model cards. What has no
  labels has no accuracy.
- Licence: the model cards, and ``license`` in timm's ``pretrained_cfg``.
"""

from dataclasses import replace
from functools import partial
from typing import Final

from vithybrid_cli.hub.entry import AUTHORS_OWN, IMAGENET, MAIN, CatalogFamily, Entry, Task
from vithybrid_cli.hub.pins import FETCHED

DEFAULT_MODEL: Final = "google/vit-hybrid-base-bit-384"
BUILT_IN: Final = "tiny"

# Size, parameters, image size and accuracy of the built-in model are measured by `make tiny`, its GMACs are counted
# in our network; test_catalog.py and test_architectures.py hold all but the accuracy against its files.
TINY: Final = Entry(
    alias=BUILT_IN,
    hub_id=None,
    family=CatalogFamily.HYBRID,
    task=Task.CIFAR10,
    labels=(),
    architecture=None,
    revision=None,
    commit=None,
    sha256=None,
    size_bytes=4_913_054,
    parameters=2_448_138,
    gmacs=0.22,
    image_size=64,
    dataset="CIFAR-10",
    top1=90.42,
    top5=99.24,
    measured_with="its own preprocessing",
    measured_otherwise=False,
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
    task=Task.IMAGENET,
    labels=(),
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
    measured_with="timm: bicubic, centre crop of 100 %",
    measured_otherwise=False,
    licence="Apache-2.0",
    layout="transformers",
    description="the published Hybrid ViT; the default",
)


def _evaluation(family: CatalogFamily, size: int, layout: str) -> tuple[str, bool]:
    """What published accuracies were measured with, and whether the published files ask for something else.

    Those of Google, DeiT and BEiT in the layout of transformers resize to the square of the input, or of 256 pixels.
    """
    match family:
        case CatalogFamily.DEIT:
            return f"DeiT's code: bicubic, shortest edge {256 * size // 224}, centre crop", True
        case CatalogFamily.BEIT:
            return f"BEiT's code: bicubic, shortest edge {256 * size // 224}, centre crop", True
        case CatalogFamily.BIT:
            return "timm: bilinear, centre crop of 100 %", False
    percent = 90 if size == 224 else 100
    return f"timm: bicubic, centre crop of {percent} %", layout == "transformers" and family is CatalogFamily.VIT


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
    revision, commit, sha256 = FETCHED.get(hub_id, (MAIN, None, None))
    layout = "timm" if hub_id.startswith("timm/") else "transformers"
    measured_with, measured_otherwise = _evaluation(family, image_size, layout)
    return Entry(
        alias=alias,
        hub_id=hub_id,
        family=family,
        task=Task.IMAGENET,
        labels=(),
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
        measured_with=measured_with if accuracy else None,
        measured_otherwise=measured_otherwise and accuracy is not None,
        licence="Apache-2.0",
        layout=layout,
        description=description,
    )


def _features(
    family: CatalogFamily,
    alias: str,
    hub_id: str,
    image_size: int,
    parameters: int,
    gmacs: float,
    description: str,
    dataset: str = IMAGENET,
) -> Entry:
    """A row for a checkpoint without labels."""
    row = _published(family, alias, hub_id, image_size, parameters, gmacs, None, description)
    return replace(row, task=Task.FEATURES, dataset=dataset)


def _fine_tune(
    task: Task,
    alias: str,
    hub_id: str,
    architecture: str,
    parameters: int,
    gmacs: float,
    labels: tuple[str, ...],
    description: str,
    *,
    dataset: str = "unknown",
    top1: float | None = None,
    licence: str = "Apache-2.0",
    layout: str = "transformers",
) -> Entry:
    """A row for a ViT that somebody trained on for a task of their own."""
    size = int(architecture.rpartition("_")[2])
    row = _published(CatalogFamily.VIT, alias, hub_id, size, parameters, gmacs, None, description)
    measured_with = None if top1 is None else "its author's evaluation"
    changes = replace(row, task=task, labels=labels, architecture=architecture, dataset=dataset, layout=layout)
    return replace(changes, top1=top1, measured_with=measured_with, licence=licence)


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
_google, _deit = partial(_published, CatalogFamily.VIT), partial(_published, CatalogFamily.DEIT)
_dino = partial(_features, CatalogFamily.DINO)

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
    _features(
        CatalogFamily.VIT,
        "vit-base-in21k",
        "google/vit-base-patch16-224-in21k",
        224,
        86_389_248,
        17.58,
        "features; most fine-tunes begin here",
        dataset="ImageNet-21k",
    ),
    _google("vit-tiny-224", "WinKawaks/vit-tiny-patch16-224", 224, 5_717_416, 1.26, None, "tiny, taken from timm"),
    _google("vit-small-224", "WinKawaks/vit-small-patch16-224", 224, 22_050_664, 4.61, None, "small, taken from timm"),
    _vit("augreg-tiny-224", "vit_tiny_patch16_224", 5_717_416, 1.26, (75.45, 92.84), "deit-tiny, trained better"),
    _vit("augreg-small-224", "vit_small_patch16_224", 22_050_664, 4.61, (81.38, 96.14), "small, trained better"),
    _vit(
        "augreg-base-32-384", "vit_base_patch32_384", 88_297_192, 13.0, (83.35, 96.83), "coarse patches, so less work"
    ),
    _vit("augreg-base-224", "vit_base_patch16_224", 86_567_656, 17.58, (84.53, 97.30), "vit-base-224, trained better"),
    _google(
        "augreg2-base-224",
        "timm/vit_base_patch16_224.augreg2_in21k_ft_in1k",
        224,
        86_567_656,
        17.58,
        (85.10, 97.53),
        "the same, tuned anew by timm",
    ),
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
    _deit(
        "deit-base-distilled-384",
        "facebook/deit-base-distilled-patch16-384",
        384,
        87_630_032,
        55.65,
        (85.20, 97.20),
        "the same for larger pictures",
    ),
)
_DINOS: Final = (
    _dino("dino-vits16", "facebook/dino-vits16", 224, 21_665_664, 4.61, "features only, no labels"),
    _dino("dino-vits8", "facebook/dino-vits8", 224, 21_670_272, 22.44, "features only, finer patches"),
    _dino("dino-vitb16", "facebook/dino-vitb16", 224, 85_798_656, 17.58, "features only, larger"),
    _dino("dino-vitb8", "facebook/dino-vitb8", 224, 85_807_872, 78.22, "features only, larger, finer patches"),
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
    # Its file has the head of its training too, which no feature needs, with 6.3 million parameters.
    replace(
        _features(
            CatalogFamily.BEIT,
            "beit-base-pt22k",
            "microsoft/beit-base-patch16-224-pt22k",
            224,
            85_666_128,
            17.58,
            "features only, before any labels",
            dataset="ImageNet-22k",
        ),
        size_bytes=368_000_000,
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
_FINE_TUNES: Final = (
    _fine_tune(
        Task.NSFW,
        "nsfw",
        "Falconsai/nsfw_image_detection",
        "vit_base_patch16_224",
        85_800_194,
        17.58,
        ("normal", "nsfw"),
        "safe for work or not",
        dataset=AUTHORS_OWN,
        top1=98.04,
    ),
    _fine_tune(
        Task.NSFW,
        "nsfw-384",
        "AdamCodd/vit-base-nsfw-detector",
        "vit_base_patch16_384",
        86_092_034,
        55.54,
        ("sfw", "nsfw"),
        "the same for larger pictures",
    ),
    _fine_tune(
        Task.NSFW,
        "nsfw-tiny-384",
        "Marqo/nsfw-image-detection-384",
        "vit_tiny_patch16_384",
        5_597_762,
        4.7,
        ("NSFW", "SFW"),
        "the same, small and fast",
        dataset=AUTHORS_OWN,
        top1=98.56,
        layout="timm",
    ),
    _fine_tune(
        Task.AGE,
        "age",
        "nateraw/vit-age-classifier",
        "vit_base_patch16_224",
        85_805_577,
        17.58,
        ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70"),
        "how old a face looks",
        dataset="FairFace",
        licence="unknown",
    ),
)
ROWS: Final = (TINY, *_HYBRIDS, *_VITS, *_FINE_TUNES, *_DEITS, *_DINOS, *_BEITS, *_BITS)
