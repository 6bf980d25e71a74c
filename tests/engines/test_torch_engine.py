"""The torch engine: pixels as they are decoded become the logits of the network on the reference's input."""

import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from places import GOLDENS
from torch import nn

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.load import load_network
from vithybrid_cli.cores import available_cores
from vithybrid_cli.engines.batch_limit import BatchLimit
from vithybrid_cli.engines.batch_size import suitable_for_cores
from vithybrid_cli.engines.cpu_linear import (
    PackedLinear,
    PointwiseLinear,
    can_pack,
    convolutions_are_faster,
    has_bfloat16,
    replace_linears,
    suit_linears,
)
from vithybrid_cli.engines.processor import Processor
from vithybrid_cli.engines.torch_devices import (
    choose_device,
    choose_devices,
    environment_of,
    granted_threads,
    set_tf32,
    torch_dtype,
)
from vithybrid_cli.engines.torch_engine import TorchEngine
from vithybrid_cli.errors import UsageError
from vithybrid_cli.images.preprocess import Normalization
from vithybrid_cli.model.bit import GroupNorm
from vithybrid_cli.model.vit import VisionTransformer

SMALL = GOLDENS / "hf-hybrid-small"
FAMILIES = ("hf-vit", "hf-deit", "hf-deit-distilled", "hf-beit", "hf-bit", "timm-hybrid", "jax-hybrid/R50+ViT.npz")
FLOAT32_TOLERANCE = 1e-5  # of the largest logit
# Of the largest logit, about twice what was measured (0.016 and 0.002): a rounded network, not another one.
BFLOAT16_TOLERANCE = 0.04
SHORT_TOLERANCES = [
    pytest.param("bfloat16", BFLOAT16_TOLERANCE, id="bfloat16"),
    pytest.param("float16", 0.005, id="float16"),
]

WAIT = 20.0  # seconds until a test that waits for another thread gives up

needs_bfloat16 = pytest.mark.skipif(not has_bfloat16(), reason="oneDNN has no bfloat16 here")

Pixels = npt.NDArray[np.uint8]


def engine_of(
    folder: Path,
    dtype: str = "float32",
    *,
    batch_size: int | None = None,
    limit: BatchLimit | None = None,
    threads: int | None = None,
) -> TorchEngine:
    checkpoint = Checkpoint.read(folder)
    network, normalization = load_network(checkpoint), checkpoint.preprocessing.normalization
    of_torch = torch.device("cpu"), torch_dtype(dtype)
    return TorchEngine(network, normalization, *of_torch, batch_size=batch_size, limit=limit, threads=threads)


def pixels_for(engine: TorchEngine, count: int = 3) -> Pixels:
    height, width = engine.image_size
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)


def reference_logits(folder: Path, pixels: Pixels) -> npt.NDArray[np.float32]:
    """The plain network, in the other memory layout, on what the reference's processor makes of the pixels."""
    checkpoint = Checkpoint.read(folder)
    with torch.inference_mode():
        values = torch.from_numpy(checkpoint.preprocessing.normalization.apply(pixels))
        return np.asarray(load_network(checkpoint)(values).numpy())


def relative_error(actual: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> float:
    """The largest difference as a part of the largest logit."""
    assert actual.shape == expected.shape
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


def test_pixels_give_the_logits_of_the_network_on_the_normalised_input(golden: Path) -> None:
    engine = engine_of(golden)
    pixels = pixels_for(engine)
    logits = engine.run(pixels)
    assert logits.dtype == np.float32
    assert relative_error(logits, reference_logits(golden, pixels)) <= FLOAT32_TOLERANCE


@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_from_each_place_gives_the_logits_of_its_network(name: str) -> None:
    engine = engine_of(GOLDENS / name)
    pixels = pixels_for(engine)
    assert relative_error(engine.run(pixels), reference_logits(GOLDENS / name, pixels)) <= FLOAT32_TOLERANCE


@pytest.mark.parametrize(
    "normalization",
    [
        pytest.param(Normalization(1 / 255, (0.48145466, 0.4578275, 0.40821073), (0.27, 0.26, 0.28)), id="CLIP's"),
        pytest.param(Normalization(1 / 255), id="rescaled only"),
        pytest.param(Normalization(), id="left as they are"),
    ],
)
def test_the_network_sees_the_reference_processors_values_to_the_last_bit(normalization: Normalization) -> None:
    seen: list[torch.Tensor] = []
    network = load_network(Checkpoint.read(SMALL))
    network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    engine = TorchEngine(network, normalization, torch.device("cpu"), torch.float32)
    pixels = pixels_for(engine)
    engine.run(pixels)
    np.testing.assert_array_equal(seen[0].numpy(), normalization.apply(pixels))


@pytest.mark.parametrize("side", [7, 96])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("offset", [pytest.param(0, id="centred"), pytest.param(30, id="far from zero")])
def test_group_norm_is_accurate_in_both_memory_layouts(side: int, layout: torch.memory_format, offset: int) -> None:
    torch.manual_seed(0)
    norm = GroupNorm(4, 16).eval()
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    x = (torch.randn(2, 16, side, side) + offset).contiguous(memory_format=layout)
    with torch.inference_mode():
        actual = norm(x)
        expected = norm.double()(x.double())
    assert actual.stride() == x.stride()
    # Of the largest value; torch's own kernel is 5e-4 off in channels_last where the values are far from zero.
    assert float((actual - expected).abs().max() / expected.abs().max()) <= 2e-6


def test_pixels_and_weights_reach_the_network_in_channels_last() -> None:
    seen: list[torch.Tensor] = []
    engine = engine_of(SMALL)
    engine.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    engine.run(pixels_for(engine))
    kernels = [parameter for parameter in engine.network.parameters() if parameter.ndim == 4]
    assert len(kernels) > 1
    assert all(x.is_contiguous(memory_format=torch.channels_last) for x in (*seen, *kernels))


@pytest.mark.parametrize(("dtype", "tolerance"), SHORT_TOLERANCES)
def test_a_shorter_type_stays_within_its_tolerance(golden: Path, dtype: str, tolerance: float) -> None:
    engine = engine_of(golden, dtype)
    pixels = pixels_for(engine)
    logits = engine.run(pixels)
    assert logits.dtype == np.float32
    assert {parameter.dtype for parameter in engine.network.parameters()} == {torch_dtype(dtype)}
    assert relative_error(logits, reference_logits(golden, pixels)) <= tolerance


def test_normalised_pixels_give_the_same_logits_as_the_pixels(golden: Path) -> None:
    engine = engine_of(golden)
    pixels = pixels_for(engine)
    values = torch.from_numpy(Checkpoint.read(golden).preprocessing.normalization.apply(pixels))
    assert relative_error(engine.run_normalized(values), engine.run(pixels)) <= FLOAT32_TOLERANCE


def test_neither_kind_of_input_is_changed() -> None:
    engine = engine_of(SMALL)
    pixels = pixels_for(engine)
    values = torch.from_numpy(Normalization(1 / 255).apply(pixels)).contiguous(memory_format=torch.channels_last)
    pixels_before, values_before = pixels.copy(), values.clone()
    engine.run(pixels)
    engine.run_normalized(values)
    np.testing.assert_array_equal(pixels, pixels_before)
    torch.testing.assert_close(values, values_before, rtol=0, atol=0)


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(lambda pixels: pixels[::2], id="every other picture"),
        pytest.param(lambda pixels: pixels[::-1], id="in reverse"),
        pytest.param(lambda pixels: pixels[:, :, ::-1], id="mirrored"),
        pytest.param(lambda pixels: pixels[..., ::-1], id="blue before red"),
        pytest.param(lambda pixels: np.asfortranarray(pixels), id="Fortran order"),
    ],
)
def test_a_view_with_any_strides_is_taken(view: Callable[[Pixels], Pixels]) -> None:
    engine = engine_of(SMALL)
    strided = view(pixels_for(engine))
    assert not strided.flags.c_contiguous
    np.testing.assert_array_equal(engine.run(strided), engine.run(np.ascontiguousarray(strided)))


def test_a_read_only_array_is_taken_without_a_warning() -> None:
    engine = engine_of(SMALL)
    pixels = pixels_for(engine)
    expected = engine.run(pixels)
    pixels.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(engine.run(pixels), expected)


def test_no_pictures_give_no_rows(golden: Path) -> None:
    engine = engine_of(golden)
    logits = engine.run(pixels_for(engine, count=0))
    assert logits.shape == (0, len(Checkpoint.read(golden).config.labels))


def test_results_are_free_of_the_graph_and_of_later_calls() -> None:
    engine = engine_of(SMALL)
    first = engine.run(pixels_for(engine))
    kept = first.copy()
    engine.run(255 - pixels_for(engine))
    first += 0  # writeable
    np.testing.assert_array_equal(first, kept)
    assert not any(parameter.requires_grad for parameter in engine.network.parameters())


@pytest.mark.parametrize(("threads", "parallel", "each"), [(1, 1, 1), (3, 3, 1), (12, 6, 2)])
def test_the_batch_is_what_suits_a_stream_unless_it_is_chosen(threads: int, parallel: int, each: int) -> None:
    engine = engine_of(SMALL, threads=threads)
    assert (engine.parallel, engine.batch_size) == (parallel, suitable_for_cores((64, 64), each))
    assert engine_of(SMALL, threads=threads, batch_size=5).batch_size == 5


@pytest.mark.parametrize("name", ["cpu", "auto"])
def test_a_machine_without_a_gpu_runs_on_its_cpu(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device(name) == torch.device("cpu")


@pytest.mark.parametrize("name", ["auto", "cuda", "cuda:0", "cuda:1"])
def test_a_gpu_that_is_there_is_chosen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device(name) == torch.device("cuda" if name == "auto" else name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("cuda:2", "no device 'cuda:2'. Give device='cpu'", id="a GPU too many"),
        pytest.param("mps", "no device 'mps'. Give device='cpu'", id="no Apple GPU"),
        pytest.param("cpu:1", "no device 'cpu:1'. Give device='cpu'", id="a numbered CPU"),
        pytest.param("meta", "'meta' is not supported. Give one of auto, cpu", id="a device that computes nothing"),
        pytest.param("gpu", "'gpu' is not a device. Give one of auto, cpu", id="another word"),
        pytest.param("", "'' is not a device. Give one of auto, cpu", id="nothing"),
    ],
)
def test_a_device_that_is_not_there_is_wrong_usage(name: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UsageError) as caught:
        choose_device(name)
    assert message in str(caught.value)


@dataclass(frozen=True)
class Gpu:
    """What torch tells of a GPU."""

    name: str = "H200"
    major: int = 9
    minor: int = 0
    multi_processor_count: int = 132
    total_memory: int = 150_000_000_000


def with_gpus(monkeypatch: pytest.MonkeyPatch, *gpus: Gpu) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(gpus))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: gpus[device.index or 0])


def test_a_gpu_without_its_number_means_all_that_are_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpus(monkeypatch, Gpu(), Gpu(total_memory=150_000_000_001))
    both = [torch.device("cuda:0"), torch.device("cuda:1")]
    assert choose_devices("cuda") == choose_devices("auto") == both
    assert choose_devices("cuda:1") == both[1:]
    assert choose_devices("cpu") == [torch.device("cpu")]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(Gpu("T4"), id="another name"),
        pytest.param(Gpu(major=8), id="another generation"),
        pytest.param(Gpu(minor=1), id="another capability"),
        pytest.param(Gpu(multi_processor_count=60), id="a part of one"),
        pytest.param(Gpu(total_memory=80_000_000_000), id="less memory"),
    ],
)
def test_gpus_that_differ_never_share_a_run(
    other: Gpu, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with_gpus(monkeypatch, Gpu(), other, Gpu())
    assert choose_devices("cuda") == [torch.device("cuda:0"), torch.device("cuda:2")]
    assert [record.getMessage() for record in caplog.records] == [
        f"GPU 1 ({other.name}) is not of the same kind as GPU 0 (H200), so it is not used: results would depend on "
        "which of them computes a picture. Start a run of its own on the device cuda:1."
    ]
    assert choose_devices("cuda:1") == [torch.device("cuda:1")]
    assert len(caplog.records) == 1


def test_what_decides_the_digits_of_a_gpu_is_its_kind_and_not_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpus(monkeypatch, Gpu(), Gpu(), Gpu("T4", 7, 5))
    first, second, third = (environment_of(torch.device("cuda", index)) for index in range(3))
    assert first == second != third
    assert (third["gpu"], third["compute_capability"], third["torch"]) == ("T4", "7.5", torch.__version__)


def test_what_decides_the_digits_of_a_cpu_are_its_kind_and_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    environment = engine_of(SMALL).environment
    assert environment == engine_of(SMALL).environment
    assert environment.keys() >= {"torch", "processor", "instructions", "capability"}
    assert environment["threads"] == torch.get_num_threads()
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert engine_of(SMALL).environment == {**environment, "ONEDNN_MAX_CPU_ISA": "AVX2"}


NAMES_PRECISIONS = hasattr(torch.backends, "fp32_precision")  # came with torch 2.9


@pytest.fixture
def precisions() -> Iterator[Callable[[], tuple[str, str, str]]]:
    """What float32 products are computed in on a GPU, its convolutions and the CPU; put back after the test."""
    if not NAMES_PRECISIONS:
        yield from older_precisions()
        return
    backends = (torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.mkldnn.matmul)  # type: ignore[attr-defined]

    def now() -> tuple[str, str, str]:
        products, convolutions, on_cpu = (backend.fp32_precision for backend in backends)
        return products, convolutions, on_cpu

    before = now()
    yield now
    torch.set_float32_matmul_precision("highest")
    for backend, precision in zip(backends, before, strict=True):
        backend.fp32_precision = precision


def older_precisions() -> Iterator[Callable[[], tuple[str, str, str]]]:
    """The same of a torch that knows yes and no, and TF32 on no CPU."""
    backends: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [backend.allow_tf32 for backend in backends]

    def now() -> tuple[str, str, str]:
        products, convolutions = ("tf32" if backend.allow_tf32 else "ieee" for backend in backends)
        return products, convolutions, "ieee"

    yield now
    for backend, allowed in zip(backends, before, strict=True):
        backend.allow_tf32 = allowed


def test_tf32_is_a_gpus_choice_in_both_directions(precisions: Callable[[], tuple[str, str, str]]) -> None:
    *_, on_cpu = precisions()
    for allowed, expected, older_name in [(True, "tf32", "high"), (False, "ieee", "highest"), (True, "tf32", "high")]:
        set_tf32(allowed)
        assert precisions() == (expected, expected, on_cpu)
        assert torch.get_float32_matmul_precision() == older_name  # what Inductor asks for


@pytest.fixture
def threads() -> Iterator[None]:
    """Puts back how many threads torch has."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("granted", "own", "expected"),
    [
        pytest.param(2, 8, 2, id="a container grants less"),
        pytest.param(8, 8, 8, id="all are granted"),
        pytest.param(8, 1, 1, id="the user wants fewer"),
    ],
)
def test_torch_takes_no_more_cores_than_are_granted(threads: None, granted: int, own: int, expected: int) -> None:
    torch.set_num_threads(own)
    assert granted_threads(granted) == expected


def test_an_engine_on_a_cpu_takes_the_cores_that_are_granted(threads: None) -> None:
    torch.set_num_threads(available_cores() + 1)
    assert engine_of(SMALL).environment["threads"] == available_cores()


def seen_threads(engine: TorchEngine) -> list[int]:
    """How many threads each pass of an engine's network has; filled as it runs."""
    seen: list[int] = []
    engine.network.register_forward_pre_hook(lambda _, inputs: seen.append(torch.get_num_threads()))
    return seen


def test_a_batch_has_one_core_and_what_is_shorter_has_all() -> None:
    engine = engine_of(SMALL, threads=2, batch_size=3)
    seen, pixels = seen_threads(engine), pixels_for(engine, count=4)
    rows = [engine.run(pixels[:count]) for count in (3, 2, 4, 1)]
    assert seen == [1, 2, 1, 2]
    for row in rows:
        assert relative_error(row, rows[2][: len(row)]) <= FLOAT32_TOLERANCE


def test_pictures_one_at_a_time_have_all_cores() -> None:
    engine = engine_of(SMALL, threads=2, batch_size=1)
    seen = seen_threads(engine)
    engine.run(pixels_for(engine, count=1))
    assert seen == [2]


def test_as_many_batches_as_cores_are_computed_at_once() -> None:
    engine = engine_of(SMALL, threads=2, batch_size=2)
    meeting = threading.Barrier(2)

    def meet(network: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        meeting.wait(WAIT)  # nobody goes on before both are there

    engine.network.register_forward_pre_hook(meet)
    pixels = pixels_for(engine, count=4)
    with ThreadPoolExecutor(engine.parallel) as pool:
        both = np.concatenate(list(pool.map(engine.run, (pixels[:2], pixels[2:]))))
    assert relative_error(both, reference_logits(SMALL, pixels)) <= FLOAT32_TOLERANCE


def test_each_engine_computes_in_its_own_threads(threads: None) -> None:
    torch.set_num_threads(3)
    one, two = (engine_of(SMALL, threads=count) for count in (1, 2))
    seen = {engine: seen_threads(engine) for engine in (one, two)}
    for engine in (one, two, one):
        engine.run(pixels_for(engine)[:1])
    assert seen == {one: [1, 1], two: [2]}
    assert [engine.environment["threads"] for engine in (one, two)] == [1, 2]
    assert torch.get_num_threads() == 3


def small_memory(engine: TorchEngine, room: int) -> list[int]:
    """Let the engine's network run out of memory for more than ``room`` pictures; returns the batches it is given."""
    given: list[int] = []

    def refuse(network: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        given.append(len(inputs[0]))
        if len(inputs[0]) > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    engine.network.register_forward_pre_hook(refuse)
    return given


def test_a_batch_that_does_not_fit_is_computed_in_parts_and_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    engine = engine_of(SMALL)
    pixels = pixels_for(engine, count=11)
    expected = engine.run(pixels)
    given = small_memory(engine, room=3)
    assert relative_error(engine.run(pixels), expected) <= FLOAT32_TOLERANCE
    assert given == [11, 5, 2, 2, 2, 2, 2, 1]
    given.clear()
    engine.run(pixels[:4])
    assert given == [2, 2]  # it has learnt what fits
    assert [record.getMessage() for record in caplog.records] == [
        "11 pictures at once do not fit into the free memory of cpu, so fewer are computed at a time. "
        "A smaller batch size saves the attempts."
    ]
    assert engine.batch_limit == 2


def test_an_engine_that_is_told_what_fits_begins_with_it(caplog: pytest.LogCaptureFixture) -> None:
    first = engine_of(SMALL)
    pixels = pixels_for(first, count=11)
    assert first.batch_limit is None
    small_memory(first, room=3)
    first.run(pixels)
    second = engine_of(SMALL, limit=BatchLimit(first.batch_limit))
    assert second.batch_limit == 2
    caplog.clear()
    given = small_memory(second, room=3)
    np.testing.assert_array_equal(second.run(pixels), first.run(pixels))
    assert given == [2, 2, 2, 2, 2, 1]
    assert caplog.records == []


def test_what_one_engine_of_a_run_finds_to_fit_holds_for_all(caplog: pytest.LogCaptureFixture) -> None:
    limit = BatchLimit()
    first, second = engine_of(SMALL, limit=limit), engine_of(SMALL, limit=limit)
    small_memory(first, room=3)
    given = small_memory(second, room=8)
    first.run(pixels_for(first, count=6))
    second.run(pixels_for(second, count=6))
    assert given == [3, 3]
    small_memory(second, room=1)
    second.run(pixels_for(second, count=2))
    assert (first.batch_limit, second.batch_limit) == (1, 1)
    assert len(caplog.records) == 1


def test_normalised_pixels_that_do_not_fit_are_computed_in_parts_too() -> None:
    engine = engine_of(SMALL)
    values = torch.from_numpy(Normalization(1 / 255).apply(pixels_for(engine, count=5)))
    expected = engine.run_normalized(values)
    given = small_memory(engine, room=2)
    assert relative_error(engine.run_normalized(values), expected) <= FLOAT32_TOLERANCE
    assert given == [5, 2, 2, 1]


def test_one_picture_that_does_not_fit_is_an_error_that_says_what_to_do() -> None:
    engine = engine_of(SMALL)
    small_memory(engine, room=0)
    with pytest.raises(UsageError, match=r"One picture does not fit into the free memory of cpu\. Close other"):
        engine.run(pixels_for(engine))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("batch", [1, 3])
def test_a_linear_layer_as_a_convolution_computes_the_same_and_copies_nothing(batch: int, bias: bool) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(48, 64, bias=bias)
    pointwise = PointwiseLinear(linear)
    tokens = torch.randn(batch, 17, 48)
    with torch.inference_mode():
        actual, expected = pointwise(tokens), linear(tokens)
    assert actual.is_contiguous()
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-6)
    assert pointwise.weight.data_ptr() == linear.weight.data_ptr()


@pytest.mark.parametrize(
    ("vendor", "instructions", "expected"),
    [
        pytest.param("GenuineIntel", ("avx2", "avx512f", "amx_tile"), False, id="MKL is made for Intel's"),
        pytest.param("AuthenticAMD", ("avx2", "avx512f"), True, id="oneDNN is faster with AMD's AVX-512"),
        pytest.param("HygonGenuine", ("avx2", "avx512f"), True, id="and with that of their descendants"),
        pytest.param("AuthenticAMD", ("avx2",), False, id="without AVX-512 MKL is faster"),
        pytest.param("AuthenticAMD", (), False, id="nothing is known"),
    ],
)
def test_linear_layers_are_convolutions_where_mkl_leaves_avx512_unused(
    vendor: str, instructions: tuple[str, ...], expected: bool
) -> None:
    if not torch.backends.mkl.is_available():  # type: ignore[no-untyped-call] # no annotations
        expected = False  # the other library is only known to be slower where it is MKL
    assert convolutions_are_faster(Processor(vendor, "25/17", instructions)) is expected


def test_pointwise_linears_share_their_weights_also_in_channels_last() -> None:
    linear = nn.Linear(24, 16)
    moved = PointwiseLinear(linear).to(memory_format=torch.channels_last)  # type: ignore[call-overload] # not in its stubs
    assert moved.weight.data_ptr() == linear.weight.data_ptr()


def linears_of(network: nn.Module) -> list[type[nn.Module]]:
    """The kinds of the linear layers of an encoder."""
    assert isinstance(network, VisionTransformer)
    kinds = (nn.Linear, PointwiseLinear, PackedLinear)
    return [type(module) for module in network.blocks.modules() if isinstance(module, kinds)]


def test_all_linear_layers_of_an_encoder_become_convolutions_and_no_others() -> None:
    network = load_network(Checkpoint.read(SMALL))
    assert isinstance(network, VisionTransformer)
    replace_linears(network, PointwiseLinear)
    assert linears_of(network) == [PointwiseLinear] * 4 * len(network.blocks)
    assert isinstance(network.head, nn.Linear)


@pytest.mark.parametrize("instructions", [("avx2",), ("avx2", "avx512f")], ids=" ".join)
def test_an_engine_follows_that_rule(instructions: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    processor = Processor("AuthenticAMD", "25/17", instructions)
    monkeypatch.setattr(Processor, "read", lambda: processor)
    expected = PointwiseLinear if convolutions_are_faster(processor) else nn.Linear
    assert set(linears_of(engine_of(SMALL).network)) == {expected}


def on(monkeypatch: pytest.MonkeyPatch, *instructions: str) -> None:
    """Let this processor be one of Intel's that has these instructions."""
    monkeypatch.setattr(Processor, "read", lambda: Processor("GenuineIntel", "6/143", instructions))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_without_amx_shorter_types_keep_their_linear_layers(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "avx512_bf16")
    assert set(linears_of(engine_of(SMALL, dtype).network)) == {nn.Linear}


@needs_bfloat16
def test_this_torch_packs_weights() -> None:
    assert can_pack(), "torch no longer has these operations: bfloat16 is an eighth slower on processors with AMX"


@needs_bfloat16
@pytest.mark.parametrize("bias", [True, False])
def test_a_packed_linear_layer_gives_what_the_layer_gives(bias: bool) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(48, 96, bias=bias).bfloat16()
    packed = PackedLinear(linear)
    exact = nn.Linear(48, 96, bias=bias)
    exact.load_state_dict(linear.float().state_dict())
    for tokens in (torch.randn(1, 48), torch.randn(3, 17, 48), torch.randn(2, 5, 96)[..., :48]):
        with torch.inference_mode():
            actual, expected = packed(tokens.bfloat16()), exact(tokens.bfloat16().float())
        assert actual.dtype is torch.bfloat16
        torch.testing.assert_close(actual.float(), expected, rtol=2**-8, atol=2**-8)  # rounded once to bfloat16


@needs_bfloat16
def test_with_amx_bfloat16_packs_the_weights_of_the_encoder(golden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "avx512_bf16", "amx_bf16")
    engine = engine_of(golden, "bfloat16")
    if isinstance(engine.network, VisionTransformer):
        assert set(linears_of(engine.network)) == {PackedLinear}
    pixels = pixels_for(engine)
    assert relative_error(engine.run(pixels), reference_logits(golden, pixels)) <= BFLOAT16_TOLERANCE
    suit_linears(network := load_network(Checkpoint.read(SMALL)), torch.bfloat16, Processor.read(), compiled=True)
    assert set(linears_of(network)) == {nn.Linear}


def test_a_torch_that_cannot_pack_keeps_the_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "avx512_bf16", "amx_bf16")
    monkeypatch.setattr("vithybrid_cli.engines.cpu_linear.can_pack", lambda: False)
    assert set(linears_of(engine_of(SMALL, "bfloat16").network)) == {nn.Linear}
