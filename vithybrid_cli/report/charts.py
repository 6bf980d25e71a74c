"""The charts of an evaluation as SVG: the confusion matrix, the reliability of scores, and bars of shares.

Colours are classes, which the page's style sheet has for light and dark. Every chart but the matrix, which is operated,
is a picture to a screen reader, and its numbers are in a table beside it.
"""

import math
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence

from vithybrid_cli.evaluation.calibration import Bin, Calibration
from vithybrid_cli.evaluation.intervals import wilson
from vithybrid_cli.evaluation.matrix import ConfusionMatrix
from vithybrid_cli.report.document import escaped
from vithybrid_cli.report.drawing import coordinate as _n

_LONGEST = 22  # characters of a label beside the matrix; its whole name is in its title
_FAINTEST = 0.2  # opacity of a single picture's cell
_SLANTED = 16  # labels above so many columns stand upright
_NUMBERED = 24  # labels of a matrix whose cells have room for their numbers
_STEPS = 5  # of the legend
_SIDE = 300  # pixels of the reliability diagram
_HEIGHT = 84  # of the histogram


def shortened(text: str, longest: int = _LONGEST) -> str:
    """``text`` in at most so many columns, cut at its end."""
    columns = 0
    for place, character in enumerate(text):
        columns += _columns(character)
        if columns > longest:
            return text[: max(place - 1, 1)].rstrip(" ,") + "…"
    return text


def share_bar(share: float | None, interval: tuple[float, float] | None) -> str:
    """A bar from 0 to 1, with a whisker for the confidence interval; what it says stands beside it as text."""
    if share is None or interval is None:
        return ""
    low, high = (f"{100 * end:.2f}%" for end in interval)
    return (
        '<svg class="share" aria-hidden="true"><rect class="track" width="100%" height="100%" rx="2"/>'
        f'<rect class="part" width="{100 * share:.2f}%" height="100%" rx="2"/>'
        f'<line class="whisker" x1="{low}" x2="{high}" y1="50%" y2="50%"/></svg>'
    )


def matrix_chart(matrix: ConfusionMatrix, names: Mapping[int, str]) -> str:
    """The matrix as a grid that is operated with the keyboard; only cells with pictures are elements."""
    size = max(13.0, min(38.0, 420 / max(len(matrix.labels), 1)))
    shown = [shortened(names[row.index]) for row in matrix.labels]
    font = min(12.0, 0.8 * size)
    room = 0.63 * font * max((sum(map(_columns, name)) for name in shown), default=0) + 10
    slanted = len(shown) <= _SLANTED
    top = 0.72 * room + 6 if slanted else room
    side = size * len(shown)
    width = room + side + (max(top - size / 2, 0) if slanted else 0) + 2
    whole = [names[row.index] for row in matrix.labels]
    parts = (
        f'<svg class="matrix" role="grid" aria-label="Confusion matrix" id="matrix" width="{_n(width)}" '
        f'height="{_n(top + side + 2)}" viewBox="0 0 {_n(width)} {_n(top + side + 2)}" font-size="{_n(font)}" '
        f'aria-rowcount="{len(shown) + 1}" aria-colcount="{len(shown) + 1}">',
        _ground(room, top, size, len(shown)),
        _column_names(shown, whole, room, top, size, -45 if slanted else -90),
        *_rows(matrix, shown, names, (room, top, size)),
        "</svg>",
    )
    return "".join(parts)


def _ground(left: float, top: float, size: float, count: int) -> str:
    side = size * count
    lines = "".join(
        f"M{_n(left)} {_n(top + size * at)}h{_n(side)}M{_n(left + size * at)} {_n(top)}v{_n(side)}"
        for at in range(count + 1)
    )
    return (
        f'<g aria-hidden="true"><rect class="ground" x="{_n(left)}" y="{_n(top)}" width="{_n(side)}" '
        f'height="{_n(side)}"/><path class="lines" d="{lines}"/></g>'
    )


def _column_names(shown: Sequence[str], whole: Sequence[str], left: float, top: float, size: float, angle: int) -> str:
    texts = []
    for at, (name, full) in enumerate(zip(shown, whole, strict=True)):
        x, y = left + size * (at + 0.5), top - 6
        texts.append(
            f'<text role="columnheader" aria-colindex="{at + 2}" dominant-baseline="central" '
            f'transform="translate({_n(x)} {_n(y)}) rotate({angle})">{escaped(name)}<title>{escaped(full)}</title>'
            "</text>"
        )
    return f'<g role="row" aria-rowindex="1">{"".join(texts)}</g>'


def _rows(
    matrix: ConfusionMatrix, shown: Sequence[str], names: Mapping[int, str], place: tuple[float, float, float]
) -> Iterator[str]:
    left, top, size = place
    opacity = log_opacity(max(matrix.counts.values(), default=1))
    indices = [row.index for row in matrix.labels]
    for down, true in enumerate(indices):
        y = top + size * down
        yield (
            f'<g role="row" aria-rowindex="{down + 2}"><text role="rowheader" aria-colindex="1" text-anchor="end" '
            f'dominant-baseline="central" x="{_n(left - 6)}" y="{_n(y + size / 2)}">{escaped(shown[down])}'
            f"<title>{escaped(names[true])}</title></text>"
        )
        for across, predicted in enumerate(indices):
            if count := matrix.counts.get((true, predicted)):
                x, is_hit = left + size * across, true == predicted
                words = escaped(cell_words(names[true], names[predicted], count, is_hit=is_hit))
                number = _number(x + size / 2, y + size / 2, size, count) if len(indices) <= _NUMBERED else ""
                yield (
                    f'<g role="gridcell" tabindex="-1" aria-colindex="{across + 2}" aria-label="{words}" '
                    f'data-cell="{true}-{predicted}" data-row="{down}" data-column="{across}"><title>{words}</title>'
                    f"{_cell(x, y, size, opacity(count), is_hit=is_hit)}{number}</g>"
                )
        yield "</g>"


def cell_words(true: str, predicted: str, count: int, *, is_hit: bool) -> str:
    """What a cell says."""
    pictures = "1 picture" if count == 1 else f"{count:,} pictures"
    return f"{true}: {pictures} right" if is_hit else f"{true} taken for {predicted}: {pictures}"


def _cell(x: float, y: float, size: float, opacity: float, *, is_hit: bool) -> str:
    return (
        f'<rect class="{"hit" if is_hit else "miss"}" x="{_n(x + 0.5)}" y="{_n(y + 0.5)}" width="{_n(size - 1)}" '
        f'height="{_n(size - 1)}" fill-opacity="{_n(opacity)}"/>'
    )


def _number(x: float, y: float, size: float, count: int) -> str:
    text = str(count) if count < 10_000 else f"{count / 1000:.0f}k"
    font = min(12.0, 1.5 * size / max(len(text), 2))
    return (
        f'<text class="number" aria-hidden="true" text-anchor="middle" dominant-baseline="central" x="{_n(x)}" '
        f'y="{_n(y)}" font-size="{_n(font)}">{text}</text>'
    )


def log_opacity(most: int) -> Callable[[int], float]:
    """The opacity of a count's colour: that of 1 picture to that of ``most`` on a logarithmic scale."""

    def opacity(count: int) -> float:
        return _FAINTEST + (1 - _FAINTEST) * (math.log(count) / math.log(most) if most > 1 else 0)

    return opacity


def matrix_legend(matrix: ConfusionMatrix) -> str:
    """What the colours of the matrix mean, in counts at even steps of their logarithm."""
    most = max(matrix.counts.values(), default=1)
    opacity = log_opacity(most)
    counts = sorted({round(most ** (step / (_STEPS - 1))) for step in range(_STEPS)})
    width, left = 34, 48
    swatches = "".join(
        _cell(left + width * at, 4 + 20 * row, 18, opacity(count), is_hit=not row)
        for row in range(2)
        for at, count in enumerate(counts)
    )
    numbers = "".join(
        f'<text x="{_n(left + width * at + 9)}" y="56" text-anchor="middle">{count:,}</text>'
        for at, count in enumerate(counts)
    )
    return (
        f'<svg class="legend" role="img" aria-label="Colours from 1 to {most:,} pictures, on a logarithmic scale" '
        f'width="{left + width * len(counts)}" height="60" font-size="11"><text x="0" y="17">right</text>'
        f'<text x="0" y="37">wrong</text>{swatches}{numbers}</svg>'
    )


def reliability_chart(calibration: Calibration) -> str:
    """How often pictures of a score are right, against the score itself, and below how many have it."""
    most = max((one.pictures for one in calibration.bins), default=0) or 1
    bottom = 12 + _SIDE
    base = bottom + 30 + _HEIGHT
    bars = "".join(_reliability_bar(one, bottom) + _histogram_bar(one, base, most) for one in calibration.bins)
    marks = "".join(_mark(tenths / 10, bottom) for tenths in range(0, 11, 2))
    return (
        f'<svg class="reliability" role="img" aria-labelledby="reliability-name" font-size="11" viewBox="0 0 '
        f'{_SIDE + 60} {base + 34}">'
        '<title id="reliability-name">Accuracy by score, and how many pictures have each score</title>'
        f'{marks}{bars}<path class="ideal" d="M44 {bottom}L{44 + _SIDE} 12"/>'
        f'<text x="{44 + _SIDE / 2}" y="{base + 30}" text-anchor="middle">score</text>'
        f'<text transform="translate(10 {12 + _SIDE / 2}) rotate(-90)" text-anchor="middle">accuracy</text>'
        f'<text transform="translate(10 {base - _HEIGHT / 2}) rotate(-90)" text-anchor="middle">pictures</text>'
        f'<text x="38" y="{base - _HEIGHT + 8}" text-anchor="end">{most:,}</text></svg>'
    )


def _reliability_bar(one: Bin, bottom: float) -> str:
    if one.accuracy is None or one.mean_score is None:
        return ""
    x, width = 44 + _SIDE * one.low, _SIDE * (one.high - one.low)
    middle = 44 + _SIDE * one.mean_score
    height = _SIDE * one.accuracy
    low, high = wilson(one.correct, one.pictures) or (0.0, 1.0)
    return (
        f'<g><title>{escaped(bin_words(one))}</title><rect class="bin" x="{_n(x + 0.5)}" y="{_n(bottom - height)}" '
        f'width="{_n(width - 1)}" height="{_n(height)}"/>'
        f'<path class="interval" d="M{_n(middle)} {_n(bottom - _SIDE * low)}V{_n(bottom - _SIDE * high)}"/>'
        f'<path class="gap" d="M{_n(middle)} {_n(bottom - height)}V{_n(bottom - _SIDE * one.mean_score)}"/>'
        f'<circle class="point" cx="{_n(middle)}" cy="{_n(bottom - height)}" r="3.5"/></g>'
    )


def bin_words(one: Bin) -> str:
    """What a bin says."""
    if one.accuracy is None or one.mean_score is None:
        return f"Scores {one.low:.0%} to {one.high:.0%}: no pictures"
    return (
        f"Scores {one.low:.0%} to {one.high:.0%}: {one.pictures:,} {'picture' if one.pictures == 1 else 'pictures'}, "
        f"mean score {one.mean_score:.1%}, accuracy {one.accuracy:.1%}"
    )


def _histogram_bar(one: Bin, base: float, most: int) -> str:
    if not one.pictures:
        return ""
    height = max(_HEIGHT * one.pictures / most, 1)
    x, width = 44 + _SIDE * one.low, _SIDE * (one.high - one.low)
    return (
        f'<rect class="many" x="{_n(x + 0.5)}" y="{_n(base - height)}" width="{_n(width - 1)}" height="{_n(height)}">'
        f"<title>{escaped(bin_words(one))}</title></rect>"
    )


def _mark(share: float, bottom: float) -> str:
    """The lines and numbers of a share on both axes."""
    x, y = 44 + _SIDE * share, bottom - _SIDE * share
    base = bottom + 30 + _HEIGHT
    return (
        f'<path class="lines" d="M44 {_n(y)}H{44 + _SIDE}M{_n(x)} 12V{bottom}M{_n(x)} {base - _HEIGHT}V{base}"/>'
        f'<text x="38" y="{_n(y)}" text-anchor="end" dominant-baseline="central">{share:.0%}</text>'
        f'<text x="{_n(x)}" y="{base + 14}" text-anchor="middle">{share:.0%}</text>'
    )


def _columns(character: str) -> int:
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
