"""Whether a machine computes bfloat16 in hardware: training does so where it gains, and in float32 elsewhere."""

from collections.abc import Mapping
from typing import Any

import torch


def has_bfloat16(device: torch.device) -> bool:
    """Whether ``device`` computes bfloat16 in hardware rather than emulating it."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = _cpu_capabilities()
    return device.type == "cpu" and bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _cpu_capabilities() -> Mapping[str, Any]:
    """What torch finds in the processor."""
    if hasattr(torch.cpu, "get_capabilities"):  # came with torch 2.11
        return torch.cpu.get_capabilities()
    # Every processor with AMX tiles multiplies bfloat16 in them.
    return {"avx512_bf16": torch.cpu._is_avx512_bf16_supported(), "amx_bf16": torch.cpu._is_amx_tile_supported()}
