"""What this machine's processor is, as far as it decides which kernels the libraries take. No torch."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vithybrid_cli.choices import Dtype

CPUINFO = Path("/proc/cpuinfo")  # Linux

# Those that oneDNN, MKL, ATen and OpenVINO choose their kernels by, as Linux names them on x86 and ARM.
_INSTRUCTIONS = (
    *("avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"),
    *("avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16", "amx_fp16", "avx10_1", "avx10_2"),
    *("asimd", "asimdhp", "asimddp", "bf16", "i8mm", "sve", "sve2", "svebf16", "sme", "sme2"),
)
# Those that compute a shorter type faster than float32. AVX-512 in float16 is not (1.66 beside 1.96, BENCHMARKS.md).
_GAINS = {
    Dtype.BFLOAT16: frozenset({"amx_bf16", "avx512_bf16", "bf16", "svebf16"}),
    Dtype.FLOAT16: frozenset({"amx_fp16", "asimdhp"}),
}
# Variables by which a user has those libraries compute otherwise.
_SETTINGS = (
    *("MKL_CBWR", "MKL_DYNAMIC", "MKL_ENABLE_INSTRUCTIONS", "NVIDIA_TF32_OVERRIDE", "CUBLAS_WORKSPACE_CONFIG"),
    *("ONEDNN_DEFAULT_FPMATH_MODE", "ONEDNN_MAX_CPU_ISA", "DNNL_DEFAULT_FPMATH_MODE", "DNNL_MAX_CPU_ISA"),
)


@dataclass(frozen=True, slots=True)
class Processor:
    """The first processor of a machine; all are taken to be alike."""

    vendor: str  # as it names itself, such as GenuineIntel; empty if that is not known
    model: str  # within the vendor's numbering
    instructions: tuple[str, ...]  # those that matter here

    @classmethod
    def read(cls, cpuinfo: Path = CPUINFO) -> "Processor":
        """From Linux' description or, on other systems, with no more than Python tells of it."""
        try:
            facts = _first_of(cpuinfo.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            described = (
                platform.processor() or platform.machine()
            )  # "AMD64 Family 25 Model 97 Stepping 2, AuthenticAMD"
            return cls(described.rpartition(", ")[2] if "," in described else "", described, ())
        vendor = facts.get("vendor_id") or facts.get("CPU implementer", "")
        numbers = [facts[name] for name in ("cpu family", "model", "CPU part") if name in facts]
        flags = (facts.get("flags") or facts.get("Features", "")).split()
        return cls(vendor, "/".join(numbers), tuple(name for name in _INSTRUCTIONS if name in flags))

    @property
    def has_amx(self) -> bool:
        """Whether it multiplies bfloat16 in tiles, at about eight times the rate of float32."""
        return "amx_bf16" in self.instructions

    @property
    def has_avx512_float16(self) -> bool:
        """Whether its AVX-512 multiplies float16."""
        return "avx512_fp16" in self.instructions

    @property
    def avx512_gains_from_bfloat16(self) -> bool:
        """Whether its AVX-512, where that multiplies bfloat16, does so faster than float32.

        Intel's does so at half the rate of float32, AMD's at twice the rate (BENCHMARKS.md).
        """
        return self.vendor != "GenuineIntel"

    def is_slow_in(self, dtype: Dtype) -> bool:
        """Whether ``dtype`` takes longer than float32, as no instruction gains from it; False where none is known."""
        if dtype not in _GAINS or not self.instructions:
            return False
        gains = _GAINS[dtype]
        if dtype is Dtype.BFLOAT16 and not self.avx512_gains_from_bfloat16:
            gains -= {"avx512_bf16"}
        return gains.isdisjoint(self.instructions)

    @property
    def environment(self) -> dict[str, str | int]:
        """This in the form of `Engine.environment`."""
        return {"processor": f"{self.vendor} {self.model}".strip(), "instructions": " ".join(self.instructions)}


def library_settings(variables: Mapping[str, str] = os.environ) -> dict[str, str | int]:
    """Environment variables that are set and change how the libraries compute."""
    return {name: variables[name] for name in _SETTINGS if name in variables}


def _first_of(cpuinfo: str) -> dict[str, str]:
    lines = (line.partition(":") for line in cpuinfo.partition("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}
