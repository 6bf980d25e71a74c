"""Why one picture has its label: the result of `vithybrid explain`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vithybrid_cli.errors import ImageError
from vithybrid_cli.results import ImageResult, Prediction

if TYPE_CHECKING:
    from PIL import Image

    from vithybrid_cli.explain.heatmap import HeatMap
    from vithybrid_cli.explain.seen import Seen


@dataclass(frozen=True, slots=True, eq=False)  # comparing arrays gives arrays
class Explanation:
    """What speaks for a ``label`` in a picture, or for it rather than for the label ``against``.

    ``heat`` covers what the network saw of the picture, which `Seen` tells the place of. ``predictions`` are the best
    labels, whether the explained one is among them or not.
    """

    label: Prediction
    against: Prediction | None
    predictions: tuple[Prediction, ...]
    heat: "HeatMap"
    seen: "Seen"

    def drawn(self) -> "Image.Image":
        """The map over the picture, upright and whole."""
        from vithybrid_cli.explain.overlay import overlay

        return overlay(self.seen.shown, self.heat, self.seen.box_shown)

    def facts(self) -> dict[str, Any]:
        """All but the map and the picture, as plain values; sizes are (width, height)."""
        against = None if self.against is None else _plain(self.against)
        return {
            "method": str(self.heat.method),
            **_plain(self.label),
            "against": against,
            "size": list(self.seen.size),
            "box": [round(edge, 2) + 0.0 for edge in self.seen.box],
        }


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """The result for one picture: an explanation, or the error that prevented it."""

    path: str
    explanation: Explanation | None = None
    error: ImageError | None = None

    @property
    def labelled(self) -> ImageResult:
        """What `classify` gives for the picture."""
        predictions = () if self.explanation is None else self.explanation.predictions
        return ImageResult(self.path, predictions, self.error)

    def record(self) -> dict[str, Any]:
        """The record of `classify`, and the explanation with its map, rows from the top, four significant digits."""
        if self.explanation is None:
            return self.labelled.record()
        rows = [[float(f"{value:.4g}") + 0.0 for value in row] for row in self.explanation.heat.values.tolist()]
        return {**self.labelled.record(), "explanation": {**self.explanation.facts(), "map": rows}}


def _plain(label: Prediction) -> dict[str, Any]:
    return {"index": label.index, "label": label.label, "score": label.rounded}
