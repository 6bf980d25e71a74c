"""Whether training gains from bfloat16 on a machine; elsewhere it is in float32."""

from collections.abc import Mapping
from typing import Any

import torch

from vithybrid_cli.engines.processor import Processor


def gains_from_bfloat16(device: torch.device) -> bool:
    """Whether ``device`` multiplies bfloat16 in hardware, and faster than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    capabilities = _cpu_capabilities()
    if capabilities.get("amx_bf16"):
        return True
    return bool(capabilities.get("avx512_bf16")) and Processor.read().avx512_gains_from_bfloat16


def _cpu_capabilities() -> Mapping[str, Any]:
    """What torch finds in the processor."""
    if hasattr(torch.cpu, "get_capabilities"):  # came with torch 2.11
        return torch.cpu.get_capabilities()
    # Every processor with AMX tiles multiplies bfloat16 in them.
    return {"avx512_bf16": torch.cpu._is_avx512_bf16_supported(), "amx_bf16": torch.cpu._is_amx_tile_supported()}
