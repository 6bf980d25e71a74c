"""What a network computes besides its logits, on request: hidden states, attentions, pooled features, the loss.

The forward surface that transformers documents for ``ViTModel``, ``ViTForImageClassification`` and their relatives,
with its conventions. An engine calls the network itself, which leaves out whatever its logits do not need.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from vithybrid_cli.errors import UsageError
from vithybrid_cli.model.bit import Bit, BitClassifier
from vithybrid_cli.model.build import Network
from vithybrid_cli.model.vit import Block, VisionTransformer


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """What a network makes of B pictures. Its N tokens are CLS, a DeiT's distillation token, and the patches."""

    logits: Tensor  # [B, C]; without labels, the pooled features
    pooled: Tensor  # what the head reads [B, D]
    last_hidden_state: Tensor  # all tokens after the final norm [B, N, D]; of a BiT the feature map [B, D, h, w]
    hidden_states: tuple[Tensor, ...] | None = None  # the embeddings, then after each layer; of a BiT stem and stages
    attentions: tuple[Tensor, ...] | None = None  # the probabilities of each layer [B, heads, N, N]
    loss: Tensor | None = None  # a scalar, the mean over the pictures


def outputs(
    network: Network,
    pixel_values: Tensor,
    *,
    hidden_states: bool = False,
    attentions: bool = False,
    bool_masked_pos: Tensor | None = None,
    head_mask: Tensor | None = None,
    labels: Tensor | None = None,
) -> Outputs:
    """Normalised pixels [B, 3, H, W] → the outputs asked for. Hidden states are those before the final norm.

    ``bool_masked_pos`` [B, patches] puts the mask token in the place of the patches where it is true. ``head_mask``,
    [heads] or [layers, heads], is what the probabilities of each head are multiplied by. ``labels`` are class indices
    [B] for the cross-entropy or, where the network has one label, values [B] for the mean squared error. Attentions and
    masked heads are computed as eager attention does. Raises UsageError for what the network has no part for, and for
    a wrong shape.
    """
    _check_pixels(network, pixel_values)
    weights: list[Tensor] = []
    if isinstance(network, BitClassifier):
        if attentions or bool_masked_pos is not None or head_mask is not None:
            raise UsageError("a BiT has no attentions, heads or tokens. Ask for its hidden states, features or loss.")
        states = _stages(network.backbone, pixel_values)
    else:
        masks = _of_each_layer(network, head_mask)
        embeddings = network.embeddings(pixel_values, bool_masked_pos)
        states, weights = _layers(network, embeddings, masks, explained=attentions or head_mask is not None)
    last = network.normalized(states[-1])
    logits = network.logits(last)
    return Outputs(
        logits=logits,
        pooled=network.pooled(last),
        last_hidden_state=last,
        hidden_states=tuple(states) if hidden_states else None,
        attentions=tuple(weights) if attentions else None,
        loss=None if labels is None else _loss(logits, labels, len(network.config.labels)),
    )


def _stages(backbone: Bit, pixel_values: Tensor) -> list[Tensor]:
    states = [backbone.stem(pixel_values)]
    for stage in backbone.stages[: backbone.out_stage]:
        states.append(stage(states[-1]))
    return states


def _layers(
    network: VisionTransformer, embeddings: Tensor, masks: list[Tensor | None], *, explained: bool
) -> tuple[list[Tensor], list[Tensor]]:
    """The tokens before and after each layer and, where they are to be ``explained``, the attention of each."""
    states, weights, bias = [embeddings], [], network.bias()
    for block, mask in zip(network.blocks, masks, strict=True):
        assert isinstance(block, Block)
        if explained:
            state, probabilities = block.explained(states[-1], bias, mask)
            weights.append(probabilities)
        else:
            state = block(states[-1], bias=bias)
        states.append(state)
    return states, weights


def _check_pixels(network: Network, pixel_values: Tensor) -> None:
    shape = list(pixel_values.shape)
    if isinstance(network, BitClassifier):
        if len(shape) != 4 or shape[1] != 3:
            raise UsageError(f"pixel_values are {shape}, but this network takes [B, 3, H, W]. Give RGB pictures.")
        return
    height, width = network.config.image_size
    if len(shape) != 4 or shape[1:] != [3, height, width]:
        raise UsageError(
            f"pixel_values are {shape}, but this network takes [B, 3, {height}, {width}]. "
            "Resize the pictures, or read the checkpoint with another image_size."
        )


def _of_each_layer(network: VisionTransformer, head_mask: Tensor | None) -> list[Tensor | None]:
    encoder = network.config.encoder
    layers, heads = encoder.num_hidden_layers, encoder.num_attention_heads
    if head_mask is None:
        return [None] * layers
    if head_mask.shape not in ((heads,), (layers, heads)):
        raise UsageError(f"head_mask is {list(head_mask.shape)}. Give one of [{heads}] or [{layers}, {heads}].")
    return list(head_mask.expand(layers, heads))


def _loss(logits: Tensor, labels: Tensor, classes: int) -> Tensor:
    if not classes:
        raise UsageError("this network has no head, so labels give no loss. Use a checkpoint with a classifier.")
    count = len(logits)
    if labels.shape not in ((count,), (count, 1)):
        raise UsageError(f"labels are {list(labels.shape)} for {count} pictures. Give [{count}].")
    if classes == 1:
        return F.mse_loss(logits.flatten(), labels.flatten().to(logits.dtype))
    if labels.is_floating_point():
        raise UsageError(f"labels are {labels.dtype}, but {classes} classes need their indices. Give integers.")
    return F.cross_entropy(logits, labels.flatten().long())
