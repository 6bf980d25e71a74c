"""The network on PyTorch: on a CPU, an NVIDIA GPU or Apple's MPS, in float32 or a shorter type."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vithybrid_cli.errors import UsageError
from vithybrid_cli.images.preprocess import Normalization
from vithybrid_cli.model.hybrid import HybridViT

# Pictures of 384×384 at once; a smaller picture allows proportionally more. A CPU gains nothing from more, a GPU does.
_CPU_BATCH, _GPU_BATCH, _LARGEST_BATCH = 8, 64, 256
_BATCH_AREA = 384 * 384


class TorchEngine:
    """Runs a network; see `vithybrid_cli.engines.Engine`."""

    def __init__(
        self, network: HybridViT, normalization: Normalization, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.device, self.dtype = device, dtype
        # channels_last is the layout in which both oneDNN and cuDNN are fastest, and in which pictures are decoded
        network.to(device, dtype)
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # not in its stubs
        self._values = torch.from_numpy(normalization.table().ravel()).to(device)  # of red 0 … 255, green, blue
        self._offsets = torch.tensor([0, 256, 512], dtype=torch.int32, device=device)

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the pictures it takes."""
        return self.network.config.image_size

    @property
    def batch_size(self) -> int:
        """How many pictures at once suit the device."""
        height, width = self.image_size
        at_base = _CPU_BATCH if self.device.type == "cpu" else _GPU_BATCH
        return max(1, min(_LARGEST_BATCH, at_base * _BATCH_AREA // (height * width)))

    @torch.inference_mode()
    def logits(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """uint8 pixels [N, H, W, 3] → logits [N, C]."""
        on_device = torch.from_numpy(np.require(pixels, requirements=["C", "W"])).to(self.device)
        # Looked up, since the device's own arithmetic would differ from the reference's in the last bit.
        values = self._values[on_device.int() + self._offsets]
        # [N, H, W, 3] seen as [N, 3, H, W] is channels_last already: nothing is copied
        return self.logits_of(values.permute(0, 3, 1, 2)).numpy()

    @torch.inference_mode()
    def logits_of(self, pixel_values: Tensor) -> Tensor:
        """Normalised float32 pixels [N, 3, H, W] → float32 logits [N, C] on the CPU."""
        try:
            values = pixel_values.to(self.device, self.dtype, memory_format=torch.channels_last)
            return self.network(values).float().cpu()
        except torch.OutOfMemoryError as error:
            count = len(pixel_values)
            raise UsageError(
                f"{count} pictures at once do not fit into the memory of {self.device}. Give a smaller --batch-size."
            ) from error


def choose_device(name: str) -> torch.device:
    """The device of ``--device``: auto, cpu, cuda, cuda:N or mps. Raises UsageError when it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"{name!r} is no device. Known: auto, cpu, cuda, cuda:N, mps.") from error
    present: dict[str, Callable[[], bool]] = {
        "cpu": lambda: device.index is None,
        "cuda": lambda: torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available,
    }
    if device.type not in present:
        raise UsageError(f"Device {name!r} is not supported. Known: auto, cpu, cuda, cuda:N, mps.")
    if not present[device.type]():
        raise UsageError(f"This machine, or the installed torch, has no device {name!r}. Use --device cpu.")
    return device


def torch_dtype(name: str) -> torch.dtype:
    """float32, float16 or bfloat16 by name."""
    return {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}[name]
