"""Pictures become explanations: sources, decoding, preprocessing and the explainer of a network, put together."""

from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from vithybrid_cli.choices import Activation, Method
from vithybrid_cli.cores import available_cores
from vithybrid_cli.errors import ImageError, UsageError
from vithybrid_cli.explain.explained import Explained, Explanation
from vithybrid_cli.items import Item
from vithybrid_cli.results import best_predictions
from vithybrid_cli.runs.model import read_checkpoint
from vithybrid_cli.runs.watch import Silent, Watch
from vithybrid_cli.settings import Reading, Running
from vithybrid_cli.sources.inputs import Sources

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from vithybrid_cli.checkpoints.checkpoint import Checkpoint
    from vithybrid_cli.explain.explainer import Explainer
    from vithybrid_cli.explain.heatmap import HeatMap
    from vithybrid_cli.explain.seen import SeenReader
    from vithybrid_cli.pipeline.loader import Loaded, Pixels

_LOOK_AHEAD = 2  # pictures that are decoded ahead of the one that is explained, which takes longer


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be explained.

    ``label`` is a label, its first name, WordNet id or index; None is the best label of each picture. With ``against``,
    which is named alike, what speaks for the label rather than for that one is shown. ``top_k`` labels are given, too.
    """

    label: str | None = None
    against: str | None = None
    method: str = Method.AUTO
    top_k: int = 5


def explain(
    what: Reading, how: Running, asked: Asked | None = None, watch: Watch | None = None
) -> Generator[Explained, None, None]:
    """Explain the pictures of ``what`` with the network of ``how``, one by one, in their order.

    A picture that cannot be read is a result with an error. Raises UsageError and ModelError for what is wrong before
    the first picture: for inputs, model, settings and labels that make no sense.
    """
    asked, watch = asked or Asked(), watch or Silent()
    sources = Sources.of(what, offline=how.offline)
    sources.check()
    explaining = Explaining.open(read_checkpoint(how, watch), how, asked)
    yield from explaining.results(sources.items(), what, live=sources.live)


@dataclass(frozen=True, slots=True)
class Explaining:
    """An explainer with what it is asked: ``index`` is the label to explain, None the best one of each picture."""

    checkpoint: "Checkpoint"
    explainer: "Explainer"
    asked: Asked
    index: int | None
    against: int | None

    @classmethod
    def open(cls, checkpoint: "Checkpoint", how: Running, asked: Asked) -> "Explaining":
        """Load the network of a checkpoint that was read for these settings. Raises UsageError and ModelError."""
        from vithybrid_cli.explain.explainer import open_explainer
        from vithybrid_cli.pipeline.classifier import require_head
        from vithybrid_cli.pipeline.pipeline import require_at_least_one

        require_at_least_one("top_k", asked.top_k)
        require_head(checkpoint, how.model)
        index, against = _chosen(asked, checkpoint.config.labels)
        return cls(checkpoint, open_explainer(checkpoint, how, Method(asked.method)), asked, index, against)

    def results(self, items: Iterable[Item], what: Reading, *, live: bool = False) -> Generator[Explained, None, None]:
        """The explanation of each item, in order; ``live`` as for `vithybrid_cli.pipeline.pipeline.Pipeline.outputs`.

        ``what`` says how they are read. Raises UsageError for ``workers`` or ``max_pixels`` below 1.
        """
        from vithybrid_cli.explain.seen import SeenReader

        reader = SeenReader(self.checkpoint.preprocessing, self.explainer.input_size, what.decoding)
        with closing(_loaded(items, reader, what, live=live)) as loaded:
            for found in loaded:
                if found is not None:
                    yield self._result(*found, reader)

    def _result(self, path: str, loaded: "Pixels | ImageError", reader: "SeenReader") -> Explained:
        if isinstance(loaded, ImageError):
            return Explained(path, error=loaded)
        seen = reader.unpacked(loaded)
        try:
            heat, logits = self._mapped(seen.pixels)
        except ImageError as error:
            return Explained(path, error=error)
        every = {
            label.index: label
            for label in best_predictions(logits, self.labels, len(self.labels), None, self.activation)
        }
        index = next(other for other in every if other != self.against) if self.index is None else self.index
        against = None if self.against is None else every[self.against]
        best = tuple(islice(every.values(), self.asked.top_k))
        return Explained(path, Explanation(every[index], against, best, heat, seen))

    def _mapped(self, pixels: "Pixels") -> "tuple[HeatMap, npt.NDArray[np.float32]]":
        """A map and the logits. Where the best label is the one to hold it against, the next one takes its place."""
        if self.index is not None or self.against is None:
            return self.explainer.explain(pixels, self.index, self.against)
        try:
            return self.explainer.explain(pixels, None, self.against)
        except UsageError:  # of what was not ruled out at the beginning, that is all that can be
            _, logits = self.explainer.explain(pixels)
            best = best_predictions(logits, self.labels, 2)
            return self.explainer.explain(pixels, best[1].index, self.against)

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels of the network."""
        return self.checkpoint.config.labels

    @property
    def activation(self) -> Activation:
        """What makes scores, as for `classify`."""
        return self.checkpoint.activation


def _chosen(asked: Asked, labels: tuple[str, ...]) -> tuple[int | None, int | None]:
    """The indices of label and rival. Raises UsageError for those that are none, and where both are the same."""
    from vithybrid_cli.explain.label_choice import label_index

    index = None if asked.label is None else label_index(asked.label, labels, "label")
    against = None if asked.against is None else label_index(asked.against, labels, "against")
    if against is not None and len(labels) == 1:
        raise UsageError(
            f'The model has one label, "{labels[0]}", which can be held against no other.', "Leave out {against}."
        )
    if index is not None and index == against:
        raise UsageError(
            f'Nothing can speak for "{labels[index]}" rather than for itself.', "Give {against} another label."
        )
    return index, against


def _loaded(
    items: Iterable[Item], reader: "SeenReader", what: Reading, *, live: bool
) -> "Generator[Loaded | None, None, None]":
    """Each item read ahead of its turn, or its error."""
    from vithybrid_cli.pipeline.fetch import Fetched, LiveFetched
    from vithybrid_cli.pipeline.loader import load, load_live
    from vithybrid_cli.pipeline.pipeline import reading_with

    workers = what.workers or min(available_cores(), _LOOK_AHEAD)
    with reading_with(reader, what) as read, closing((LiveFetched if live else Fetched)(items)) as fetched:
        loading = load_live if live else load
        with closing(loading(fetched, read=read, workers=workers, look_ahead=max(workers, _LOOK_AHEAD))) as loaded:
            yield from loaded
