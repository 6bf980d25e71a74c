"""timm's names of networks, and which of several checkpoints each of them means there.

The hub has one repository for each checkpoint, ``timm/NAME.TAG``. ``timm.create_model(NAME)`` takes the default one,
and still knows the names of before 2023. Both tables are those of timm 1.0.31, for the families that load here.
"""

import re
from typing import Final

OWNER: Final = "timm/"
_FAMILIES = re.compile(r"(vit|deit3?|beit(v2)?|resnetv2|flexivit)_[a-z0-9_]+(\.[a-z0-9_]+)?")

_DEFAULT_TAGS: Final = {
    "augreg_in21k_ft_in1k": (
        "vit_tiny_patch16_224 vit_tiny_patch16_384 vit_small_patch16_224 vit_small_patch16_384 vit_small_patch32_224 "
        "vit_small_patch32_384 vit_base_patch16_384 vit_base_patch32_224 vit_base_patch32_384 vit_large_patch16_224 "
        "vit_large_patch16_384 vit_tiny_r_s16_p8_224 vit_tiny_r_s16_p8_384 vit_small_r26_s32_224 vit_small_r26_s32_384 "
        "vit_large_r50_s32_224 vit_large_r50_s32_384"
    ),
    "augreg2_in21k_ft_in1k": "vit_base_patch16_224 vit_base_patch8_224",
    "orig_in21k_ft_in1k": "vit_base_r50_s16_384 vit_large_patch32_384",
    "orig_in21k": "vit_base_r50_s16_224 vit_large_patch32_224 vit_huge_patch14_224",
    "in21k": "vit_base_patch16_224_miil",
    "sw_in12k": "vit_medium_patch16_gap_240",
    "sw_in12k_ft_in1k": "vit_medium_patch16_gap_256 vit_medium_patch16_gap_384",
    "fb_in1k": (
        "deit_tiny_patch16_224 deit_small_patch16_224 deit_base_patch16_224 deit_base_patch16_384 "
        "deit_tiny_distilled_patch16_224 deit_small_distilled_patch16_224 deit_base_distilled_patch16_224 "
        "deit_base_distilled_patch16_384 deit3_small_patch16_224 deit3_small_patch16_384 deit3_medium_patch16_224 "
        "deit3_base_patch16_224 deit3_base_patch16_384 deit3_large_patch16_224 deit3_large_patch16_384 "
        "deit3_huge_patch14_224"
    ),
    "in22k_ft_in22k_in1k": (
        "beit_base_patch16_224 beit_base_patch16_384 beit_large_patch16_224 beit_large_patch16_384 "
        "beit_large_patch16_512"
    ),
    "in1k_ft_in22k_in1k": "beitv2_base_patch16_224 beitv2_large_patch16_224",
    "goog_in21k_ft_in1k": "resnetv2_50x3_bit resnetv2_101x1_bit resnetv2_101x3_bit resnetv2_152x4_bit",
    "goog_distilled_in1k": "resnetv2_50x1_bit",
    "goog_teacher_in21k_ft_in1k": "resnetv2_152x2_bit",
}
_TAG_OF: Final = {name: tag for tag, names in _DEFAULT_TAGS.items() for name in names.split()}

# Endings of the old names, and what timm has in their place; a network that has it otherwise stands before the rule.
_OLD: Final = (
    (re.compile(r"vit_base_resnet50_384"), "vit_base_r50_s16_384.orig_in21k_ft_in1k"),
    (re.compile(r"vit_base_(?:resnet50|r50_s16)_224_in21k"), "vit_base_r50_s16_224.orig_in21k"),
    (re.compile(r"(vit_large_patch32_224|vit_huge_patch14_224)_in21k"), r"\1.orig_in21k"),
    (re.compile(r"(vit_base_patch16_224_miil)_in21k"), r"\1.in21k"),
    (re.compile(r"(vit_(?:tiny|small|base|large)_(?:patch|r)\w+)_in21k"), r"\1.augreg_in21k"),
    (re.compile(r"(vit_base_patch(?:16|32)_224)_sam"), r"\1.sam_in1k"),
    (re.compile(r"(vit_(?:small|base)_patch(?:8|16)_224)_dino"), r"\1.dino"),
    (re.compile(r"(deit3_\w+)_in21ft1k"), r"\1.fb_in22k_ft_in1k"),
    (re.compile(r"(beit_\w+)_in22k"), r"\1.in22k_ft_in22k"),
    (re.compile(r"(resnetv2_\w+_bit)m_in21k"), r"\1.goog_in21k"),
    (re.compile(r"(resnetv2_\w+_bit)m"), r"\1.goog_in21k_ft_in1k"),
    (re.compile(r"(resnetv2_50x1_bit)_distilled"), r"\1.goog_distilled_in1k"),
    (re.compile(r"(resnetv2_152x2_bit)_teacher(|_384)"), r"\1.goog_teacher_in21k_ft_in1k\2"),
)


def is_of_timm(name: str) -> bool:
    """Whether it has the form of timm's names of these families, with a tag or without."""
    return _FAMILIES.fullmatch(name) is not None


def hub_id(name: str) -> str | None:
    """The repository that timm loads for that name; None for a name whose default checkpoint is not known."""
    if not is_of_timm(name):
        return None
    if "." in name:
        return f"{OWNER}{name}"
    if name in _TAG_OF:
        return f"{OWNER}{name}.{_TAG_OF[name]}"
    renewed = (pattern.sub(new, name) for pattern, new in _OLD if pattern.fullmatch(name))
    found = next(renewed, None)
    return None if found is None else f"{OWNER}{found}"
