"""Labelled pictures measure how faithful the maps of a network are, for each method that it can have."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from typing import TYPE_CHECKING

from vithybrid_cli.items import Item
from vithybrid_cli.runs.watch import Begin, Watch
from vithybrid_cli.settings import Reading, Running
from vithybrid_cli.sources.labelled import Labelled
from vithybrid_cli.sources.survey import Survey

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from vithybrid_cli.checkpoints.checkpoint import Checkpoint
    from vithybrid_cli.evaluation.figures import Metrics
    from vithybrid_cli.explain.explainer import Explainer
    from vithybrid_cli.pipeline.classifier import Classifier

RANDOM, CENTRE = "random map", "centred blob"  # what methods are held against

Areas = dict[str, list[tuple[float, float]]]


def with_faithfulness(
    metrics: "Metrics",
    classifier: "Classifier",
    checkpoint: "Checkpoint",
    how: Running,
    source: Labelled,
    labels: Mapping[str, int],
    what: Reading,
    watch: Watch,
    *,
    count: int,
) -> "Metrics":
    """The ``metrics`` of these pictures with insertion and deletion, of at most ``count``, for all methods of maps.

    And for a random map and a centred blob. ``labels`` gives the class index of each label of ``source``; of each label
    there are as many pictures, the first, as of the others if it has them. What is explained is a picture's own label,
    be it the best one or not. What could not be read is left out.
    """
    from vithybrid_cli.evaluation.faithful import Faithfulness
    from vithybrid_cli.explain.explainer import open_explainers
    from vithybrid_cli.images.read import PixelReader

    places = spread(_labels_by_place(source, {picture.path for picture in metrics.unreadable}), count)
    explainers = open_explainers(checkpoint, how, classifier.engine)
    reader = PixelReader(checkpoint.preprocessing, checkpoint.config.image_size, what.decoding)
    areas: Areas = {name: [] for name in (*(str(one.method) for one in explainers), RANDOM, CENTRE)}
    with watch.counting(Begin(lambda: len(places))) as progress:
        for item, label in _chosen(source, places):
            pixels = reader.read(item, lambda needed: None)  # one at a time, and it could be read before
            for name, pair in _areas(classifier, explainers, pixels, labels[label]):
                areas[name].append(pair)
            progress.advance()
    return replace(metrics, maps=Faithfulness.of(areas))


def spread(labels: Sequence[str | None], count: int) -> set[int]:
    """The places of at most ``count`` of ``labels``: the first of each, then the second of each, and so on.

    None is no label, and never chosen.
    """
    turns: defaultdict[str, int] = defaultdict(int)
    ranked = []
    for place, label in enumerate(labels):
        if label is not None:
            ranked.append((turns[label], place))
            turns[label] += 1
    return {place for _, place in sorted(ranked)[:count]}


def _labels_by_place(source: Labelled, unreadable: Set[str]) -> list[str | None]:
    return [None if item.name in unreadable else label for item, label in source.pictures(Survey())]


def _chosen(source: Labelled, places: set[int]) -> Iterator[tuple[Item, str]]:
    for place, (item, label) in enumerate(source.pictures(Survey())):
        if place in places and label is not None:
            yield item, label


def _areas(
    classifier: "Classifier", explainers: Sequence["Explainer"], pixels: "npt.NDArray[np.uint8]", index: int
) -> Iterator[tuple[str, tuple[float, float]]]:
    """Each method's insertion and deletion for uint8 pixels [H, W, 3], whose label has this ``index``."""
    import numpy as np

    from vithybrid_cli.engines.in_batches import in_batches
    from vithybrid_cli.explain.faithfulness import areas, centred_blob, random_map
    from vithybrid_cli.results import scores

    engine = classifier.engine

    def label_scores(pictures: "npt.NDArray[np.uint8]") -> "npt.NDArray[np.float64]":
        return scores(in_batches(engine, len(pictures), pictures.__getitem__), classifier.activation)[:, index]

    maps = {str(one.method): one.explain(pixels, index)[0].values for one in explainers}
    grid = next(iter(maps.values())).shape
    maps |= {
        RANDOM: random_map((grid[0], grid[1]), int(pixels.sum(dtype=np.uint64))),
        CENTRE: centred_blob(pixels.shape[:2]),
    }
    for name, values in maps.items():
        found = areas(label_scores, pixels, values)
        yield name, (found.insertion, found.deletion)
