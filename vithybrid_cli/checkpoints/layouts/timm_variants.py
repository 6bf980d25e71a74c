"""What timm's constructors know of an architecture and neither its ``config.json`` nor its tensors say. No torch.

Read from timm 1.0.31: ``vision_transformer.py``, ``vision_transformer_hybrid.py``, ``deit.py``, ``beit.py`` and
``resnetv2.py`` in ``timm/models``. A name is only known if all its arithmetic is: many networks of timm have tensors of
the same names and shapes, and compute something else with them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from vithybrid_cli.checkpoints.layouts.fields import field_error, shown
from vithybrid_cli.errors import ModelError
from vithybrid_cli.model.config import Activation

Kind = Literal["vit", "beit", "bit"]


@dataclass(frozen=True, slots=True)
class Variant:
    """An architecture: its class, its published width and heads, and what its head reads unless a file says more."""

    kind: Kind
    width: int
    heads: int
    pool: str = "token"
    hidden_act: Activation = "gelu"

    def heads_of(self, width: int) -> int:
        """The heads of a network of another width, made so that each of them is as wide as those published."""
        return max(width * self.heads // self.width, 1)


# Width and heads by the word for the size.
_SIZES = {
    "tiny": (192, 3),
    "small": (384, 6),
    "medium": (512, 8),
    "betwixt": (640, 10),
    "base": (768, 12),
    "base_patch16_gap": (768, 16),
    "plus": (896, 14),
    "large": (1024, 16),
    "so400m": (1152, 16),
    "huge": (1280, 16),
    "giant": (1408, 16),
    "gigantic": (1664, 16),
    "giantopt": (1536, 16),
}
# Of the old names for single checkpoints, which timm maps to the architecture and a tag.
_OLD = r"(_in21k|_in22k|_in21ft1k|_in22ft1k|_dino|_sam)?"
# Name, with the size in it; class; pooling; activation.
_KNOWN: tuple[tuple[str, Kind, str, Activation], ...] = (
    (rf"vit_(?P<size>tiny|small|base|large|huge|giant|gigantic)_patch(8|14|16|32)_\d+{_OLD}", "vit", "token", "gelu"),
    (r"vit_(?P<size>base)_patch16_224_miil(_in21k)?", "vit", "token", "gelu"),
    (r"vit_base_patch(16|32)_(?P<size>plus)_\d+", "vit", "token", "gelu"),
    (r"vit_(?P<size>small)_patch16_36x1_224", "vit", "token", "gelu"),
    (r"vit_(?P<size>small|base|large)_patch14_dinov2", "vit", "token", "gelu"),
    (r"flexivit_(?P<size>small|base|large)", "vit", "token", "gelu"),
    (r"vit_(?P<size>medium|betwixt|huge|giant)_patch(14|16)_gap_\d+", "vit", "avg", "gelu"),
    (r"vit_(?P<size>base_patch16_gap)_\d+", "vit", "avg", "gelu"),
    (r"eva_(?P<size>large)_patch14_(196|336)", "vit", "avg", "gelu"),
    (r"vit_(?P<size>base)_patch16_siglip_gap_(224|256|384|512)", "vit", "avg", "gelu"),
    (r"vit_(?P<size>base)_patch32_siglip_gap_256", "vit", "avg", "gelu_new"),
    (r"vit_(?P<size>large)_patch16_siglip_gap_(256|384)", "vit", "avg", "gelu"),
    (r"vit_(?P<size>large)_patch16_siglip_gap_512", "vit", "avg", "gelu_new"),
    (r"vit_(?P<size>so400m)_patch14_siglip_gap_(224|378|384|448|896)", "vit", "avg", "gelu"),
    (r"vit_(?P<size>so400m)_patch16_siglip_gap_(256|384|512)", "vit", "avg", "gelu_new"),
    (r"vit_(?P<size>giantopt)_patch16_siglip_gap_(256|384)", "vit", "avg", "gelu_new"),
    (rf"vit_(?P<size>tiny)_r_s16_p8_\d+{_OLD}", "vit", "token", "gelu"),
    (rf"vit_(?P<size>small|base)_r26_s32_\d+{_OLD}", "vit", "token", "gelu"),
    (rf"vit_(?P<size>base)_r50_s16_\d+{_OLD}", "vit", "token", "gelu"),
    (r"vit_(?P<size>base)_resnet50_(224_in21k|384)", "vit", "token", "gelu"),  # as the one before was called
    (rf"vit_(?P<size>large)_r50_s32_\d+{_OLD}", "vit", "token", "gelu"),
    (r"deit_(?P<size>tiny|small|base)_(distilled_)?patch16_\d+", "vit", "token", "gelu"),
    (rf"deit3_(?P<size>small|medium|base|large|huge)_patch(14|16)_\d+{_OLD}", "vit", "token", "gelu"),
    (rf"beit(v2)?_(?P<size>base|large)_patch16_\d+{_OLD}", "beit", "avg", "gelu"),
    (r"resnetv2_(50|101|152)x[1-4]_bit(m|m_in21k|_distilled|_teacher|_teacher_384)?", "bit", "avg", "relu"),
)
_LISTED = (
    "timm's vit_*_patch*, vit_*_gap_*, vit_*_dinov2, flexivit_*, the hybrids vit_tiny_r_s16_p8, vit_small_r26_s32, "
    "vit_base_r50_s16 and vit_large_r50_s32, deit_*, deit3_*, beit_*, beitv2_* and resnetv2_*_bit"
)
# What is not computed here, by a part of the name.
_REFUSED = (
    (r"_reg\d+_|radio|tips", "it has register tokens"),
    (r"_clip_", "its first norm comes before the first layer (CLIP's pre_norm)"),
    (r"_siglip_|_map_", "its head reads a pooling by attention (global_pool 'map')"),
    (r"_s?relpos_", "its positions are relative and come from a network of their own"),
    (r"_rpn_", "its norms come after each branch"),
    (r"x2_|pwee|_xp_", "its layers are computed in parallel"),
    (r"dwee|dlittle", "its attention is differential"),
    (r"giant_patch14_dinov2", "its MLPs are gated (SwiGLU)"),
    (r"rope|dinov3|lingbot|sapiens|_pe_|^eva02|^eva_giant", "its positions are rotations"),
    (r"beit3|aimv2|intern300m", "its norms are others"),
    (r"_resnet\d+d|_mci_|^resnetv2", "its convolutions are others than BiT's"),
)
# Parts that are not computed here, by one of their tensors; older files do not name the constructor's arguments.
_PARTS = {
    "reg_token": "register tokens (reg_tokens)",
    "norm_pre.weight": "a norm before the first layer (pre_norm)",
    "attn_pool.q.weight": "pooling by attention (global_pool 'map')",
    "attn_pool.latent": "pooling by attention (global_pool 'map')",
    "blocks.0.attn.q_norm.weight": "norms of queries and keys (qk_norm)",
    "blocks.0.attn.norm.weight": "norms inside attention (scale_attn_norm)",
    "blocks.0.mlp.norm.weight": "norms inside MLPs (scale_mlp_norm)",
    "blocks.0.mlp.fc1_g.weight": "gated MLPs (swiglu_mlp)",
    "patch_embed.norm.weight": "a norm of the patches (embed_norm_layer)",
    "stem.conv1.weight": "a stem of three convolutions (stem_type)",
    "stages.0.blocks.0.norm1.running_mean": "batch norms (norm_layer)",
}
_TEST_VIT = Variant("vit", 64, 2)


def variant_of(architecture: object, where: str) -> Variant:
    """The architecture of that name, which may have a tag. Raises ModelError for one that is not known."""
    if not isinstance(architecture, str):
        raise _not_known(architecture, "", where)
    name = architecture.split(".")[0]
    if name == "test_vit":  # timm's own, to be tested with
        return _TEST_VIT
    for pattern, kind, pool, activation in _KNOWN:
        if match := re.fullmatch(pattern, name):
            width, heads = _SIZES[match["size"]] if kind != "bit" else (0, 0)
            return Variant(kind, width, heads, pool, activation)
    reason = next((reason for part, reason in _REFUSED if re.search(part, name)), "")
    raise _not_known(architecture, reason, where)


def unknown_part(shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    """A part of the network with these tensors that is not computed here, if there is one."""
    return next((part for name, part in _PARTS.items() if name in shapes), None)


def _not_known(architecture: object, reason: str, where: str) -> ModelError:
    because = f": {reason}" if reason else ""
    return field_error(where, f"architecture {shown(architecture)} is not supported{because}; known are {_LISTED}")
