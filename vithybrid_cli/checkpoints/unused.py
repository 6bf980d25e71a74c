"""Tensors that belong to no network of this package, by a list: what training and other tasks leave in files. No torch.

All of them lie outside of encoder and backbone, but for counters and buffers, which lie anywhere and decide nothing.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from vithybrid_cli.errors import listed
from vithybrid_cli.model.config import NetworkConfig, VitConfig

# Buffers that follow from the config, which older files of published checkpoints have: not worth a word.
SILENT = re.compile(r"(?:^|\.)relative_position_index$")

_LISTED = 8  # names in a notice

# Anywhere: counters of batch norm and of profilers, positions that are counted from 0.
_ANYWHERE = re.compile(
    r"(?:^|\.)(?:num_batches_tracked|position_ids|total_ops|total_params|_extra_state|attn_mask)$"
    r"|(?:^|\.)relative_position_index$"
)
# By the first module of the name, where that lies beside the network: what is trained with it and not used after.
_BESIDE = re.compile(
    r"(?:"
    r"decoder(?:_\w+)?|lm_head|mim_head|mask_token|mask_head|pred_head|reconstruction_head"  # masked pre-training
    r"|decode_head|auxiliary_head|aux_head|fpn\d?|neck"  # segmentation and detection
    r"|(?:\w+_)?(?:loss|losses|criterion|criteria)(?:_\w+)?|class_weights?|pos_weight|label_smoothing"  # losses
    r"|(?:dino|ibot|mlp)_head|projector|projection_head|proj_head|predictor|prototypes|center|queue|queue_ptr"
    r"|ema_decay|decay|n_averaged|initted|step|epoch|global_step|num_updates"
    r"|(?:train|val|valid|validation|test)_(?:acc\w*|f1\w*|auroc|auc|precision|recall|mae|mse|metrics?)|metrics?"
    r")(?:\.|$)"
)


# A head of one's own, of several layers, in place of the linear one: not computed here, and nothing below it needs it.
_HEAD_OF_LAYERS = re.compile(r"(?:classifier|head|fc)\.\w+\.")
# What the names of parts have that some networks of a family lack.
_OF_A_PART = re.compile(r"pooler|mask_token|^layernorm|pre_logits|head_dist|distillation_classifier")


def is_unused(name: str, config: NetworkConfig, *, nested: bool) -> bool:
    """Whether no part of the network reads the tensor that its layout calls ``name``.

    ``nested`` tells whether encoder and backbone are in a module of their own, beside which the other parts lie.
    """
    return never_used(name) or _is_of_another_part(name, config, nested)


def never_used(name: str) -> bool:
    """Whether no network of this package has a tensor that is called ``name``."""
    return bool(_ANYWHERE.search(name) or _BESIDE.match(name))


def _is_of_another_part(name: str, config: NetworkConfig, nested: bool) -> bool:
    """Whether it is of a part that other networks of the family have and this one lacks."""
    if not config.labels and _HEAD_OF_LAYERS.match(name):
        return True
    if not isinstance(config, VitConfig):
        return False
    if not _OF_A_PART.search(name):
        return False
    lacking = {
        # A classifier's ViT, Hybrid ViT or DeiT is saved with a pooler by some, and transformers reads none then.
        r"(?:\w+\.)?pooler\.dense\.(?:weight|bias)": not config.pooler,
        r"(?:\w+\.)?pooler\.layernorm\.(?:weight|bias)": not config.mean_pooling,
        r"(?:\w+\.)?embeddings\.mask_token": not config.mask_token,
        r"layernorm\.(?:weight|bias)": config.family == "beit"
        and (nested or config.mean_pooling),  # of BEiT's mask head
        r"pre_logits\.(?:fc\.)?(?:weight|bias)": not config.pooler,  # timm leaves it out as well
        r"(?:head_dist|distillation_classifier)\.(?:weight|bias)": not config.distillation_head,
    }
    return any(absent and re.fullmatch(part, name) for part, absent in lacking.items())


def notice(path: Path, names: Iterable[str]) -> str:
    """One line that says which tensors were left out."""
    given = sorted(names)
    what = "a tensor" if len(given) == 1 else f"{len(given)} tensors"
    return f"{path} has {what} that its network does not use, left out: {listed(given, _LISTED)}."
