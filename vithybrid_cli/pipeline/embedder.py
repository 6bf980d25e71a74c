"""The Python interface to features: a checkpoint by name, and pictures into vectors."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import closing
from typing import TYPE_CHECKING

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.choices import Feature
from vithybrid_cli.engines.features import feature_width
from vithybrid_cli.errors import ImageError, UsageError
from vithybrid_cli.hub.catalog import DEFAULT_MODEL
from vithybrid_cli.hub.locate import locate
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.pipeline.pipeline import Output, Paths, Pipeline, Row, engine_for
from vithybrid_cli.results import EmbeddingResult
from vithybrid_cli.settings import (
    DEFAULT_DECODE_TIMEOUT,
    DEFAULT_MAX_BYTES,
    DEFAULT_MAX_PIXELS,
    Decoding,
    Reading,
    Running,
)

if TYPE_CHECKING:
    from vithybrid_cli.engines import Engine


class Embedder(Pipeline):
    """Turns each picture into a feature, a vector of ``width`` numbers, with one network."""

    def __init__(self, engine: Engine, image_preprocessing: Preprocessing, width: int) -> None:
        """``engine`` is one that was opened for a feature."""
        super().__init__(engine, image_preprocessing)
        self.width = width

    @classmethod
    def from_pretrained(
        cls,
        model: str | os.PathLike[str] = DEFAULT_MODEL,
        *,
        feature: str = "auto",
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
    ) -> Embedder:
        """Load a checkpoint as `Classifier.from_pretrained` does; it needs no head.

        The ``feature`` ``auto`` is what the network's own head reads: the CLS token (of a distilled DeiT too), the mean
        of the patch tokens for BEiT and timm's average pooling, or the mean of the feature map for BiT, after the
        pooler (a linear layer and tanh) if the network has one. ``cls`` and ``mean`` are the CLS token and the mean of
        the patch tokens after the final norm.
        Raises ModelError and UsageError as `Classifier.from_pretrained` does, and UsageError for a ``feature`` that is
        unknown or that the network does not have.
        """
        chosen = _feature(feature)
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
        return cls.open(Checkpoint.read(locate(model, revision=revision, offline=offline), image_size), how, chosen)

    @classmethod
    def open(cls, checkpoint: Checkpoint, how: Running, feature: Feature, batch_limit: int | None = None) -> Embedder:
        """Load the network of a checkpoint that was read for these settings, and raise as `from_pretrained` does.

        ``batch_limit`` is that of `Classifier.open`.
        """
        engine = engine_for(checkpoint, how, feature, batch_limit)
        return cls(engine, checkpoint.preprocessing, feature_width(checkpoint.config))

    def embed(
        self,
        paths: Paths,
        *,
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
    ) -> Generator[EmbeddingResult, None, None]:
        """Results in the order of ``paths``, each once its batch is computed; a bad file is a result with an error.

        ``paths`` and the options are those of `Classifier.classify`. Raises UsageError at once for a ``batch_size``,
        ``workers`` or ``max_pixels`` below 1, and for a ``background`` that is no colour.
        """
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
        return self._results(outputs)

    def result(self, path: str, output: Row | ImageError) -> EmbeddingResult:
        """What `embed` gives for a ``path`` with this output of `outputs`."""
        if isinstance(output, ImageError):
            return EmbeddingResult(path, error=output)
        return EmbeddingResult(path, output)

    def _results(self, outputs: Generator[Output, None, None]) -> Generator[EmbeddingResult, None, None]:
        with closing(outputs):
            for path, output in outputs:
                yield self.result(path, output)


def _feature(name: str) -> Feature:
    if name not in list(Feature):
        raise UsageError(f"There is no feature {name!r}.", f"Give one of {', '.join(Feature)}.")
    return Feature(name)
