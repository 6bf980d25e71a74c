"""The curve of a training run as an SVG that stands alone: loss and accuracy by epoch, light and dark."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vithybrid_cli.report.document import escaped
from vithybrid_cli.report.drawing import coordinate as _n

_WIDTH, _LEFT, _RIGHT = 720, 64, 24
_PANEL, _GAP, _TOP, _BOTTOM = 190, 52, 66, 52
_TICKS = 5  # at most about so many on an axis
_LEAST = 0.02  # of a value, that an axis shows
_DOTS = 60  # epochs that are still marked one by one
_STYLE = """
svg { color-scheme: light dark; font: 12px system-ui, "Noto Sans", sans-serif; }
.ground { fill: #ffffff; } .grid { stroke: #e0e0dc; fill: none; } text { fill: #5a5d66; }
.name { fill: #1d1e22; font-size: 13px; font-weight: 600; } .title { fill: #1d1e22; font-size: 15px; font-weight: 600; }
.line { stroke: #3a4fb0; fill: none; stroke-width: 2; stroke-linejoin: round; } .dot { fill: #3a4fb0; }
.band { fill: #3a4fb0; fill-opacity: 0.14; } .kept { stroke: #7a5100; stroke-dasharray: 4 4; fill: none; }
.kept-name { fill: #7a5100; stroke: #ffffff; stroke-width: 4; paint-order: stroke; }
.kept-dot { fill: #ffffff; stroke: #7a5100; stroke-width: 2.5; }
@media (prefers-color-scheme: dark) {
  .ground { fill: #1d1f23; } .grid { stroke: #34363d; } text { fill: #a6a9b3; } .name, .title { fill: #e9e9eb; }
  .line { stroke: #a5b4ff; } .dot { fill: #a5b4ff; } .band { fill: #a5b4ff; } .kept { stroke: #ecc06c; }
  .kept-name { fill: #ecc06c; stroke: #1d1f23; } .kept-dot { fill: #1d1f23; stroke: #ecc06c; }
}
"""


@dataclass(frozen=True, slots=True)
class Point:
    """An epoch: its loss, and the share of the pictures not trained on that is right, with the ends of its interval."""

    epoch: int
    loss: float
    accuracy: float | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """One quantity over the epochs: its values, the range that is shown, and where its top is."""

    name: str
    points: Sequence[tuple[int, float]]
    ticks: Sequence[float]
    top: float
    percent: bool = False
    bands: Sequence[tuple[int, float, float]] = ()

    def y(self, value: float) -> float:
        """Where ``value`` is."""
        low, high = self.ticks[0], self.ticks[-1]
        return self.top + _PANEL * (high - value) / (high - low)


def training_curve(
    points: Sequence[Point], epochs: int, kept: int | None, title: str, measured_on: str = "held-out"
) -> str:
    """The text of the file. ``epochs`` is how many there will be, ``kept`` the one whose weights are written.

    ``measured_on`` names the pictures that the accuracy is of.
    """
    panels = _panels(points, measured_on)
    height = _TOP + len(panels) * _PANEL + (len(panels) - 1) * _GAP + _BOTTOM
    drawn = "".join(_panel(panel, epochs) for panel in panels)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="title words" width="{_WIDTH}" '
        f'height="{height}" viewBox="0 0 {_WIDTH} {height}"><title id="title">{escaped(title)}</title>'
        f'<desc id="words">{escaped(_words(points, epochs, kept, measured_on))}</desc><style>{_STYLE}</style>'
        f'<rect class="ground" width="100%" height="100%" rx="8"/>'
        f'<text class="title" x="{_LEFT}" y="28">{escaped(title)}</text>{drawn}'
        f"{_kept_mark(panels, points, epochs, kept)}{_epoch_axis(epochs, height - _BOTTOM)}</svg>\n"
    )


def _words(points: Sequence[Point], epochs: int, kept: int | None, measured_on: str) -> str:
    """What the picture shows, for those who cannot see it."""
    if not points:
        return f"No epoch of {epochs} is done."
    first, last = points[0], points[-1]
    said = f"{len(points)} of {epochs} epochs. The loss goes from {first.loss:.3f} to {last.loss:.3f}."
    if first.accuracy is not None and last.accuracy is not None:
        said += f" The {measured_on} accuracy goes from {first.accuracy:.1%} to {last.accuracy:.1%}."
    return said if kept is None else f"{said} Epoch {kept} is kept."


def _panels(points: Sequence[Point], measured_on: str) -> list[Panel]:
    panels = []
    right = [(one.epoch, one.accuracy) for one in points if one.accuracy is not None]
    if right:
        bands = [(one.epoch, *one.interval) for one in points if one.interval is not None]
        low = min((band[1] for band in bands), default=min(value for _, value in right))
        high = max((band[2] for band in bands), default=max(value for _, value in right))
        ticks = _ticks(low, high, most=1.0)
        name = f"{measured_on} accuracy, with its 95 % interval"
        panels.append(Panel(name, right, ticks, _TOP, percent=True, bands=bands))
    losses = [(one.epoch, one.loss) for one in points]
    values = [loss for _, loss in losses] or [0.0, 1.0]
    top = _TOP + len(panels) * (_PANEL + _GAP)
    return [*panels, Panel("loss on the pictures that are trained on", losses, _ticks(min(values), max(values)), top)]


def _ticks(low: float, high: float, most: float = math.inf) -> list[float]:
    """Round numbers around a range, which is never nothing."""
    if high - low < _LEAST * max(abs(high), 1):
        low, high = low - _LEAST * max(abs(high), 1) / 2, high + _LEAST * max(abs(high), 1) / 2
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = max(math.floor(low / step + 1e-9), 0)
    last = max(math.ceil(min(high, most) / step - 1e-9), first + 1)
    return [round(number * step, 9) for number in range(first, last + 1)]


def _x(epoch: float, epochs: int) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * ((epoch - 1) / (epochs - 1) if epochs > 1 else 0.5)


def _panel(panel: Panel, epochs: int) -> str:
    digits = max(0, -math.floor(math.log10((panel.ticks[1] - panel.ticks[0]) * (100 if panel.percent else 1)) + 1e-9))
    grid = "".join(f"M{_LEFT} {_n(panel.y(tick))}H{_WIDTH - _RIGHT}" for tick in panel.ticks)
    numbers = "".join(
        f'<text x="{_LEFT - 8}" y="{_n(panel.y(tick) + 4)}" text-anchor="end">{_tick(panel, tick, digits)}</text>'
        for tick in panel.ticks
    )
    line = " ".join(f"{_n(_x(epoch, epochs))},{_n(panel.y(value))}" for epoch, value in panel.points)
    dots = "".join(
        f'<circle class="dot" cx="{_n(_x(epoch, epochs))}" cy="{_n(panel.y(value))}" r="3"><title>epoch {epoch}: '
        f"{_value(panel, value)}</title></circle>"
        for epoch, value in panel.points
        if len(panel.points) <= _DOTS
    )
    return (
        f'<text class="name" x="{_LEFT}" y="{_n(panel.top - 12)}">{panel.name}</text><path class="grid" d="{grid}"/>'
        f'{numbers}{_band(panel, epochs)}<polyline class="line" points="{line}"/>{dots}'
    )


def _band(panel: Panel, epochs: int) -> str:
    if len(panel.bands) < 2:
        return ""
    upper = [f"{_n(_x(epoch, epochs))},{_n(panel.y(high))}" for epoch, _, high in panel.bands]
    lower = [f"{_n(_x(epoch, epochs))},{_n(panel.y(low))}" for epoch, low, _ in reversed(panel.bands)]
    return f'<polygon class="band" points="{" ".join(upper + lower)}"/>'


def _tick(panel: Panel, tick: float, digits: int) -> str:
    return f"{100 * tick:.{digits}f}%" if panel.percent else f"{tick:.{digits}f}"


def _value(panel: Panel, value: float) -> str:
    return f"{100 * value:.1f}%" if panel.percent else f"{value:.4f}"


def _kept_mark(panels: Sequence[Panel], points: Sequence[Point], epochs: int, kept: int | None) -> str:
    """A line at the epoch whose weights are written, with its number."""
    if kept is None or kept not in {one.epoch for one in points}:
        return ""
    x = _x(kept, epochs)
    bottom = panels[-1].top + _PANEL
    anchor, shift = ("end", -6) if x > _WIDTH / 2 else ("start", 6)
    rings = "".join(
        f'<circle class="kept-dot" cx="{_n(x)}" cy="{_n(panel.y(value))}" r="4.5"><title>epoch {epoch}, which is kept: '
        f"{_value(panel, value)}</title></circle>"
        for panel in panels
        for epoch, value in panel.points
        if epoch == kept
    )
    return (
        f'<path class="kept" d="M{_n(x)} {panels[0].top}V{bottom}"/>{rings}<text class="kept-name" '
        f'x="{_n(x + shift)}" y="{_n(panels[-1].top + 16)}" text-anchor="{anchor}">epoch {kept} is kept</text>'
    )


def _epoch_axis(epochs: int, y: float) -> str:
    step = max(1, math.ceil(_ticks(0, max(epochs - 1, 1))[1]))
    shown = [1, *(number for number in range(step, epochs + 1, step) if number > 1)]
    numbers = "".join(
        f'<text x="{_n(_x(epoch, epochs))}" y="{_n(y + 18)}" text-anchor="middle">{epoch}</text>' for epoch in shown
    )
    return f'{numbers}<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_n(y + 38)}" text-anchor="middle">epoch</text>'
