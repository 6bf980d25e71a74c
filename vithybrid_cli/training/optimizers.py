"""Which optimiser trains which parameter of a network, and how fast."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import nn

from vithybrid_cli.model.vit import VisionTransformer
from vithybrid_cli.training.muon import Muon
from vithybrid_cli.training.network import learning
from vithybrid_cli.training.precision import gains_from_bfloat16
from vithybrid_cli.training.recipe import Recipe

# In addition to all vectors, as in ``no_weight_decay`` of timm's ViT and BEiT.
_UNDECAYED = ("cls_token", "distillation_token", "position_embeddings", "relative_position_bias.table")
_MUON_MOMENTUM = 0.9  # rather than 0.95, for runs of few steps
_BLOCK = re.compile(r"blocks\.(\d+)\.")

# What each kind of optimiser keeps for a parameter; "step" is a scalar, the others have the parameter's shape.
MOMENTS: dict[type[torch.optim.Optimizer], tuple[str, ...]] = {
    torch.optim.AdamW: ("step", "exp_avg", "exp_avg_sq"),
    Muon: ("momentum_buffer",),
}


@dataclass(frozen=True, slots=True)
class _Part:
    """How a parameter is trained."""

    muon: bool
    decays: bool
    scale: float  # of its learning rate
    head: bool


def optimizers(network: VisionTransformer, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """The optimisers of all parameters that learn; each group has its rate as ``highest``, and whether it is ``head``.

    Names are those of the network with or without parametrisations.
    """
    parts = [(_part(name, parameter, network, recipe), parameter) for name, parameter in learning(network)]
    adam, muon = ([one for one in parts if one[0].muon is wanted] for wanted in (False, True))
    made: list[torch.optim.Optimizer] = []
    if adam:
        groups = list(_groups(adam, recipe, recipe.learning_rate))
        made.append(torch.optim.AdamW(groups, recipe.learning_rate, (0.9, recipe.beta2), fused=True))
    if muon:
        assert recipe.matrix_rate is not None
        groups = list(_groups(muon, recipe, recipe.matrix_rate))
        dtype = torch.bfloat16 if gains_from_bfloat16(muon[0][1].device) else torch.float32
        made.append(Muon(groups, recipe.matrix_rate, momentum=_MUON_MOMENTUM, dtype=dtype))
    return made


def _groups(parts: list[tuple[_Part, nn.Parameter]], recipe: Recipe, rate: float) -> Iterator[dict[str, Any]]:
    """Groups for an optimiser, of the parameters that are trained alike."""

    def key(one: tuple[_Part, nn.Parameter]) -> tuple[bool, float, bool]:
        return one[0].decays, one[0].scale, one[0].head

    for (decays, scale, head), alike in groupby(sorted(parts, key=key), key):
        weight_decay = recipe.weight_decay if decays else 0.0
        params = [parameter for _, parameter in alike]
        yield {"params": params, "weight_decay": weight_decay, "highest": rate * scale, "head": head}


def _part(name: str, parameter: nn.Parameter, network: VisionTransformer, recipe: Recipe) -> _Part:
    matrix = parameter.ndim > 1 and not name.replace(".original", "").endswith(_UNDECAYED)
    # What reads pixels and what makes logits are AdamW's, as the article on Muon has it.
    first = "embeddings.projection." if network.embeddings.backbone is None else "embeddings.backbone.stem."
    inside, head = matrix and not name.startswith((first, "head.")), name.startswith("head.")
    scale = recipe.layer_decay ** (len(network.blocks) + 1 - _layer(name, len(network.blocks)))
    if head and recipe.head_rate is not None and recipe.learning_rate:
        scale = recipe.head_rate / recipe.learning_rate
    return _Part(muon=inside and recipe.matrix_rate is not None, decays=matrix, scale=scale, head=head)


def _layer(name: str, blocks: int) -> int:
    """0 for what makes the tokens, then the number of an encoder layer from 1, and one more for what follows them.

    As BEiT's layer-wise decay counts (https://arxiv.org/abs/2106.08254, appendix H).
    """
    if name.startswith(("embeddings.", "relative_position_bias.")):
        return 0
    block = _BLOCK.match(name)
    return blocks + 1 if block is None else int(block[1]) + 1
