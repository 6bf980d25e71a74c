"""The inner end of a worker process: it gets ready, and then measures each time that it is asked to."""

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from vithybrid_cli.bench.amount import Amount
from vithybrid_cli.bench.measurements import Timing
from vithybrid_cli.errors import VitHybridError


@dataclass(frozen=True, slots=True)
class Service:
    """What a worker measures, the versions of what it runs, and how many threads it computes with."""

    measure: Callable[[Amount], Timing]
    versions: Mapping[str, str]
    threads: int | None = None


def serve(start: Callable[[], Service]) -> None:
    """Start, then answer each line of stdin, an Amount as JSON, with a line; a VitHybridError is an answer too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes; the one that asks ends this one
    answers = _take_stdout()
    try:
        service = start()
    except VitHybridError as error:
        return _answer(answers, {"error": str(error)})
    _answer(answers, {"versions": dict(service.versions), "threads": service.threads})
    for line in sys.stdin:
        try:
            _answer(answers, asdict(service.measure(Amount(**json.loads(line)))))
        except VitHybridError as error:
            _answer(answers, {"error": str(error)})
    return None


def arguments() -> dict[str, Any]:
    """What `worker.command` wrote on the command line."""
    found: dict[str, Any] = json.loads(sys.argv[1])
    return found


def read_paths(listed: str) -> list[str]:
    """The paths of a file in which each ends with NUL."""
    return [os.fsdecode(path) for path in Path(listed).read_bytes().split(b"\0") if path]


def _take_stdout() -> TextIO:
    """Stdout, for answers alone; what libraries print goes to stderr from here on."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _answer(answers: TextIO, content: Mapping[str, Any]) -> None:
    answers.write(json.dumps(content) + "\n")
    answers.flush()
