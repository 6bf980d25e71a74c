"""A benchmark from its plan to its result: loads the networks, and lets everything take turns."""

import gc
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from vithybrid_cli import __version__
from vithybrid_cli.bench.beside import Beside, require_network
from vithybrid_cli.bench.machine import load_average, machine, torch_threads, versions
from vithybrid_cli.bench.material import Material, Plan
from vithybrid_cli.bench.measurements import OURS, Part, Subject
from vithybrid_cli.bench.ours import Network, decode_task
from vithybrid_cli.bench.processes import process_tasks
from vithybrid_cli.bench.result import BenchResult, Software
from vithybrid_cli.bench.turns import LimitTask, Log, Task, Turns
from vithybrid_cli.errors import VitHybridError

PACKAGES = ("torch", "openvino", "pillow", "numpy")
_TITLES = {Part.PROCESS: "whole processes", Part.START: "one picture from a cold start"}


class Peer(Protocol):
    """Another program that takes turns with this one; those of ``benchmarks/`` are not part of the package."""

    @property
    def software(self) -> Mapping[str, Software]:
        """What runs, by the name of the program."""

    def tasks(self, part: Part, batch: int | None) -> Iterable[Task]:
        """What it can do of this part; without a ``batch`` where that is decoding or a whole process."""


def benchmark(plan: Plan, material: Material, log: Log, command: str, peers: Sequence[Peer] = ()) -> BenchResult:
    """Measure what ``plan`` asks for; ``command`` is kept in the result.

    After Ctrl-C the result holds what was measured before. Raises KeyboardInterrupt if that is nothing, UsageError or
    ModelError if nothing of this program can be measured, UsageError for limits without networks.
    """
    require_network(plan)
    load_before, complete = load_average(), True
    turns = Turns(plan.repeats, log)
    beside = Beside(plan, material) if plan.limits else None
    try:
        _measure(plan, material, turns, peers, beside)
    except KeyboardInterrupt:
        if not any(turns.turns):
            raise
        complete = False
    software = {OURS: Software({OURS: __version__, **versions(PACKAGES)}, torch_threads())}
    for peer in peers:
        software |= peer.software
    sizes = [os.path.getsize(path) for path in material.pictures]  # noqa: PTH202 (Path raises on odd names)
    return BenchResult(
        command=command,
        model=material.name,
        image_size=material.checkpoint.config.image_size,
        pictures=len(sizes),
        picture_bytes=sum(sizes) // len(sizes),
        own_pictures=material.own_pictures,
        plan=plan,
        machine=machine(load_before),
        software=software,
        turns=turns.turns,
        errors={subject: str(error) for subject, error in turns.errors.items()},
        complete=complete,
        limits=None if beside is None else beside.result(turns),
    )


def _measure(plan: Plan, material: Material, turns: Turns, peers: Sequence[Peer], beside: Beside | None) -> None:
    networks = _open(plan, material, turns)
    engines = [network.engine_and_dtype for network in networks]
    suiting = sorted({network.classifier.engine.batch_size for network in networks})
    for batch in (plan.batches or suiting) if networks else (None,):
        title = "decoding" if batch is None else f"batch {batch}"
        turns.run(title, list(_tasks(plan, material, networks, batch, peers, beside)))
    networks.clear()
    _free_memory()  # for the processes that come now
    for part in (Part.PROCESS, Part.START):
        if part in plan.parts:
            ours = process_tasks(part, plan, material, engines or _asked(plan))
            turns.run(_TITLES[part], [*ours, *_of_peers(peers, part, None)])
    if not any(subject.program == OURS for turn in turns.turns for subject in turn):
        raise next(error for subject, error in turns.errors.items() if subject.program == OURS)


def _open(plan: Plan, material: Material, turns: Turns) -> list[Network]:
    """Load the network for each engine and type, once where `auto` is the same as another one.

    What cannot be loaded is taken down. Raises UsageError or ModelError if that is all.
    """
    parts = [part for part in (Part.NETWORK, Part.WHOLE) if part in plan.parts]
    networks: dict[tuple[str, str], Network] = {}
    failed: dict[Subject, VitHybridError] = {}
    for engine, dtype in _asked(plan) if parts else ():
        turns.log.progress(f"loading {OURS} {engine} {dtype}")
        try:
            network = Network.open(material, engine, dtype, plan.device, plan.threads)
            networks.setdefault(network.engine_and_dtype, network)
        except VitHybridError as error:
            failed |= {Subject(part, OURS, engine, dtype): error for part in parts}
    if failed and not networks:
        raise next(iter(failed.values()))
    for complaint in dict.fromkeys(f"{subject.name}: {error}" for subject, error in failed.items()):
        turns.log.complaint(complaint)
    turns.errors |= failed
    return list(networks.values())


def _asked(plan: Plan) -> list[tuple[str, str]]:
    return [(engine, dtype) for engine in plan.engines for dtype in plan.dtypes]


def _tasks(
    plan: Plan,
    material: Material,
    networks: Sequence[Network],
    batch: int | None,
    peers: Sequence[Peer],
    beside: Beside | None,
) -> Iterator[Task | LimitTask]:
    """All decoding, then all networks and their limits, then the whole ways."""
    if Part.DECODE in plan.parts:
        yield decode_task(material, plan)
        yield from _of_peers(peers, Part.DECODE, None)
    if batch is None:
        return
    if Part.NETWORK in plan.parts:
        yield from (network.network_task(material, batch, plan.seconds) for network in networks)
        yield from _of_peers(peers, Part.NETWORK, batch)
        if beside is not None:
            yield from beside.tasks(networks, batch)
    if Part.WHOLE in plan.parts:
        yield from (network.whole_task(material, batch, plan.seconds, plan.workers) for network in networks)
        yield from _of_peers(peers, Part.WHOLE, batch)


def _of_peers(peers: Sequence[Peer], part: Part, batch: int | None) -> Iterator[Task]:
    for peer in peers:
        yield from peer.tasks(part, batch)


def _free_memory() -> None:
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
