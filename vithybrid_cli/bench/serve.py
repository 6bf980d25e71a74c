"""The inner end of a worker process: it says what it is, and then times each task that it is asked for."""

import json
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Any, TextIO

from vithybrid_cli.bench.measurements import Part, Timing
from vithybrid_cli.errors import VitHybridError

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Request:
    """One turn: what to do, in which batches, and for how many ``images`` and ``seconds`` at least."""

    part: Part
    batch: int
    images: int
    seconds: float


Measure = Callable[[Request], Timing]


@dataclass(frozen=True, slots=True)
class Service:
    """What a worker can do, and what there is to know about it."""

    measures: Mapping[Part, Measure]
    facts: Mapping[str, Any] = field(default_factory=dict)


def serve(start: Callable[[], Service]) -> None:
    """Start, and answer one JSON object per line of stdin until it closes. A VitHybridError is an answer as well."""
    answers = _take_stdout()
    try:
        service = start()
    except VitHybridError as error:
        return _answer(answers, _explained(error))
    _answer(answers, dict(service.facts))
    for line in sys.stdin:
        request = Request(**json.loads(line))
        try:
            _answer(answers, asdict(service.measures[Part(request.part)](request)))
        except VitHybridError as error:
            _answer(answers, _explained(error))
    return None


def repeated(
    call: Callable[[], object],
    request: Request,
    *,
    parallel: int = 1,
    pool: Executor | None = None,
    clock: Clock = time.perf_counter,
) -> Timing:
    """Make calls of one batch each for as long as was asked for, in a ``pool`` of ``parallel`` threads where given.

    One more waits, as in `Classifier.classify`. A whole number of rounds, so that none runs with fewer calls than the
    others; as OpenVINO's benchmark_app does.
    """
    running: deque[Future[object]] = deque()
    calls = 0
    began = clock()
    while calls * request.batch < request.images or clock() - began < request.seconds or calls % parallel:
        calls += 1
        if pool is None:
            call()
            continue
        running.append(pool.submit(call))
        if len(running) > parallel:
            running.popleft().result()
    for future in running:
        future.result()
    return Timing(clock() - began, calls * request.batch)


def read_paths(listed: str) -> list[str]:
    """The paths of a file in which each ends with NUL."""
    return [os.fsdecode(path) for path in Path(listed).read_bytes().split(b"\0") if path]


def versions(names: Sequence[str]) -> dict[str, str]:
    """This Python's version, and those of the named packages that are installed."""
    found = {"python": python_version()}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def torch_facts() -> dict[str, Any]:
    """torch's threads and GPUs, where something has imported it."""
    torch = sys.modules.get("torch")
    if torch is None:
        return {}
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    return {"threads": torch.get_num_threads(), "gpus": [torch.cuda.get_device_name(index) for index in gpus]}


def _take_stdout() -> TextIO:
    """Stdout as the channel of answers; what libraries print goes to stderr from here on."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _explained(error: VitHybridError) -> dict[str, Any]:
    return {"error": str(error), "error_type": type(error).__name__}


def _answer(answers: TextIO, content: Mapping[str, Any]) -> None:
    answers.write(json.dumps(content) + "\n")
    answers.flush()
