"""The parts of `benchmarks.gpu`: each measures something and yields it as lines of Markdown, one at a time."""

import gc
import os
import platform
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from vithybrid_cli.bench.amount import Amount, repeated
from vithybrid_cli.bench.machine import processor, versions
from vithybrid_cli.bench.measurements import Spread
from vithybrid_cli.bench.ours import decoding, whole_way
from vithybrid_cli.bench.pictures import made, make_pictures
from vithybrid_cli.bench.random_weights import described, write_random
from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.engines.open import open_engine
from vithybrid_cli.engines.torch_devices import set_tf32, torch_dtype
from vithybrid_cli.engines.torch_engine import TorchEngine
from vithybrid_cli.model.build import build
from vithybrid_cli.pipeline.classifier import Classifier

_REPEATS = 5
_PIXELS = 16  # different pictures in memory; larger batches repeat them


@dataclass(frozen=True, slots=True)
class Size:
    """What is measured, in full or quick to try the script.

    ``compiled_batches`` has the most useful ones first, since time may run out; ``side`` is that of the matrices,
    ``seconds`` the time for one rate. Without a ``whole_batch`` the whole way takes the batches of a usual run.
    """

    quick: bool
    model: str
    dtypes: tuple[str, ...]
    batches: tuple[int, ...]
    compiled_batches: tuple[int, ...]
    attention_batches: tuple[int, ...]
    side: int
    seconds: float
    pictures: int
    workers: int
    whole_batch: int | None = None


_TYPES = ("float16", "bfloat16", "tf32", "float32")
FULL = Size(False, "base-384", _TYPES, (16, 32, 64, 128, 256), (64, 256, 16, 128, 32), (1, 2, 4, 8), 8192, 0.6, 128, 16)
QUICK = Size(True, "tiny", ("bfloat16", "tf32", "float32"), (1, 2), (2,), (1,), 256, 0.01, 2, 2, 2)


@dataclass
class Card:
    """A GPU, the network that it computes, and the time that is left (``until``, by `time.monotonic`)."""

    device: str
    size: Size
    scratch: Path
    until: float

    def __post_init__(self) -> None:
        self.product_rates: dict[str, float] = {}  # FLOP/s of matrix products by type, once `products` has run

    @property
    def is_gpu(self) -> bool:
        """Whether it is one; else the script is only tried."""
        return torch.device(self.device).type == "cuda"

    def seconds_left(self) -> float:
        """Seconds until the time is over."""
        return self.until - time.monotonic()

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The network with random weights."""
        write_random(*described(self.size.model), self.scratch / "model")
        return Checkpoint.read(self.scratch / "model")

    @cached_property
    def pixels(self) -> npt.NDArray[np.uint8]:
        """Pictures of the network's size [N, H, W, 3]."""
        height, width = self.checkpoint.config.image_size
        return np.stack([made(seed, (width, height)) for seed in range(_PIXELS)])

    @cached_property
    def flop(self) -> int:
        """Floating-point operations for one picture, two for each multiplication with addition.

        They are counted in the network as it runs, whose last layer is computed for the CLS token alone: 127 GFLOP of
        the 135 that are published for base-384.
        """
        from torch.utils.flop_counter import FlopCounterMode

        config, _ = described(self.size.model)
        with torch.device("meta"):
            network, values = build(config), torch.empty(1, 3, *config.image_size)
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            network(values)
        return int(counter.get_total_flops())

    def engine(
        self, dtype: str, batch: int | None = None, *, attention: str = "sdpa", compiled: bool = False
    ) -> TorchEngine:
        """The program's own engine; a compiled one is for batches of this size alone."""
        engine = open_engine(
            self.checkpoint,
            engine="torch",
            device=self.device,
            dtype=dtype,
            attention=attention,
            compiled=compiled,
            batch_size=batch,
        )
        assert isinstance(engine, TorchEngine)
        return engine

    def values(self, dtype: str, batch: int) -> torch.Tensor:
        """Normalised pixels on the device, in the type and layout of the network."""
        shape = (batch, 3, *self.checkpoint.config.image_size)
        values = torch.randn(shape, device=self.device, dtype=torch_dtype(dtype))
        return values.contiguous(memory_format=torch.channels_last)

    def wait(self) -> None:
        """Wait until the device has done what it was asked for."""
        if self.is_gpu:
            torch.cuda.synchronize(self.device)

    def seconds_each(self, call: Callable[[], object], seconds: float | None = None) -> Spread:
        """How long a call takes, in several runs after a warm-up that together take about so many ``seconds``."""
        for _ in range(2):
            call()
        self.wait()
        once = self._elapsed(call, 1)
        count = max(1, round((seconds or self.size.seconds) / _REPEATS / once))
        return Spread(tuple(self._elapsed(call, count) / count for _ in range(_REPEATS)))

    def _elapsed(self, call: Callable[[], object], count: int) -> float:
        began = time.perf_counter()
        for _ in range(count):
            call()
        self.wait()
        return time.perf_counter() - began

    def forget_memory(self) -> None:
        """Start anew with the peak of the device's memory."""
        if self.is_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)

    def peak_memory(self) -> str:
        """The peak of the device's memory since `forget_memory`."""
        return f"{torch.cuda.max_memory_allocated(self.device) / 2**20:,.0f} MiB" if self.is_gpu else ""


def machine(card: Card) -> Iterator[str]:
    """Which GPU, on what machine, with which versions."""
    if card.is_gpu:
        properties = torch.cuda.get_device_properties(card.device)
        yield (
            f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB, compute capability {properties.major}."
            f"{properties.minor}, {properties.multi_processor_count} multiprocessors{_driver(card)}."
        )
    else:
        yield "No GPU: this is a trial of the script."
    found = ", ".join(f"{name} {version}" for name, version in versions(("torch", "triton", "numpy", "pillow")).items())
    cuda = f", CUDA {torch.version.cuda}" if card.is_gpu else ""
    yield f"{processor()}, {os.cpu_count()} cores, {platform.platform()}; {found}{cuda}."
    config, flop = card.checkpoint.config, card.flop
    height, width = config.image_size
    yield (
        f"The network of {card.size.model} with random weights ({width}×{height}; {flop / 1e9:.1f} GFLOP are computed "
        f"for a picture). Given are medians of {_REPEATS} runs after a warm-up and, in brackets, smallest and largest."
    )


def _driver(card: Card) -> str:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    index = str(torch.device(card.device).index or 0)
    fields = ("driver_version", "power.limit", "clocks.max.sm")
    query = [program, "-i", index, f"--query-gpu={','.join(fields)}", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)
    values = [value.strip() for value in done.stdout.split(",")]
    return f"; driver {values[0]}, {values[1]}, at most {values[2]}" if len(values) == len(fields) else ""


def products(card: Card) -> Iterator[str]:
    """The rate of one large matrix product in each type."""
    yield from _head((f"type, {card.size.side}×{card.size.side}", "TFLOP/s"))
    for dtype in card.size.dtypes:
        yield _row(dtype, _tried(partial(_product, card, dtype)))


def _product(card: Card, dtype: str) -> str:
    if card.is_gpu:
        set_tf32(dtype == "tf32")
    matrix = torch.randn(card.size.side, card.size.side, device=card.device, dtype=torch_dtype(dtype))
    seconds = card.seconds_each(lambda: torch.matmul(matrix, matrix))
    rates = Spread(tuple(2 * card.size.side**3 / value for value in seconds.values))
    card.product_rates[dtype] = rates.median
    return _cell(rates, 1e12)


def eager(card: Card) -> Iterator[str]:
    """Rates of the network as it is."""
    yield from _rates(card, [(dtype, batch) for dtype in card.size.dtypes for batch in card.size.batches], False)


def compiled(card: Card) -> Iterator[str]:
    """Rates of the network that torch has compiled, the most useful batch sizes first."""
    order = [(dtype, batch) for batch in card.size.compiled_batches for dtype in card.size.dtypes]
    yield from _rates(card, order, True)


def _rates(card: Card, order: Sequence[tuple[str, int]], compiled: bool) -> Iterator[str]:
    """A row for each (type, batch size): with pixels on the GPU, and from pixels on the host to logits on the host."""
    yield from _head(
        ("type", "batch", "images/s, network", "TFLOP/s", "of the products", "images/s, from the host", "peak memory")
        + (("compiling",) if compiled else ())
    )
    left_out, longest = [], 0.0
    for dtype, batch in order:
        if card.seconds_left() < max(5.0, 1.3 * longest):
            left_out.append(f"{dtype} at {batch}")
            continue
        began = time.monotonic()
        yield _row(dtype, batch, _tried(partial(_rate, card, dtype, batch, compiled)))
        longest = max(longest, time.monotonic() - began)
    if left_out:
        yield f"\nLeft out, as the time was over: {', '.join(left_out)}."


@torch.inference_mode()
def _rate(card: Card, dtype: str, batch: int, compiled: bool) -> str:
    card.forget_memory()
    engine = card.engine(dtype, batch, compiled=compiled)
    values = card.values(dtype, batch)
    began = time.monotonic()
    if compiled:
        engine.run_normalized(values)
    compiling = [f"{time.monotonic() - began:.0f} s"] if compiled else []
    # What is compiled belongs to the engine, which brings the logits to the host, a small part of the time.
    seconds = card.seconds_each(partial(engine.run_normalized if compiled else engine.network, values))
    rates = Spread(tuple(batch / value for value in seconds.values))
    flop_rate = rates.median * card.flop
    product = card.product_rates.get(dtype)
    share = "" if product is None else f"{flop_rate / product:.0%}"
    from_host = _cell(_from_host(card, engine, batch))
    if engine.batch_limit is not None:
        from_host += f", {engine.batch_limit} at a time, as more do not fit"
    return " | ".join([_cell(rates), f"{flop_rate / 1e12:.3g}", share, from_host, card.peak_memory(), *compiling])


def _from_host(card: Card, engine: TorchEngine, batch: int) -> Spread:
    """Images/s of uint8 pixels on the host that become logits on the host, several batches at once as in a run."""
    pixels = np.resize(card.pixels, (batch, *card.pixels.shape[1:]))
    amount = Amount(batch, engine.parallel * batch, card.size.seconds / 4)
    with ThreadPoolExecutor(engine.parallel) as pool:
        measure = partial(repeated, lambda: engine.run(pixels), amount, parallel=engine.parallel, pool=pool)
        measure()
        return Spread(tuple(measure().rate for _ in range(3)))


def attention(card: Card) -> Iterator[str]:
    """How many times as fast the network is with SDPA as with attention written out, in turns."""
    yield from _head(("type", "batch", "ms, SDPA", "ms, eager attention", "times as fast"))
    for dtype in card.size.dtypes:
        engines: list[TorchEngine] = []  # kept for all batch sizes
        for batch in card.size.attention_batches:
            yield _row(dtype, batch, _tried(partial(_attention, card, dtype, batch, engines)))


@torch.inference_mode()
def _attention(card: Card, dtype: str, batch: int, engines: list[TorchEngine]) -> str:
    if not engines:
        engines += [card.engine(dtype, attention=name) for name in ("sdpa", "eager")]
    values = card.values(dtype, batch)
    turns = [
        [card.seconds_each(partial(engine.network, values), card.size.seconds / 3).median for engine in engines]
        for _ in range(3)
    ]
    sdpa, written_out = (Spread(times) for times in zip(*turns, strict=True))
    ratios = Spread(tuple(slower / faster for faster, slower in turns))
    return " | ".join([_cell(sdpa, 1e-3), _cell(written_out, 1e-3), _cell(ratios)])


def whole(card: Card) -> Iterator[str]:
    """Files to labels, beside decoding and the network alone."""
    pictures = tuple(make_pictures(card.scratch / "pictures", card.size.pictures))
    workers, preprocessing = card.size.workers, card.checkpoint.preprocessing
    yield f"{len(pictures)} pictures of 500×375 (110 kB) over and over, {workers} decoding threads; images/s.\n"
    decoded = Amount(1, len(pictures), 2 * card.size.seconds)
    decoding(decoded, preprocessing, pictures, workers)
    decode_rate = Spread(tuple(decoding(decoded, preprocessing, pictures, workers).rate for _ in range(3)))
    yield from _head(
        ("type", "batch", "decoding", "network, from the host", "whole way", "of the slower", "peak memory")
    )
    for dtype in card.size.dtypes:
        yield _row(dtype, _tried(partial(_whole, card, dtype, pictures, decode_rate)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    yield f"\nPeak memory of the process so far, on the host: {peak:,.0f} MiB."


def _whole(card: Card, dtype: str, pictures: tuple[str, ...], decode_rate: Spread) -> str:
    card.forget_memory()
    engine = card.engine(dtype)
    batch = card.size.whole_batch or engine.batch_size
    classifier = Classifier(engine, card.checkpoint.preprocessing, card.checkpoint.config.labels)
    network_rate = _from_host(card, engine, batch)
    amount = Amount(batch, 8 * batch, 2 * card.size.seconds)
    rates = Spread(tuple(whole_way(amount, classifier, pictures, card.size.workers).rate for _ in range(3)))
    share = rates.median / min(decode_rate.median, network_rate.median)
    cells = [str(batch), _cell(decode_rate), _cell(network_rate), _cell(rates), f"{share:.0%}", card.peak_memory()]
    return " | ".join(cells)


def in_one_line(error: Exception) -> str:
    """An error that fits into a cell of a table."""
    first = (str(error).strip().splitlines() or [""])[0].replace("|", "/")
    return f"{type(error).__name__}: {first}"[:200]


def _tried(measure: Callable[[], str]) -> str:
    """The cells of a row, or why there are none: one row that fails leaves the others."""
    try:
        return measure()
    except Exception as error:
        return in_one_line(error)
    finally:
        torch.compiler.reset()  # what is compiled would keep its network, and count against torch's limit
        gc.collect()


def _head(columns: Sequence[str]) -> Iterator[str]:
    yield _row(*columns)
    yield f"|{'---|' * len(columns)}"


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _cell(spread: Spread, unit: float = 1.0) -> str:
    """The median with smallest and largest, in this unit and three digits or more."""
    middle, low, high = (value / unit for value in (spread.median, min(spread.values), max(spread.values)))
    digits = 0 if middle >= 100 else 1 if middle >= 10 else 2
    return f"{middle:,.{digits}f} ({low:,.{digits}f}–{high:,.{digits}f})"
