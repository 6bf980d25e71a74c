"""The Python interface: a checkpoint by name, and pictures into labels."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import closing
from functools import cached_property
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.choices import Activation
from vithybrid_cli.errors import ImageError, ModelError, UsageError
from vithybrid_cli.hub.catalog import DEFAULT_MODEL
from vithybrid_cli.hub.locate import locate
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.pipeline.pipeline import Output, Paths, Pipeline, Row, engine_for, require_at_least_one
from vithybrid_cli.pipeline.rollup import Tree, instead, require_rules, tree_of
from vithybrid_cli.results import Answer, ImageResult, best_predictions, scores
from vithybrid_cli.settings import (
    DEFAULT_DECODE_TIMEOUT,
    DEFAULT_MAX_BYTES,
    DEFAULT_MAX_PIXELS,
    Choice,
    Decoding,
    Reading,
    Running,
)

if TYPE_CHECKING:
    import torch

    from vithybrid_cli.engines import Engine
    from vithybrid_cli.engines.torch_engine import TorchEngine


class Classifier(Pipeline):
    """Labels pictures with one network."""

    def __init__(
        self,
        engine: Engine,
        image_preprocessing: Preprocessing,
        labels: tuple[str, ...],
        checkpoint: Checkpoint | None = None,
        activation: Activation = Activation.SOFTMAX,
        threads: int | None = None,
    ) -> None:
        """``checkpoint`` is what ``engine`` was opened from, for so many ``threads``; `logits` needs it where that is
        not the torch engine.

        ``activation`` makes scores of logits, unless another one is asked for.
        """
        super().__init__(engine, image_preprocessing)
        self.labels = labels
        self.activation = activation
        self._checkpoint, self._threads = checkpoint, threads
        self._torch_engine: TorchEngine | None = None

    @classmethod
    def from_pretrained(
        cls,
        model: str | os.PathLike[str] = DEFAULT_MODEL,
        *,
        revision: str | None = None,
        offline: bool = False,
        device: str = "auto",
        dtype: str = "float32",
        attention: str = "sdpa",
        engine: str = "auto",
        compile: bool = False,  # noqa: A002 (what it is called everywhere in torch)
        image_size: int | None = None,
        batch_size: int | None = None,
        threads: int | None = None,
    ) -> Classifier:
        """Load a checkpoint by catalog alias, hub id, or path of a folder or weights file.

        ``compile`` compiles the network with torch at the first batch, for batches of ``batch_size``; without that, the
        size suits the device. ``threads`` compute it on a CPU, by default as many as there are cores for this process;
        they decide the last digits. ``image_size`` runs it on pictures of that many pixels a side instead of the size
        that it was trained for.
        Raises ModelError when the model cannot be found, fetched or loaded, or has no head; UsageError for a device,
        type or engine that is not available.
        """
        how = Running(
            model=os.fspath(model),
            revision=revision,
            offline=offline,
            image_size=image_size,
            device=device,
            dtype=dtype,
            attention=attention,
            engine=engine,
            compile=compile,
            batch_size=batch_size,
            threads=threads,
        )
        return cls.open(Checkpoint.read(locate(model, revision=revision, offline=offline), image_size), how)

    @classmethod
    def open(cls, checkpoint: Checkpoint, how: Running, batch_limit: int | None = None) -> Classifier:
        """Load the network of a checkpoint that was read for these settings, and raise as `from_pretrained` does.

        ``batch_limit`` is how many pictures at once an earlier engine of the same run found to fit into memory.
        """
        require_head(checkpoint, how.model)
        engine = engine_for(checkpoint, how, batch_limit=batch_limit)
        labels, activation = checkpoint.config.labels, checkpoint.activation
        return cls(engine, checkpoint.preprocessing, labels, checkpoint, activation, how.threads)

    def close(self) -> None:
        """Let go of the network, so that its memory can be freed. Closing twice does nothing."""
        super().close()
        self._torch_engine = None

    def classify(
        self,
        paths: Paths,
        top_k: int = 5,
        threshold: float | None = None,
        *,
        activation: str = "auto",
        unsure: float | None = None,
        rollup: float | None = None,
        batch_size: int | None = None,
        workers: int | None = None,
        column: str | None = None,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        max_bytes: int = DEFAULT_MAX_BYTES,
        fast_jpeg: bool = False,
        raw_preview: bool = False,
        allow_truncated: bool = False,
        background: str | None = None,
        isolate: bool = False,
        decode_timeout: float = DEFAULT_DECODE_TIMEOUT,
    ) -> Generator[ImageResult, None, None]:
        """Results in the order of ``paths``, each once its batch is computed; a bad file is a result with an error.

        ``paths`` is one path or any iterable of them; an item (`vithybrid_cli.items`) may stand for a path, and the
        name of a member (``zip://cat.jpg::photos.zip``) is one. It is iterated by the caller's thread when a result is
        asked for, a few batches ahead, and memory does not grow with it. Each batch but the last is of the same number
        of paths, so results do not depend on how fast paths or disks are. ``column`` is the one of a table that has the
        pictures, and ``max_bytes`` how large one in an archive or a table may be.
        Each result has at most ``top_k`` labels, those with a score of at least ``threshold``. ``activation`` makes
        scores of the network's outputs: ``softmax``, ``sigmoid``, ``none``, or what suits the model.
        The ``answer`` of a result is its best label. Where that has a score below ``rollup``, the first ancestor in
        WordNet whose labels reach it together takes its place ("dog" for several breeds); that is for ImageNet's labels
        and a softmax. Where neither reaches ``unsure``, the answer is that word.
        ``fast_jpeg`` decodes large JPEG files at a part of their size, with slightly different pixels. ``raw_preview``
        reads the preview in a camera's raw file, ``allow_truncated`` what is there of a picture that is cut off at its
        end, and ``background`` is a colour that transparent pictures are laid on. ``isolate`` decodes in processes
        instead of threads, so that a picture that crashes its decoder, or takes longer than ``decode_timeout`` seconds,
        becomes an error in its place. BENCHMARKS.md says what that costs.
        Raises UsageError at once for a ``top_k``, ``batch_size``, ``workers`` or ``max_pixels`` below 1, a
        ``threshold`` that no score or each one reaches, ``unsure`` and ``rollup`` that are no probabilities or not for
        this model, a ``background`` that is no colour, and a ``decode_timeout`` that is not above 0.
        """
        choice = top_k, threshold, activation, unsure, rollup
        self.check_choice(*choice)
        what = Reading(
            column=column,
            max_bytes=max_bytes,
            workers=workers,
            decoding=Decoding(
                max_pixels=max_pixels,
                fast_jpeg=fast_jpeg,
                raw_preview=raw_preview,
                allow_truncated=allow_truncated,
                background=background,
            ),
            isolate=isolate,
            decode_timeout=decode_timeout,
        )
        outputs = self.outputs(paths, what, batch_size=batch_size)
        return self._results(outputs, choice)

    def check_choice(
        self,
        top_k: int,
        threshold: float | None,
        activation: str,
        unsure: float | None = None,
        rollup: float | None = None,
    ) -> None:
        """Raise UsageError where `classify` would, for settings that choose labels and scores."""
        require_choice(top_k, threshold, activation, unsure, rollup, self.activation, self.labels)

    def activation_for(self, name: str) -> Activation:
        """The activation of that name; the model's own for ``auto``. Raises UsageError for one that is not known."""
        return _activation(name, self.activation)

    def result(
        self,
        path: str,
        output: Row | ImageError,
        top_k: int = 5,
        threshold: float | None = None,
        activation: str = "auto",
        unsure: float | None = None,
        rollup: float | None = None,
    ) -> ImageResult:
        """What `classify` gives for a ``path`` with this output of `outputs`."""
        if isinstance(output, ImageError):
            return ImageResult(path, error=output)
        chosen = self.activation_for(activation)
        predictions = best_predictions(output, self.labels, top_k, threshold, chosen)
        if unsure is None and rollup is None:
            return ImageResult(path, predictions)
        best, tree = int(output.argmax()), None if rollup is None else self._tree
        found = instead(scores(output, chosen), best, unsure, rollup, tree)
        if found is None and not predictions:  # below the threshold, which hides labels and no answer
            found = Answer(self.labels[best], float(scores(output, chosen)[best]), best)
        return ImageResult(path, predictions, instead=found, ruled=True)

    def logits(self, pixel_values: torch.Tensor | npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Normalised pixels float32 [N, 3, H, W], as `preprocess` gives them → logits float32 [N, C].

        They are computed by torch. Where another engine labels pictures, the first call loads the network once more,
        for torch in float32 on the CPU. Raises UsageError where there is no checkpoint to load it from.
        """
        import torch

        values = torch.as_tensor(pixel_values)
        expected = (3, *self.engine.image_size)
        if tuple(values.shape[1:]) != expected:
            given, wanted = list(values.shape), ", ".join(map(str, expected))
            raise UsageError(f"The pixel values have the shape {given}.", f"Give an array [N, {wanted}].")
        return self._torch().run_normalized(values)

    def _results(self, outputs: Generator[Output, None, None], choice: Choice) -> Generator[ImageResult, None, None]:
        with closing(outputs):
            for path, output in outputs:
                yield self.result(path, output, *choice)

    @cached_property
    def _tree(self) -> Tree:
        return tree_of(self.labels)

    def _torch(self) -> TorchEngine:
        from vithybrid_cli.engines.open import open_engine
        from vithybrid_cli.engines.several import SeveralEngines
        from vithybrid_cli.engines.torch_engine import TorchEngine

        engine = self.engine.engines[0] if isinstance(self.engine, SeveralEngines) else self.engine
        if isinstance(engine, TorchEngine):
            return engine
        if self._torch_engine is None:
            if self._checkpoint is None:
                raise UsageError(
                    "This classifier has no checkpoint to load a torch network from.",
                    "Make it with `Classifier.from_pretrained`.",
                )
            opened = open_engine(
                self._checkpoint,
                engine="torch",
                device="cpu",
                dtype="float32",
                attention="sdpa",
                threads=self._threads,
            )
            assert isinstance(opened, TorchEngine)
            self._torch_engine = opened
        return self._torch_engine


def require_head(checkpoint: Checkpoint, model: str) -> None:
    """Raise ModelError for a network that does not choose a label; ``model`` is what the user calls it."""
    if not checkpoint.config.labels:
        raise ModelError(
            f"{model} has no head that is read here, so it gives no labels.",
            "Get its features with `vithybrid embed` or `Embedder`.",
        )


def require_choice(
    top_k: int,
    threshold: float | None,
    activation: str,
    unsure: float | None,
    rollup: float | None,
    suits: Activation,
    labels: Sequence[str],
) -> None:
    """Raise UsageError for settings that choose labels and scores and make no sense for a model with these ``labels``.

    ``suits`` is the activation that suits it.
    """
    require_at_least_one("top_k", top_k)
    chosen = _activation(activation, suits)
    require_rules(unsure, rollup, chosen)
    if rollup is not None:
        tree_of(labels)
    probable = chosen is not Activation.NONE
    if threshold is not None and not (0 <= threshold <= 1 if probable else isfinite(threshold)):
        kind, allowed = ("probability", "from 0 to 1") if probable else ("finite number", "that is one")
        raise UsageError(f"The threshold {threshold} is no {kind}.", f"Give a {{threshold}} {allowed}.")


def _activation(name: str, suits: Activation) -> Activation:
    if name not in list(Activation):
        raise UsageError(f"There is no activation {name!r}.", f"Give one of {', '.join(Activation)}.")
    return suits if name == Activation.AUTO else Activation(name)
