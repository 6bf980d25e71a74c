"""How fast a GPU is, as a text for BENCHMARKS.md: `make gpu`, or python3 -m benchmarks.gpu in this source tree.

It needs torch and what this program imports, but no installation, no hub and no package index. Each part is printed as
soon as it is known; what no longer fits into the time is named. --quick --device cpu shows whether the script runs.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import gpu_parts, gpu_tests
from benchmarks.gpu_parts import FULL, QUICK, Card

_BUDGET = 450.0  # seconds; machines are lent by the minute, and this leaves half a minute of eight


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the text, which needs at least so many ``seconds``."""

    name: str
    title: str
    seconds: float
    lines: Callable[[Card], Iterator[str]]


SECTIONS = (
    Section("tests", "Tests", 45, gpu_tests.quick_tests),
    Section("products", "Matrix products of the card itself", 5, gpu_parts.products),
    Section("eager", "The network, eager", 20, gpu_parts.eager),
    Section("attention", "SDPA beside eager attention", 10, gpu_parts.attention),
    Section("whole", "The whole way", 20, gpu_parts.whole),
    Section("compiled", "The network, compiled", 60, gpu_parts.compiled),
    Section("compiled-tests", "Tests of compiled networks", 60, gpu_tests.compiled_tests),
)


def main(arguments: Sequence[str] | None = None, sections: Sequence[Section] = SECTIONS) -> None:
    """Print the text."""
    began = time.monotonic()
    asked = _asked(arguments)
    with tempfile.TemporaryDirectory(prefix="vithybrid-gpu-") as scratch:
        card = Card(asked.device, QUICK if asked.quick else FULL, Path(scratch), began + asked.seconds)
        _print("### On a GPU\n")
        _section(gpu_parts.machine, card)
        for section in sections:
            if section.name not in asked.parts:
                continue
            _print(f"\n#### {section.title}\n")
            if card.seconds_left() < section.seconds:
                _print(f"Left out: {card.seconds_left():.0f} s were left.")
            else:
                _section(section.lines, card)
        _print(f"\nAll of this took {time.monotonic() - began:.0f} s.")


def _section(lines: Callable[[Card], Iterator[str]], card: Card) -> None:
    """Print the lines as they come; a failure takes the place of those that are missing."""
    try:
        for line in lines(card):
            _print(line)
    except Exception as error:  # whatever it is, the other parts are worth having
        _print(f"\n**Failed**: {gpu_parts.in_one_line(error)}")


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    names = [section.name for section in SECTIONS]
    parser = argparse.ArgumentParser(prog="python3 -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--device", default="cuda:0", help="cuda:N; cpu for a trial of the script")
    parser.add_argument("--quick", action="store_true", help="a small network and short turns")
    parser.add_argument("--seconds", type=float, default=_BUDGET, help=f"the time for all of it (default: {_BUDGET:g})")
    parser.add_argument("--parts", nargs="+", choices=names, default=names, metavar="PART", help=", ".join(names))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
