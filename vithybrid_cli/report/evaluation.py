"""An evaluation as a page: its figures, what is confused, how far scores can be trusted, and pictures of all that."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any, TextIO

from vithybrid_cli.evaluation.examples import Example, Examples
from vithybrid_cli.evaluation.figures import LabelMetrics, Metrics
from vithybrid_cli.evaluation.matrix import ConfusionMatrix
from vithybrid_cli.output.escape import visible
from vithybrid_cli.report.document import data_block, data_url, document, heading
from vithybrid_cli.report.entries import About, PageKind, Thumbnail
from vithybrid_cli.report.sections import sections

MOST_THUMBNAILS = 600  # that a page should have: of photographs, at 160 pixels, these are 2.5 MB

_STYLES = ("evaluation.css",)
_SCRIPTS = ("entries.js", "evaluation.js")


@dataclass(frozen=True, slots=True)
class Look:
    """How a picture is looked at: its ``thumbnail``, and where itself opens, as `Entry` has both."""

    thumbnail: Thumbnail | None = None
    original: str | None = None


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What the page shows. ``looks`` are by the paths of pictures; those of others are shown by their names alone."""

    metrics: Metrics
    matrix: ConfusionMatrix
    examples: Examples
    looks: Mapping[str, Look]


def worth_a_thumbnail(matrix: ConfusionMatrix, examples: Examples) -> tuple[str, ...]:
    """The paths of all pictures of the page: the mistakes and hits of all first, then pair by pair in turns."""
    pairs = sorted(matrix.counts, key=lambda pair: (pair[0] == pair[1], -matrix.counts[pair], pair))
    in_turns = zip_longest(*(examples.of_pair(*pair) for pair in pairs))
    wanted = chain(examples.mistakes, examples.hits, filter(None, chain.from_iterable(in_turns)))
    return tuple(dict.fromkeys(example.path for example in wanted))


def write_evaluation(stream: TextIO, evaluated: Evaluated, about: About) -> None:
    """Write the page."""
    names = label_names(evaluated.metrics.labels)
    body = chain(
        (heading(about), '<main class="evaluation">'),
        sections(evaluated.metrics, evaluated.matrix, names),
        ("</main>\n",),
        _data(evaluated, names),
    )
    document(stream, about.title, body, styles=_STYLES, scripts=_SCRIPTS, kind=PageKind.EVALUATE)


def _data(evaluated: Evaluated, names: Mapping[int, str]) -> Iterator[str]:
    """What the page's script reads: the pictures, and which of them belong where."""
    matrix, examples = evaluated.matrix, evaluated.examples
    numbers: dict[Example, int] = {}

    def of(found: Sequence[Example]) -> list[int]:
        return [numbers.setdefault(example, len(numbers)) for example in found]

    data = {
        "names": {str(index): name for index, name in names.items()},
        "isProbability": evaluated.metrics.calibration.why_not is None,
        "mistakes": of(examples.mistakes),
        "hits": of(examples.hits),
        "cells": {
            f"{true}-{predicted}": {"count": count, "pictures": of(examples.of_pair(true, predicted))}
            for (true, predicted), count in matrix.counts.items()
        },
    }
    records = []
    for example, number in numbers.items():
        look = evaluated.looks.get(example.path, Look())
        if look.thumbnail is not None:
            yield f'<script type="text/plain" id="thumbnail-{number}">{data_url(look.thumbnail)}</script>\n'
        records.append(_record(example, look))
    yield data_block("evaluation", {**data, "pictures": records})


def _record(example: Example, look: Look) -> dict[str, Any]:
    thumbnail = look.thumbnail
    return {
        "path": example.path,
        "true": example.true,
        "predicted": example.predicted,
        "score": round(example.score, 6) + 0.0,  # as `Prediction.rounded`
        "thumbnail": None if thumbnail is None else [thumbnail.width, thumbnail.height],
        "original": look.original,
    }


def label_names(labels: Sequence[LabelMetrics]) -> dict[int, str]:
    """What labels are called, by their class index, which is in the name where several share one."""
    counts = Counter(row.label for row in labels)
    return {
        row.index: visible(row.label) if counts[row.label] == 1 else f"{visible(row.label)} ({row.index})"
        for row in labels
    }
