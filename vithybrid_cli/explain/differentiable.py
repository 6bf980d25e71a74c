"""The network of a checkpoint on torch, for methods that need gradients: its weights folded as the engine has them."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.load import load_network
from vithybrid_cli.choices import Dtype, Method
from vithybrid_cli.engines.torch_devices import (
    choose_device,
    require_possible,
    set_tf32,
    threads_for,
    torch_dtype,
    use_threads,
)
from vithybrid_cli.explain.attention import refined_attention, weighted_attention
from vithybrid_cli.explain.grad_cam import grad_cam
from vithybrid_cli.explain.target import Target
from vithybrid_cli.model.build import Network
from vithybrid_cli.model.vit import VisionTransformer
from vithybrid_cli.settings import Running

Mapped = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]  # values [h, w], logits [C]


Computation = Callable[[Network, Tensor, Target], tuple[Tensor, Tensor]]  # [1, 3, H, W] → map [h, w], logits [1, C]


def computation(method: Method) -> Computation:
    """How a ``method`` with gradients is computed; those of attention take transformers only, and one hybrids."""
    match method:
        case Method.ATTENTION:
            return _of_transformer(weighted_attention)
        case Method.ATTENTION_BACKBONE:
            return _of_transformer(refined_attention)
        case Method.GRAD_CAM:
            return grad_cam
    raise AssertionError(method)


def _of_transformer(compute: Callable[[VisionTransformer, Tensor, Target], tuple[Tensor, Tensor]]) -> Computation:
    def computed(network: Network, pixel_values: Tensor, target: Target) -> tuple[Tensor, Tensor]:
        assert isinstance(network, VisionTransformer)
        return compute(network, pixel_values, target)

    return computed


class Differentiable:
    """Computes in float32, or in bfloat16 if a run does; gradients in float16 would vanish."""

    def __init__(self, checkpoint: Checkpoint, how: Running) -> None:
        """Raises ModelError as `load_network` does, UsageError for a device or a type that is not there."""
        require_possible(how.dtype, device := choose_device(how.device))
        if device.type == "cuda":
            set_tf32(how.dtype == Dtype.TF32)
        elif device.type == "cpu":
            use_threads(threads_for(how.threads))
        self._dtype = torch.float32 if how.dtype == Dtype.FLOAT16 else torch_dtype(how.dtype)
        network = load_network(checkpoint).to(device, self._dtype)
        self.network: Network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # not in its stubs
        self._device = device
        self._normalization = checkpoint.preprocessing.normalization

    def mapped(
        self,
        method: Computation,
        pixels: npt.NDArray[np.uint8],
        target: Target,
    ) -> Mapped:
        """What a ``method`` says of uint8 pixels [H, W, 3]."""
        with torch.inference_mode(False), torch.enable_grad():
            values = torch.from_numpy(self._normalization.apply(pixels[None]))
            values = values.to(self._device, self._dtype, memory_format=torch.channels_last)
            found, logits = method(self.network, values, target)
            return found.detach().float().cpu().numpy(), logits.detach()[0].float().cpu().numpy()
