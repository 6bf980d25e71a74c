"""Networks beside what their devices reach, as a table for people: a line for each limit below its network."""

from collections.abc import Iterator

from vithybrid_cli.bench.limits import LimitMeasurement, LimitRatio, Limits

COLUMNS = ("what", "batch", "GFLOP/s", "ratio", "min–max")


def title(limits: Limits) -> str:
    """What the table is about."""
    return f"Limits of the device; a picture is {_gflops(limits.flop)} GFLOP"


def rows(limits: Limits) -> Iterator[tuple[str, ...]]:
    """A row for each network, and one for each of its limits that was measured."""
    measured = {measurement.limit: measurement for measurement in limits.measurements if measurement.reached}
    ratios = {(ratio.subject, ratio.limit): ratio for ratio in limits.ratios}
    for network in limits.networks:
        subject = network.subject
        yield subject.name, str(subject.batch), _gflops(limits.flop_per_second(network).median), "", ""
        for limit in limits.beside[subject]:
            if limit in measured:
                yield _limit(measured[limit], ratios.get((subject, limit)))


def missing(limits: Limits) -> dict[str, str]:
    """Why a limit could not be measured, by its name."""
    return {measured.limit.title: measured.error for measured in limits.measurements if measured.error is not None}


def _limit(measured: LimitMeasurement, ratio: LimitRatio | None) -> tuple[str, ...]:
    first = measured.reached[0]
    about = first.shapes[0] if first.share is None else f"{100 * first.share:.0f} % of it"
    name = f"  {measured.limit.operations}, {about}"
    if ratio is None:  # the network failed in these turns
        return name, "", _gflops(measured.flop_per_second.median), "", ""
    low, high = min(ratio.spread.values), max(ratio.spread.values)
    return name, "", _gflops(measured.flop_per_second.median), f"{ratio.spread.median:.3f} ×", f"{low:.3f}–{high:.3f}"


def _gflops(flop: float) -> str:
    """With three digits or more: 0.148, 14.6, 2,017."""
    value = flop / 1e9
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3}f}"
