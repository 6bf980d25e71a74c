"""What this program does with pictures, as tasks to measure: decoding, the network alone, and the whole way."""

import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vithybrid_cli.bench.amount import Amount, Clock, cycled, repeated
from vithybrid_cli.bench.material import Material, Plan
from vithybrid_cli.bench.measurements import OURS, Part, Subject, Timing
from vithybrid_cli.bench.turns import Task
from vithybrid_cli.choices import Dtype
from vithybrid_cli.errors import ImageError, UsageError
from vithybrid_cli.images.decode import decode
from vithybrid_cli.images.local import LocalFile
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.items import Item
from vithybrid_cli.pipeline.classifier import Classifier
from vithybrid_cli.pipeline.loader import load

_LOOK_AHEAD = 64  # pictures; more than any number of cores takes from it at a time
_LEAST_BATCHES = 8  # of the whole way: beside its first and last batch only half of the work is done


@dataclass(frozen=True, slots=True)
class Network:
    """A classifier that is loaded for one engine and type, and a pool in which its engine runs."""

    classifier: Classifier
    dtype: str
    pool: Executor  # kept between turns

    @classmethod
    def open(cls, material: Material, engine: str, dtype: str, device: str, threads: int | None = None) -> "Network":
        """Raises UsageError and ModelError as `Classifier.from_pretrained` does."""
        classifier = Classifier.from_pretrained(
            material.model, device=device, dtype=dtype, engine=engine, threads=threads
        )
        return cls(classifier, dtype, ThreadPoolExecutor(classifier.engine.parallel))

    @property
    def engine_and_dtype(self) -> tuple[str, str]:
        """The engine that runs, where `auto` chose it, and the type."""
        return self.classifier.engine.name, self.dtype

    def network_task(self, material: Material, batch: int, seconds: float) -> Task:
        """Pixels to logits."""
        engine = self.classifier.engine
        pixels = np.resize(material.pixels, (batch, *material.pixels.shape[1:]))  # repeated if they are fewer

        def measure(amount: Amount) -> Timing:
            self._set_up_gpu()
            return repeated(lambda: engine.run(pixels), amount, parallel=engine.parallel, pool=self.pool)

        return _task(self.subject(Part.NETWORK, batch), measure, Amount(batch, batch, seconds))

    def whole_task(self, material: Material, batch: int, seconds: float, workers: int) -> Task:
        """Files to labels."""

        def measure(amount: Amount) -> Timing:
            self._set_up_gpu()
            return whole_way(amount, self.classifier, material.pictures, workers)

        images = max(len(material.pictures), _LEAST_BATCHES * batch)
        return _task(self.subject(Part.WHOLE, batch), measure, Amount(batch, images, seconds))

    def _set_up_gpu(self) -> None:
        """torch has one switch for TF32 in the whole process, and networks of several types take turns here."""
        if self.classifier.engine.device_type == "cuda":
            from vithybrid_cli.engines.torch_devices import set_tf32

            set_tf32(self.dtype == Dtype.TF32)

    def subject(self, part: Part, batch: int) -> Subject:
        """What is measured of it."""
        return Subject(part, OURS, *self.engine_and_dtype, batch)


def decode_task(material: Material, plan: Plan) -> Task:
    """Files to pixels that are ready for the network."""

    def measure(amount: Amount) -> Timing:
        return decoding(amount, material.preprocessing, material.pictures, plan.workers)

    return _task(Subject(Part.DECODE), measure, Amount(1, len(material.pictures), plan.seconds))


def _task(subject: Subject, measure: Callable[[Amount], Timing], amount: Amount) -> Task:
    one_batch = Amount(amount.batch, amount.batch, 0.0)
    return Task(subject, lambda: measure(amount), lambda: measure(one_batch))


def decoding(
    amount: Amount,
    preprocessing: Preprocessing,
    paths: tuple[str, ...],
    workers: int,
    clock: Clock = time.perf_counter,
) -> Timing:
    """Read files as `Classifier.classify` does, without a network. Raises UsageError for the first failure."""

    def read(item: Item) -> npt.NDArray[np.uint8]:
        return preprocessing.pixels(decode(item))

    began = clock()
    images = 0
    files = map(LocalFile, cycled(paths, amount, began, clock))
    with closing(load(files, read, workers, _LOOK_AHEAD + workers)) as loaded:
        for path, item in loaded:
            if isinstance(item, ImageError):
                raise _failed(path, item)
            images += 1
    return Timing(clock() - began, images)


def whole_way(
    amount: Amount, classifier: Classifier, paths: tuple[str, ...], workers: int, clock: Clock = time.perf_counter
) -> Timing:
    """Label files in whole batches. Raises UsageError for the first failure, which would else count as fast."""
    began = clock()
    images = 0
    stream = cycled(paths, amount, began, clock)
    with closing(classifier.classify(stream, batch_size=amount.batch, workers=workers)) as results:
        for result in results:
            if result.error is not None:
                raise _failed(result.path, result.error)
            images += 1
    return Timing(clock() - began, images)


def _failed(path: str, error: ImageError) -> UsageError:
    return UsageError(f"{path} cannot be labelled: {error.cause}", "Give pictures that can be read.")
