"""Pictures through a network: items are read, cut into batches and computed; results keep their order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Protocol, Self, cast

import numpy as np
import numpy.typing as npt

from vithybrid_cli.cores import available_cores
from vithybrid_cli.errors import ImageError, ModelError, NonFiniteLogits, UsageError
from vithybrid_cli.images.memory import MemoryBudget, decoding_limit, default_budget, release_free_memory
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.images.read import PixelReader
from vithybrid_cli.images.rgb import to_rgb
from vithybrid_cli.items import Item
from vithybrid_cli.pipeline.batches import Batches
from vithybrid_cli.pipeline.fetch import Fetched, LiveFetched
from vithybrid_cli.pipeline.loader import Loaded, Pixels, Read, load, load_live
from vithybrid_cli.settings import DEFAULT_DECODE_TIMEOUT, Decoding, Reading, Running
from vithybrid_cli.sources.containers import Wanted
from vithybrid_cli.sources.named import Named

if TYPE_CHECKING:
    from PIL import Image

    from vithybrid_cli.checkpoints.checkpoint import Checkpoint
    from vithybrid_cli.choices import Feature
    from vithybrid_cli.engines import Engine
    from vithybrid_cli.pipeline.isolation import DecodingProcesses

Picture = str | os.PathLike[str] | Item  # by its name, or itself
Paths = Picture | Iterable[Picture]  # one, or several
Row = npt.NDArray[np.float32]  # [C]: what the network gives for a picture
Rows = npt.NDArray[np.float32]  # [N, C]: what it gives for N pictures
Output = tuple[str, Row | ImageError]
Results = Generator[Loaded, None, None] | Generator[Loaded | None, None, None]


_LOOK_AHEAD_BATCHES = 2  # decoded ahead of the batch that is being computed


class Pipeline:
    """Computes what one network gives for pictures. As a context manager it is closed at the end."""

    def __init__(self, engine: Engine, image_preprocessing: Preprocessing) -> None:
        """Raises ModelError where pictures are not brought to the size that the network takes."""
        _require_fit(engine.image_size, image_preprocessing.output_size)
        self._engine: Engine | None = engine
        self.image_preprocessing = image_preprocessing

    @property
    def engine(self) -> Engine:
        """What runs the network. Raises UsageError after `close`."""
        if self._engine is None:
            raise UsageError(f"This {type(self).__name__} is closed.", "Load it again with `from_pretrained`.")
        return self._engine

    def close(self) -> None:
        """Let go of the network, so that its memory can be freed. Closing twice does nothing."""
        self._engine = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def outputs(
        self,
        paths: Paths,
        what: Reading,
        *,
        batch_size: int | None = None,
        live: bool = False,
    ) -> Generator[Output, None, None]:
        """The name of each picture with what the network gives for it [C], or why there is nothing, in their order.

        ``what`` says how they are read; its own inputs are not looked at. ``live`` is for ``paths`` that block
        until more arrive, as a list on a pipe does: they are iterated by a thread of their own, and what has arrived is
        computed once they pause. So with ``live`` the time at which they arrive decides where batches end, and with
        it the last digits. Raises UsageError at once for a ``batch_size``, ``workers`` or ``max_pixels`` below 1.
        """
        batch_size = self.engine.batch_size if batch_size is None else batch_size
        workers = available_cores() if what.workers is None else what.workers
        for name, value in {"batch_size": batch_size, "workers": workers}.items():
            require_at_least_one(name, value)
        reading = reading_with(PixelReader(self.image_preprocessing, self.engine.image_size, what.decoding), what)
        look_ahead = _LOOK_AHEAD_BATCHES * batch_size + workers
        items = (LiveFetched if live else Fetched)(_items(paths, what))
        loading = partial(load_live if live else load, workers=workers, look_ahead=look_ahead)
        return self._outputs(reading, items, loading, batch_size)

    def preprocess(self, image: Image.Image) -> npt.NDArray[np.float32]:
        """A Pillow image → float32 [3, H, W], equal to the reference processor, which ignores the EXIF orientation."""
        pixels = self.image_preprocessing.pixels(to_rgb(image))
        return self.image_preprocessing.normalization.apply(pixels)

    def _outputs(
        self,
        reading: AbstractContextManager[Read],
        items: Fetched | LiveFetched,
        loading: Callable[..., Results],
        batch_size: int,
    ) -> Generator[Output, None, None]:
        with reading as read, closing(items), closing(loading(items, read=read)) as loaded:
            for batch, rows in self._computed(_batches(loaded, batch_size)):
                yield from _in_order(batch, rows)

    def _computed(self, batches: Iterable[list[Loaded] | None]) -> Iterator[tuple[list[Loaded], Rows]]:
        """Each batch with its rows, in order; as many at once as the engine takes, and one more that waits its turn.

        So the engine is not idle while the caller uses the results of a batch.
        """
        running: deque[tuple[list[Loaded], Future[Rows]]] = deque()
        most = self.engine.parallel + 1
        pool = ThreadPoolExecutor(self.engine.parallel, thread_name_prefix="network")
        try:
            for batch in batches:
                if batch is not None:
                    running.append((batch, pool.submit(self._rows, batch)))
                while running and (batch is None or len(running) == most):
                    first, rows = running.popleft()
                    yield first, rows.result()
            for first, rows in running:
                yield first, rows.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _rows(self, batch: list[Loaded]) -> Rows:
        """What the network gives for the N pictures that could be read [N, C]."""
        pixels = [loaded for _, loaded in batch if not isinstance(loaded, ImageError)]
        return self.engine.run(np.stack(pixels)) if pixels else np.empty((0, 0), np.float32)


class ItemReader(Protocol):
    """Makes an array of a picture; see `vithybrid_cli.images.read.PixelReader`. For processes it is pickled."""

    @property
    def size(self) -> tuple[int, int]: ...

    @property
    def decoding(self) -> Decoding: ...

    def read(self, item: Item, reserve: Callable[[int], None]) -> Pixels: ...


def reading_with(reader: ItemReader, what: Reading) -> AbstractContextManager[Read]:
    """What reads items as ``reader`` does, in threads within a budget of memory, or in processes if ``what`` asks so.

    Raises UsageError at once for settings that make no sense.
    """
    _check(what)
    return _in_processes(reader, what.decode_timeout) if what.isolate else nullcontext(_within_budget(reader))


def engine_for(
    checkpoint: Checkpoint, how: Running, feature: Feature | None = None, batch_limit: int | None = None
) -> Engine:
    """The engine that runs the network of a checkpoint ``how`` it was asked for. Raises as `open_engine` does."""
    from vithybrid_cli.engines.open import open_engine

    return open_engine(
        checkpoint,
        engine=how.engine,
        device=how.device,
        dtype=how.dtype,
        attention=how.attention,
        compiled=how.compile,
        feature=feature,
        batch_size=how.batch_size,
        threads=how.threads,
        batch_limit=batch_limit,
    )


def _require_fit(takes: tuple[int, int], given: tuple[int, int] | None) -> None:
    """``given`` is None where it depends on the picture."""
    if given is not None and given != takes:
        size, other = (f"{width}×{height}" for height, width in (takes, given))
        raise ModelError(
            f"The model takes {size} pixels, but its preprocessor_config.json makes {other}.",
            "Correct the sizes in that file.",
        )


def _check(what: Reading) -> None:
    """Raise UsageError for settings that make no sense."""
    require_at_least_one("max_pixels", what.decoding.max_pixels)
    require_at_least_one("max_bytes", what.max_bytes)
    if not what.decode_timeout > 0:
        raise UsageError(
            f"The time limit for decoding is {what.decode_timeout}, but has to be above 0.",
            "Give {decode_timeout} in seconds.",
        )
    if what.decode_timeout != DEFAULT_DECODE_TIMEOUT and not what.isolate:
        raise UsageError("A thread that decodes a picture cannot be ended.", "Give {isolate=True} with the limit.")


def require_at_least_one(name: str, value: int) -> None:
    """Raise UsageError for a ``value`` of the option ``name`` below 1."""
    if value < 1:
        raise UsageError(f"{name} is {value}, but has to be at least 1.", f"Give {{{name}}} a larger number.")


def _items(paths: Paths, what: Reading) -> Iterator[Item]:
    """The pictures as items, lazily. Raises TypeError at once for what cannot be iterated."""
    named = Named(Wanted(column=what.column, max_bytes=what.max_bytes))

    def item(picture: Picture) -> Item:
        return named.item(os.fsdecode(picture)) if isinstance(picture, str | bytes | os.PathLike) else picture

    one = isinstance(paths, str | bytes | os.PathLike) or hasattr(paths, "open")
    return map(item, [cast("Picture", paths)] if one else cast("Iterable[Picture]", paths))


def _in_processes(reader: ItemReader, timeout: float) -> DecodingProcesses:
    """Raises UsageError on a system where that is not possible."""
    if os.name != "posix":
        raise UsageError("Pictures can be decoded in processes on Linux and macOS alone.", "Leave out {isolate}.")
    from vithybrid_cli.pipeline.isolation import DecodingProcesses

    memory = decoding_limit(reader.decoding.max_pixels)
    return DecodingProcesses(reader, MemoryBudget(default_budget()), timeout=timeout, memory=memory)


def _within_budget(reader: ItemReader) -> Read:
    """Read items so that the pictures being decoded at a time fit into a part of the memory."""
    budget = MemoryBudget(default_budget(), release_free_memory)

    def read(item: Item) -> Pixels:
        with budget.part() as reserve:
            return reader.read(item, reserve)

    return read


def _in_order(batch: list[Loaded], rows: Rows) -> Iterator[Output]:
    readable = iter(rows)
    for path, loaded in batch:
        if isinstance(loaded, ImageError):
            yield path, loaded
        else:
            row = next(readable)
            yield path, row if np.isfinite(row).all() else _non_finite()


def _non_finite() -> NonFiniteLogits:
    return NonFiniteLogits(
        "The network's outputs for this picture are not finite.", "Use {dtype=float32}, or check the weights."
    )


def _batches(loaded: Iterable[Loaded | None], size: int) -> Iterator[list[Loaded] | None]:
    """Cut a stream into lists of ``size`` each, unreadable pictures among them.

    A pause (None) ends a list early and is passed on: nothing more comes for a while. An exception of the stream comes
    after such a pause, so that the pictures before it are computed.
    """
    batch: list[Loaded] = []
    cut = Batches(size)
    try:
        for item in loaded:
            if item is None:
                cut.end()
            else:
                batch.append(item)
                cut.add()
            if batch and not cut.within:
                yield batch
                batch = []
            if item is None:
                yield None
    except Exception:
        if batch:
            yield batch
        yield None
        raise
    if batch:
        yield batch
