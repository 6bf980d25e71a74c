"""What is read of a processor."""

import platform
from pathlib import Path

import pytest

from vithybrid_cli.choices import Dtype
from vithybrid_cli.engines.processor import CPUINFO, Processor, library_settings

AMD = """\
processor	: 0
vendor_id	: AuthenticAMD
cpu family	: 25
model		: 17
model name	: AMD EPYC
cpu MHz		: 2596.096
flags		: fpu avx fma avx2 avx512f avx512_bf16 rdrand

processor	: 1
vendor_id	: AuthenticAMD
cpu MHz		: 1111.111
"""
GRAVITON = """\
processor	: 0
BogoMIPS	: 2100.00
Features	: fp asimd aes asimdhp sve asimddp bf16 i8mm
CPU implementer	: 0x41
CPU architecture: 8
CPU part	: 0xd40
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            AMD, Processor("AuthenticAMD", "25/17", ("avx", "avx2", "fma", "avx512f", "avx512_bf16")), id="x86"
        ),
        pytest.param(
            GRAVITON, Processor("0x41", "0xd40", ("asimd", "asimdhp", "asimddp", "bf16", "i8mm", "sve")), id="ARM"
        ),
        pytest.param("", Processor("", "", ()), id="nothing"),
    ],
)
def test_linux_tells_vendor_model_and_instructions(text: str, expected: Processor, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    assert Processor.read(tmp_path / "cpuinfo") == expected


@pytest.mark.parametrize(
    ("vendor", "instructions", "slow"),
    [
        pytest.param("AuthenticAMD", ("avx512f", "avx512_bf16"), {"float16"}, id="AMD's AVX-512"),
        pytest.param("AuthenticAMD", ("avx2",), {"bfloat16", "float16"}, id="no instruction for them"),
        pytest.param("GenuineIntel", ("avx512_bf16", "avx512_fp16"), {"bfloat16", "float16"}, id="Intel's AVX-512"),
        pytest.param("GenuineIntel", ("avx512_bf16", "avx512_fp16", "amx_bf16"), {"float16"}, id="AMX"),
        pytest.param("0x41", ("asimd", "asimdhp", "bf16"), set(), id="ARM's"),
        pytest.param("GenuineIntel", (), set(), id="not known"),
    ],
)
def test_a_type_is_slow_where_nothing_multiplies_it_faster_than_float32(
    vendor: str, instructions: tuple[str, ...], slow: set[str]
) -> None:
    processor = Processor(vendor, "", instructions)
    assert {str(dtype) for dtype in Dtype if processor.is_slow_in(dtype)} == slow


@pytest.mark.parametrize(
    ("described", "vendor"),
    [
        pytest.param("Intel64 Family 6 Model 207 Stepping 2, GenuineIntel", "GenuineIntel", id="Windows"),
        pytest.param("arm", "", id="macOS"),
    ],
)
def test_elsewhere_python_tells_what_it_knows(
    described: str, vendor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "processor", lambda: described)
    found = Processor.read(tmp_path / "nothing")
    assert (found.vendor, found.model) == (vendor, described)


def test_what_changes_from_second_to_second_is_no_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "idle").write_text(AMD)
    (tmp_path / "busy").write_text(AMD.replace("2596.096", "3701.002"))
    assert Processor.read(tmp_path / "idle").environment == Processor.read(tmp_path / "busy").environment
    assert Processor.read(tmp_path / "idle").environment == {
        "processor": "AuthenticAMD 25/17",
        "instructions": "avx avx2 fma avx512f avx512_bf16",
    }


@pytest.mark.skipif(not CPUINFO.exists(), reason="not Linux")
def test_this_machine_has_a_processor() -> None:
    assert Processor.read().instructions


def test_settings_by_which_libraries_compute_otherwise_are_told() -> None:
    assert library_settings({"ONEDNN_MAX_CPU_ISA": "AVX2", "HOME": "/root"}) == {"ONEDNN_MAX_CPU_ISA": "AVX2"}
