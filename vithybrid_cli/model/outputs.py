"""What a network computes besides its logits, on request: hidden states, attentions, pooled features, the loss.

The outputs that transformers documents for ``ViTModel``, ``ViTForImageClassification`` and their relatives, with its
conventions. An engine calls the network itself, which computes only what the logits need.
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
    """What a network gives for B pictures. Its N tokens are CLS and a distillation token, if any, and the patches."""

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

    ``bool_masked_pos`` [B, patches] is true for the patches that the mask token replaces. ``head_mask``, [heads] or
    [layers, heads], multiplies the attention probabilities of each head. ``labels`` are class indices [B] for the
    cross-entropy or, if the network has one label, values [B] for the mean squared error. With ``attentions`` or a
    ``head_mask`` attention is computed eagerly. Raises UsageError for a wrong shape, and for an output that this
    network does not have.
    """
    _check_pixels(network, pixel_values)
    maps: list[Tensor] = []
    if isinstance(network, BitClassifier):
        if attentions or bool_masked_pos is not None or head_mask is not None:
            raise UsageError(
                "A BiT has no attentions, heads or tokens.", "Ask for its hidden states, features or loss instead."
            )
        states = _stages(network.backbone, pixel_values)
    else:
        masks = _layer_masks(network, head_mask)
        embeddings = network.embeddings(pixel_values, bool_masked_pos)
        states, maps = _layers(network, embeddings, masks, attention_maps=attentions or head_mask is not None)
    last = network.normalized(states[-1])
    logits = network.forward_head(last)
    return Outputs(
        logits=logits,
        pooled=network.pooled(last),
        last_hidden_state=last,
        hidden_states=tuple(states) if hidden_states else None,
        attentions=tuple(maps) if attentions else None,
        loss=None if labels is None else _loss(logits, labels, len(network.config.labels)),
    )


def _stages(backbone: Bit, pixel_values: Tensor) -> list[Tensor]:
    states = [backbone.stem(pixel_values)]
    for stage in backbone.stages[: backbone.out_stage]:
        states.append(stage(states[-1]))
    return states


def _layers(
    network: VisionTransformer, embeddings: Tensor, masks: list[Tensor | None], *, attention_maps: bool
) -> tuple[list[Tensor], list[Tensor]]:
    """The tokens before and after each layer and, if ``attention_maps``, the attention probabilities of each."""
    states, maps, bias = [embeddings], [], network.bias()
    for block, mask in zip(network.blocks, masks, strict=True):
        assert isinstance(block, Block)
        if attention_maps:
            state, probabilities = block.forward_with_map(states[-1], bias, mask)
            maps.append(probabilities)
        else:
            state = block(states[-1], bias=bias)
        states.append(state)
    return states, maps


def _check_pixels(network: Network, pixel_values: Tensor) -> None:
    shape = list(pixel_values.shape)
    if isinstance(network, BitClassifier):
        if len(shape) != 4 or shape[1] != 3:
            raise UsageError(
                f"`pixel_values` has the shape {shape}, but this network takes [B, 3, H, W].",
                "Give a batch of RGB pictures.",
            )
        return
    height, width = network.config.image_size
    if len(shape) != 4 or shape[1:] != [3, height, width]:
        raise UsageError(
            f"`pixel_values` has the shape {shape}, but this network takes [B, 3, {height}, {width}].",
            "Resize the pictures, or load the checkpoint with another {image_size}.",
        )


def _layer_masks(network: VisionTransformer, head_mask: Tensor | None) -> list[Tensor | None]:
    encoder = network.config.encoder
    layers, heads = encoder.num_hidden_layers, encoder.num_attention_heads
    if head_mask is None:
        return [None] * layers
    if head_mask.shape not in ((heads,), (layers, heads)):
        raise UsageError(
            f"`head_mask` has the shape {list(head_mask.shape)}.",
            f"Give one of shape [{heads}] or [{layers}, {heads}].",
        )
    return list(head_mask.expand(layers, heads))


def _loss(logits: Tensor, labels: Tensor, classes: int) -> Tensor:
    if not classes:
        raise UsageError("This network has no head, so there is no loss.", "Use a checkpoint with a classifier.")
    count = len(logits)
    if labels.shape not in ((count,), (count, 1)):
        raise UsageError(
            f"`labels` has the shape {list(labels.shape)} for {count} pictures.", f"Give labels of shape [{count}]."
        )
    if classes == 1:
        return F.mse_loss(logits.flatten(), labels.flatten().to(logits.dtype))
    if labels.is_floating_point():
        raise UsageError(f"`labels` are {labels.dtype}, but {classes} classes need class indices.", "Give integers.")
    return F.cross_entropy(logits, labels.flatten().long())
