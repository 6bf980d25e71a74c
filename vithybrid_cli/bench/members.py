"""Opens the processes that a plan needs: one for each of our engines and types, and one for each peer."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vithybrid_cli.bench.measurements import OURS, Part, Subject
from vithybrid_cli.bench.peers import Peer
from vithybrid_cli.bench.plan import Files, Plan
from vithybrid_cli.bench.worker import Crew, Fallback, Server, Worker

_PEER_MODULES = {
    "transformers": "peers.network",
    "timm": "peers.network",
    "openvino": "peers.openvino_alone",
    "pillow": "peers.pillow_alone",
}


@dataclass(frozen=True, slots=True)
class Member:
    """Something to open: what it is called in results, the parts that are wanted of it, and how to open it."""

    program: str
    engine: str | None
    dtype: str | None
    parts: tuple[Part, ...]
    open: Callable[[], Server]

    @property
    def name(self) -> str:
        """Who this is, for people."""
        return self.subject(self.parts[0]).name

    def subject(self, part: Part, batch: int | None = None) -> Subject:
        """What this member's measurements of ``part`` are about; decoding knows no batches."""
        return Subject(part, self.program, self.engine, self.dtype, None if part is Part.DECODE else batch)


def ours(plan: Plan, files: Files) -> Iterator[Member]:
    """Our decoding, and our network with each engine in each type."""
    shared = {"model": str(plan.model), "pictures": str(files.pictures), "workers": plan.workers}
    if Part.DECODE in plan.parts:
        yield Member(OURS, None, None, (Part.DECODE,), lambda: Worker("ours", shared))
    parts = tuple(part for part in (Part.NETWORK, Part.WHOLE) if part in plan.parts)
    for engine in plan.engines if parts else ():
        for dtype in plan.dtypes:
            wanted = {"engine": engine, "dtype": dtype, "device": plan.device, "pixels": str(files.pixels)}
            yield Member(OURS, engine, dtype, parts, _opener("ours", {**shared, **wanted}, cache=plan.cache))


def peers(plan: Plan, files: Files, against: list[Peer]) -> Iterator[Member]:
    """What the peers have of the parts that are wanted."""
    for peer in against:
        python = sys.executable if peer.ours else plan.python
        module = _PEER_MODULES[peer.name]
        if Part.DECODE in peer.parts and Part.DECODE in plan.parts:
            yield Member(peer.name, None, None, (Part.DECODE,), lambda: _one_per_core(plan, files))
        if Part.NETWORK in peer.parts and Part.NETWORK in plan.parts:
            for dtype in plan.dtypes:
                wanted = {"peer": peer.name, "model": str(plan.model), "dtype": dtype, "device": plan.device}
                wanted["pixels"] = str(files.pixels)
                opener = _by_hand(wanted) if peer.name == "openvino" else _opener(module, wanted, python)
                yield Member(peer.name, None, dtype, (Part.NETWORK,), opener)


def _opener(
    module: str, arguments: dict[str, Any], python: str = sys.executable, cache: Path | None = None
) -> Callable[[], Worker]:
    return lambda: Worker(module, arguments, python, cache)


def _by_hand(wanted: dict[str, Any]) -> Callable[[], Server]:
    """With the batch size fixed before compiling, as one does; OpenVINO 2026.4 crashes on that for small networks."""
    fixed, open_ = (_opener(_PEER_MODULES["openvino"], {**wanted, "fixed": fixed}) for fixed in (True, False))
    return lambda: Fallback(fixed, open_)


def _one_per_core(plan: Plan, files: Files) -> Crew:
    """As many processes of one thread as we have decoding threads: nothing that they share can slow them."""
    workers: list[Worker] = []
    try:
        for number in range(plan.workers):
            first = number * len(plan.pictures) // plan.workers
            workers.append(Worker(_PEER_MODULES["pillow"], {"pictures": str(files.pictures), "first": first}))
    except BaseException:  # Ctrl-C is none of the usual ones
        Crew(workers).close(at_once=True)
        raise
    return Crew(workers)
