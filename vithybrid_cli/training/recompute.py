"""Large networks within the memory that there is: activations are computed again for the gradient, not kept.

T. Chen et al., "Training Deep Nets with Sublinear Memory Cost", https://arxiv.org/abs/1604.06174. The gradient is the
same to the last bit, so the memory of a machine may decide it.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vithybrid_cli.images.memory import available_memory
from vithybrid_cli.model.bit import Bottleneck, PreactivationBottleneck, Stem
from vithybrid_cli.model.vit import Block

# Of the memory that is free, kept activations may take one part in so many: the rest is for weights, gradients,
# moments, pictures, and what one operation needs besides.
_SHARE = 2


def fits(pictures: int, each: int, device: torch.device) -> bool:
    """Whether ``each`` bytes for so many ``pictures`` at a time leave enough memory of ``device`` for the rest."""
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else available_memory()
    return pictures * each <= free // _SHARE


def kept_bytes(forward: Callable[[Tensor], Tensor], picture: Tensor) -> int:
    """What the graph of ``forward`` keeps for each picture until there is a gradient, in bytes.

    Found with one ``picture`` [1, 3, H, W] and with two of it, so that what is kept once is not counted.
    """
    one, two = (_kept(forward, picture.expand(count, -1, -1, -1)) for count in (1, 2))
    return max(two - one, 0)


def _kept(forward: Callable[[Tensor], Tensor], pixels: Tensor) -> int:
    kept: dict[int, tuple[int, Tensor]] = {}  # the tensors too, so that no other one gets the same address

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes(), tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        forward(pixels.contiguous(memory_format=torch.channels_last))
    return sum(size for size, _ in kept.values())


def recompute(network: nn.Module) -> None:
    """Let ``network`` keep of each encoder layer and each block of a backbone only what goes into it."""
    for module in network.modules():
        if isinstance(module, Stem | Bottleneck | PreactivationBottleneck | Block):
            module.forward = _Recomputed(module.forward)  # type: ignore[method-assign]


class _Recomputed:
    """A forward pass of which, if it gets a graph, only the input is kept."""

    def __init__(self, forward: Callable[..., Tensor]) -> None:
        self.forward = forward

    def __call__(self, *args: Tensor | int | None, **kwargs: Tensor | None) -> Tensor:
        if not torch.is_grad_enabled():
            return self.forward(*args, **kwargs)
        forward = partial(self.forward, **kwargs)
        output: Tensor = checkpoint(forward, *args, use_reentrant=False, preserve_rng_state=False)
        return output
