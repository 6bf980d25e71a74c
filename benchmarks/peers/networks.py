"""The hybrid network of transformers 4.57.6 and of timm 1.0.31 on the same weights.

Imports nothing of this package, so that tests/peers can use it as a module of its own.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import json
import re
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

Network = Callable[[Tensor], Tensor]
TIMM_NAME = "vit_base_r50_s16_384"


def open_network(
    peer: str, folder: Path, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> Network:
    """The network of ``folder`` (transformers' layout) as ``peer`` runs it: pixels [N, 3, H, W] → logits [N, C].

    Both are of ``dtype`` and on ``device``.
    """
    network = {"transformers": open_transformers, "timm": open_timm}[peer](folder)
    network.eval().to(device, dtype)

    @torch.inference_mode()
    def logits(pixel_values: Tensor) -> Tensor:
        outputs = network(pixel_values)
        return outputs if isinstance(outputs, Tensor) else outputs.logits

    return logits


def open_transformers(folder: Path) -> nn.Module:
    """ViTHybridForImageClassification with its own attention default; ``AutoModel…`` refuses this ``model_type``."""
    network = build_transformers(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    network.load_state_dict(load_file(folder / "model.safetensors"), strict=True)
    return network


def build_transformers(config: dict[str, Any]) -> nn.Module:
    """The network with its weights not yet set, in evaluation mode.

    Its own initialisation is left out: it sets ``mask_token``, which is None in a classifier, and fails.
    """
    no_init_weights = import_module("transformers.modeling_utils").no_init_weights
    vit_hybrid = import_module("transformers.models.deprecated.vit_hybrid")
    with no_init_weights():
        network: nn.Module = vit_hybrid.ViTHybridForImageClassification(vit_hybrid.ViTHybridConfig.from_dict(config))
    return network.eval()


def import_timm() -> ModuleType:
    """timm, with or without torchvision."""
    if importlib.util.find_spec("torchvision") is None:
        sys.meta_path.insert(0, _NoTorchvision())
    return import_module("timm")


def open_timm(folder: Path) -> nn.Module:
    """timm's network of the published size, with the tensors of ``folder`` under timm's names."""
    tensors = timm_tensors(load_file(folder / "model.safetensors"))
    classes = len(tensors["head.bias"])
    network: nn.Module = import_timm().create_model(TIMM_NAME, pretrained=False, num_classes=classes)
    network.load_state_dict(tensors, strict=True)
    return network


_BIT = r"vit\.embeddings\.patch_embeddings\.backbone\.bit"
_TIMM_NAMES = [
    (rf"{_BIT}\.embedder\.convolution", "patch_embed.backbone.stem.conv"),
    (rf"{_BIT}\.embedder\.norm", "patch_embed.backbone.stem.norm"),
    (rf"{_BIT}\.encoder\.stages\.(\d+)\.layers\.(\d+)", r"patch_embed.backbone.stages.\1.blocks.\2"),
    (r"vit\.embeddings\.patch_embeddings\.projection", "patch_embed.proj"),
    (r"vit\.embeddings\.cls_token", "cls_token"),
    (r"vit\.embeddings\.position_embeddings", "pos_embed"),
    (r"vit\.encoder\.layer\.(\d+)\.attention\.output\.dense", r"blocks.\1.attn.proj"),
    (r"vit\.encoder\.layer\.(\d+)\.intermediate\.dense", r"blocks.\1.mlp.fc1"),
    (r"vit\.encoder\.layer\.(\d+)\.output\.dense", r"blocks.\1.mlp.fc2"),
    (r"vit\.encoder\.layer\.(\d+)\.layernorm_before", r"blocks.\1.norm1"),
    (r"vit\.encoder\.layer\.(\d+)\.layernorm_after", r"blocks.\1.norm2"),
    (r"vit\.layernorm", "norm"),
    (r"classifier", "head"),
]
_QUERY = re.compile(r"vit\.encoder\.layer\.(\d+)\.attention\.attention\.query\.(weight|bias)")


def timm_tensors(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """transformers' tensors under timm's names; query, key and value are stacked into one."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if match := _QUERY.fullmatch(name):
            parts = [tensors[name.replace("query", part)] for part in ("query", "key", "value")]
            renamed[f"blocks.{match[1]}.attn.qkv.{match[2]}"] = torch.cat(parts)
        elif ".attention.attention." not in name:
            renamed[_timm_name(name)] = tensor
    return renamed


def _timm_name(name: str) -> str:
    for pattern, replacement in _TIMM_NAMES:
        if re.match(rf"{pattern}(\.|$)", name):
            return re.sub(pattern, replacement, name, count=1)
    raise KeyError(name)


class _AnyAttribute(type):
    def __getattr__(cls, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return _placeholder(name)


def _placeholder(name: str) -> type:
    return _AnyAttribute(name, (), {})


class _NoTorchvision(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives timm empty classes for whatever it imports from torchvision.

    timm imports it for transforms and for conversions that its hybrids do not use, and where it is not installed that
    is all it would be good for.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] != "torchvision":
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        def attribute(name: str) -> type:
            if name.startswith("__"):
                raise AttributeError(name)
            return _placeholder(name)

        module.__dict__["__getattr__"] = attribute
