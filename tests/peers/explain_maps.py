"""Maps of small networks, from what transformers tells of them and autograd alone: explain_maps.py FOLDER.

Writes a checkpoint for each of ``NAMES`` and, in its ``maps.safetensors``, a picture's ``pixel_values``, and its maps
``attention`` and ``grad-cam`` for the label `LABEL`, and with ``/against`` for that label against `OTHER`. Everything
as the papers have it: relevance [N, N] of all tokens for all tokens, each layer's map and its gradient there at once.
Runs in the peers' environment.
"""

import sys
from pathlib import Path

import torch
from random_tensors import random_tensors
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers.modeling_utils import no_init_weights
from transformers_families import CASES, own_size

NAMES = (
    *("vit", "vit-rectangular", "deit", "deit-distilled", "hybrid", "hybrid-of-patches"),
    *("beit-each", "beit-shared", "beit-absolute", "beit-cls", "bit", "bit-same"),
)
LABEL, OTHER = 3, 1


def main(folder: Path) -> None:
    for seed, name in enumerate(NAMES):
        kind, config, arguments = CASES[name]
        with no_init_weights():
            network = kind(config, **arguments).eval()
        network.load_state_dict(random_tensors(network, seed))
        network.requires_grad_(False)
        network.save_pretrained(folder / name)
        height, width = (160, 192) if name.startswith("bit") else own_size(network)
        pixel_values = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(seed))
        tensors = {"pixel_values": pixel_values}
        for suffix, against in (("", None), ("/against", OTHER)):
            if not name.startswith("bit"):
                tensors["attention" + suffix] = gradient_weighted_attention(network, pixel_values, against)
            tensors["grad-cam" + suffix] = grad_cam(network, pixel_values, against)
        save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, folder / name / "maps.safetensors")


def score(logits: Tensor, against: int | None) -> Tensor:
    return logits[0, LABEL] if against is None else logits[0, LABEL] - logits[0, against]


def gradient_weighted_attention(network: nn.Module, pixel_values: Tensor, against: int | None) -> Tensor:
    """Equations 5 and 6 of https://arxiv.org/abs/2103.15679, and the rows of the tokens that the head reads."""
    found = network(pixel_values.clone().requires_grad_(), output_attentions=True)
    gradients = torch.autograd.grad(score(found.logits, against), found.attentions)
    relevance = torch.eye(found.attentions[0].shape[-1])
    for attention, gradient in zip(found.attentions, gradients, strict=True):
        weighted = (gradient * attention.detach()).clamp(min=0).mean(1)[0]
        relevance = relevance + weighted @ relevance
    relevance = relevance - torch.eye(len(relevance))  # what a token has of itself from the beginning
    prefix = prefix_tokens(network)
    if getattr(network.config, "use_mean_pooling", False):
        return relevance[prefix:, prefix:].mean(0)
    heads = 2 if hasattr(network, "distillation_classifier") else 1  # of which the mean is taken
    return relevance[:heads, prefix:].mean(0)


def grad_cam(network: nn.Module, pixel_values: Tensor, against: int | None) -> Tensor:
    """Each channel's values, weighted by the mean of its gradient, summed; what is below 0 is dropped."""
    kept: list[Tensor] = []
    handle = last_features(network).register_forward_hook(lambda module, arguments, output: kept.append(output))
    logits = network(pixel_values.clone().requires_grad_()).logits
    handle.remove()
    (gradient,) = torch.autograd.grad(score(logits, against), kept)
    features = kept[0].detach()
    if features.dim() == 4:
        return (features * gradient.mean((2, 3), keepdim=True)).sum(1)[0].clamp(min=0)
    prefix = prefix_tokens(network)
    return (features[0, prefix:] * gradient[0, prefix:].mean(0)).sum(1).clamp(min=0)


def last_features(network: nn.Module) -> nn.Module:
    """What gives them: the norm before the pool of a BiT, the first norm of a transformer's last layer."""
    inner = network.base_model
    return inner.norm if hasattr(inner, "norm") else inner.encoder.layer[-1].layernorm_before


def prefix_tokens(network: nn.Module) -> int:
    return 2 if network.config.model_type == "deit" else 1


if __name__ == "__main__":
    main(Path(sys.argv[1]))
