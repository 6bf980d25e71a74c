"""What an evaluation's page says and draws, part by part, as markup."""

from collections.abc import Iterator, Mapping

from vithybrid_cli.choices import Activation
from vithybrid_cli.evaluation.figures import LabelMetrics, Metrics
from vithybrid_cli.evaluation.matrix import ConfusionMatrix
from vithybrid_cli.output.escape import visible
from vithybrid_cli.report.charts import matrix_chart, matrix_legend, reliability_chart, share_bar, shortened
from vithybrid_cli.report.document import asset, escaped

MOST_ROWS = 2000  # of the table of labels
MOST_LISTED = 200  # unreadable pictures
_LONGEST = 40  # columns of a label in the table; its whole name is in its title


def sections(metrics: Metrics, matrix: ConfusionMatrix, names: Mapping[int, str]) -> Iterator[str]:
    """The parts of the page below its heading; ``names`` are those of labels by their class index."""
    yield _figures(metrics)
    if matrix.labels:
        yield _matrix(matrix, names)
        yield f'<div class="two">{_labels(metrics, names)}{_reliability(metrics)}</div>'
    yield asset("evaluation.html")
    yield _unreadable(metrics)


def _figures(metrics: Metrics) -> str:
    calibration = metrics.calibration
    of = "none of raw outputs" if calibration.why_not else "how far scores are off"
    counted = [
        _figure("Top-1 accuracy", metrics.top1, metrics.top1_interval),
        _figure("Top-5 accuracy", metrics.top5, metrics.top5_interval),
        _number("Calibration error", _percent(calibration.error), of),
        _number("Pictures", f"{metrics.pictures:,}", _unreadable_words(metrics)),
    ]
    return f'<section class="figures" aria-label="Figures">{"".join(counted)}</section>\n'


def _unreadable_words(metrics: Metrics) -> str:
    count = len(metrics.unreadable)
    return f"{count:,} more could not be read" if count else "all could be read"


def _figure(name: str, share: float | None, interval: tuple[float, float] | None) -> str:
    if share is None or interval is None:
        return _number(name, "–", "no pictures")
    low, high = (f"{100 * end:.1f}" for end in interval)
    words = f'<span title="95% confidence interval (Wilson)">95% interval: {low} – {high}</span>'
    return (
        f'<div class="figure"><h2>{name}</h2><p class="large-number">{_percent(share)}</p>{share_bar(share, interval)}'
        f'<p class="aside">{words}</p></div>'
    )


def _number(name: str, text: str, aside: str) -> str:
    return f'<div class="figure"><h2>{name}</h2><p class="large-number">{text}</p><p class="aside">{aside}</p></div>'


def _matrix(matrix: ConfusionMatrix, names: Mapping[int, str]) -> str:
    how = (
        f"Each row is a label, each column what was predicted. {_left_out(matrix)}{_ORDER}"
        "Choose a cell to see its pictures."
    )
    return (
        f'{_card("matrix-name", "What is confused", how)}<div class="beside"><div class="scroll">'
        f'{matrix_chart(matrix, names)}</div><div class="pair">{matrix_legend(matrix)}'
        '<h3 id="pair-name" aria-live="polite"></h3><p class="aside" id="pair-text"></p>'
        '<ul class="gallery small" id="pair-pictures" aria-labelledby="pair-name"></ul></div></div></section>\n'
    )


_ORDER = "Labels that are confused stand together. "


def _left_out(matrix: ConfusionMatrix) -> str:
    if not matrix.labels_left_out:
        return ""
    mistakes = matrix.mistakes + matrix.mistakes_left_out
    return (
        f"Here are the {len(matrix.labels)} labels of the most frequent confusions, with {matrix.mistakes:,} of "
        f"{mistakes:,} mistakes; {matrix.labels_left_out:,} other labels are left out. "
    )


def _labels(metrics: Metrics, names: Mapping[int, str]) -> str:
    taken_for: dict[int, str] = {}
    for pair in metrics.confusions:  # most frequent first
        name = shortened(names[pair.predicted_index], _LONGEST)
        taken_for.setdefault(pair.true_index, f"{name} ({pair.count:,})")
    rows = "".join(_label(row, names[row.index], taken_for.get(row.index, "")) for row in metrics.labels[:MOST_ROWS])
    more = len(metrics.labels) - MOST_ROWS
    left_out = f'<p class="aside">{more:,} more labels are in JSON and CSV.</p>' if more > 0 else ""
    heads = "".join(
        f'<th scope="col" class="{kind}"><button type="button">{name}</button></th>'
        for name, kind in (
            ("Label", "text"),
            ("Pictures", "numeric"),
            ("Recall", "bar"),
            ("Precision", "bar"),
            ("Mostly taken for", "text"),
        )
    )
    return (
        f"{_card('labels-name', 'Labels', 'Lines over bars are 95% confidence intervals.')}"
        '<div class="scroll tall" tabindex="0" role="region" aria-labelledby="labels-name">'
        f'<table class="labels" id="labels"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
        f"{left_out}</section>\n"
    )


def _label(row: LabelMetrics, name: str, taken_for: str) -> str:
    return (
        f'<tr><th scope="row" dir="auto" data-value="{escaped(name)}" title="{escaped(name)}">'
        f"{escaped(shortened(name, _LONGEST))}</th>"
        f'<td class="numeric" data-value="{row.pictures}">{row.pictures:,}</td>'
        f"{_share(row.recall, row.recall_interval)}{_share(row.precision, row.precision_interval)}"
        f'<td dir="auto" data-value="{escaped(taken_for)}">{escaped(taken_for)}</td></tr>\n'
    )


def _share(share: float | None, interval: tuple[float, float] | None) -> str:
    if share is None or interval is None:
        return '<td class="bar" data-value="-1"><span class="percent">–</span></td>'
    low, high = (f"{100 * end:.1f}" for end in interval)
    return (
        f'<td class="bar" data-value="{share:.6f}" title="{low} – {high}%"><span class="percent">{_percent(share)}'
        f"</span>{share_bar(share, interval)}</td>"
    )


def _reliability(metrics: Metrics) -> str:
    calibration = metrics.calibration
    told = _trust(metrics)
    if told is None:
        return ""
    begin = _card("reliability-title", "Can scores be trusted?", told)
    if calibration.why_not is not None:
        return f"{begin}</section>\n"
    rows = "".join(
        f"<tr><th scope='row'>{one.low:.0%} – {one.high:.0%}</th><td>{one.pictures:,}</td>"
        f"<td>{_percent(one.mean_score)}</td><td>{_percent(one.accuracy)}</td></tr>"
        for one in calibration.bins
    )
    return (
        f"{begin}{reliability_chart(calibration)}"
        '<p class="aside">A bar is the share of pictures with such a score that is right; on the dashed line it would '
        "be just what the score says. The line through each point is a 95% confidence interval, the thick one is how "
        "far the score is off.</p><details><summary>Numbers</summary><table><thead><tr><th scope='col'>Score</th>"
        "<th scope='col'>Pictures</th><th scope='col'>Mean score</th><th scope='col'>Accuracy</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></details></section>\n"
    )


def _trust(metrics: Metrics) -> str | None:
    """What the calibration says, in words; nothing without pictures."""
    bins = metrics.calibration.bins
    pictures = sum(one.pictures for one in bins)
    if not pictures:
        return metrics.calibration.why_not
    score = sum(one.total_score for one in bins) / pictures
    accuracy = sum(one.correct for one in bins) / pictures
    words = f"Scores are {score:.1%} on average, and {accuracy:.1%} of the labels are right: "
    low, high = metrics.top1_interval or (0.0, 1.0)
    if low <= score <= high:
        words += "on the whole they are about as sure as they should be. "
    else:
        words += "they promise too much. " if score > accuracy else "they promise too little. "
    words += f"Expected calibration error: {_percent(metrics.calibration.error)}."
    if metrics.calibration.activation is Activation.SIGMOID:
        words += (
            " The model scores each label by itself: where a picture has other labels than that of its folder, these "
            "count as wrong here."
        )
    return words


def _unreadable(metrics: Metrics) -> str:
    if not metrics.unreadable:
        return ""
    rows = "".join(
        f'<li><span class="path" dir="auto">{escaped(visible(one.path))}</span> '
        f'<span class="wrong">{escaped(visible(one.message))}</span></li>'
        for one in metrics.unreadable[:MOST_LISTED]
    )
    more = len(metrics.unreadable) - MOST_LISTED
    left_out = f'<p class="aside">{more:,} more are in JSON and CSV.</p>' if more > 0 else ""
    begin = _card("unreadable-name", "Could not be read", "They count for nothing.")
    return f'{begin}<ul class="unreadable">{rows}</ul>{left_out}</section>\n'


def _card(name: str, title: str, aside: str) -> str:
    """The begin of a section of the page with its heading, and what is to be said before anything else."""
    return (
        f'<section class="card" aria-labelledby="{name}"><h2 id="{name}">{title}</h2>'
        f'<p class="aside">{escaped(aside)}</p>'
    )


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"
