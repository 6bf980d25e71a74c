"""A benchmark from its plan to its numbers: opens what is compared, and lets it take turns."""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from vithybrid_cli import __version__
from vithybrid_cli.bench import members
from vithybrid_cli.bench.installed import Missing, installed
from vithybrid_cli.bench.measurements import OURS, Part, Software, Subject
from vithybrid_cli.bench.members import Member
from vithybrid_cli.bench.ours import PACKAGES
from vithybrid_cli.bench.peers import Peer
from vithybrid_cli.bench.plan import Files, Plan
from vithybrid_cli.bench.processes import process_tasks
from vithybrid_cli.bench.rotation import Rotation, Task
from vithybrid_cli.bench.serve import Request, versions
from vithybrid_cli.bench.worker import Failed, Server
from vithybrid_cli.errors import UsageError

_TITLES = {Part.PROCESS: "whole processes", Part.START: "one picture from a cold start"}
_LONG = 8  # batches of the whole way at least: its first and last ones have only half of the work beside them


@dataclass(frozen=True, slots=True)
class Log:
    """Where a benchmark says how far it is, and what cannot be measured."""

    progress: Callable[[str], None]
    complaint: Callable[[str], None]


class Run:
    """A benchmark that runs; leaving its ``with`` block ends all its processes.

    ``rotation`` holds what was measured so far, ``software`` what ran, ``missing`` the peers that are not there.
    """

    def __init__(self, plan: Plan, files: Files, log: Log) -> None:
        self.plan, self.files, self.log = plan, files, log
        self.rotation = Rotation(plan.repeats, log.progress, self._complain)
        self.software = {OURS: Software({"vithybrid": __version__, **versions(PACKAGES)})}
        self.missing: dict[str, str] = {}
        self.gpus: tuple[str, ...] = ()
        self._open: dict[Member, Server] = {}
        self._failures: list[tuple[Member, Failed]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close(at_once=kind is not None)

    def measure(self) -> None:
        """Measure all that the plan asks for. Raises UsageError or ModelError where nothing of ours can be."""
        present = [peer for peer in self.plan.against if self._is_installed(peer)]
        self._open_all([*members.ours(self.plan, self.files), *members.peers(self.plan, self.files, present)])
        self._report_failures()
        for batch in self._batches():
            title = "decoding" if batch is None else f"batch {batch}"
            self.rotation.run(title, list(self._tasks(batch)))
        ran = [(member.engine, member.dtype) for member in self._open if member.engine and member.dtype]
        self._close()  # they would take memory from the processes that come now
        self._measure_processes(ran, present)
        if not any(subject.program == OURS for turn in self.rotation.turns for subject in turn):
            raise UsageError(next(iter(self.rotation.errors.values())))

    def _is_installed(self, peer: Peer) -> bool:
        python = sys.executable if peer.ours else self.plan.python
        try:
            self.software[peer.name] = Software(installed(peer, python))
        except Missing as missing:
            self.missing[peer.name] = str(missing)
            self.log.complaint(f"{peer.name} is left out: {missing}")
            return False
        return True

    def _open_all(self, wanted: Iterable[Member]) -> None:
        for member in wanted:
            self.log.progress(f"loading {member.name}")
            try:
                server = member.open()
            except Failed as failure:
                self._failures.append((member, failure))
                self.rotation.errors |= {member.subject(part): str(failure) for part in member.parts}
            else:
                self._add(member, server)

    def _add(self, member: Member, server: Server) -> None:
        """Take in a process that is ready, under the name of the engine that it chose."""
        facts = server.facts
        if member.engine is not None:
            member = replace(member, engine=facts["engine"])
        if any(other.name == member.name for other in self._open):
            server.close()  # `auto` is what was asked for by name as well
            return
        self._open[member] = server
        self.gpus = self.gpus or tuple(facts.get("gpus", ()))
        if "threads" in facts:
            self.software[member.program] = replace(self.software[member.program], threads=facts["threads"])

    def _report_failures(self) -> None:
        """Say what could not be opened. Raises UsageError or ModelError where that is all of our engines."""
        wanted = {Part.NETWORK, Part.WHOLE} & set(self.plan.parts)
        if wanted and not any(member.engine for member in self._open):
            raise next(failure for member, failure in self._failures if member.engine).as_ours()
        for member, failure in self._failures:
            self.log.complaint(f"{member.name}: {failure}")

    def _batches(self) -> list[int | None]:
        """The batch sizes that were asked for, or those that suit our engines; one None for decoding without them."""
        if not any(part is not Part.DECODE for member in self._open for part in member.parts):
            return [None] if self._open else []
        suiting = {server.facts["batch_size"] for member, server in self._open.items() if member.engine}
        return list(self.plan.batches) or sorted(suiting)

    def _tasks(self, batch: int | None) -> Iterator[Task]:
        """Every part of every member: all decoding, then all networks, then the whole ways."""
        for part in Part:
            for member, server in self._open.items():
                if part in member.parts:
                    yield self._task(member.subject(part, batch), server, batch or 1)

    def _task(self, subject: Subject, server: Server, batch: int) -> Task:
        part, pictures = subject.part, len(self.plan.pictures)
        images = {Part.DECODE: pictures, Part.NETWORK: batch, Part.WHOLE: max(pictures, _LONG * batch)}
        request = Request(part, batch, images[part], self.plan.seconds)
        first = replace(request, images=1 if part is Part.DECODE else batch, seconds=0.0)
        return Task(subject, lambda: server.measure(request), lambda: server.measure(first))

    def _measure_processes(self, ran: list[tuple[str, str]], present: list[Peer]) -> None:
        """Whole processes: ours with what could be opened, or with all that was asked for if nothing had to be."""
        plan = self.plan
        ours = ran or [(engine, dtype) for engine in plan.engines for dtype in plan.dtypes]
        for part in (Part.PROCESS, Part.START):
            if part in plan.parts:
                tasks = process_tasks(part, plan, self.files, ours, present)
                self.rotation.run(_TITLES[part], tasks)

    def _complain(self, subject: Subject, message: str) -> None:
        self.log.complaint(f"{subject.name}, {subject.part}: {message}")

    def _close(self, *, at_once: bool = False) -> None:
        while self._open:
            _, server = self._open.popitem()
            server.close(at_once=at_once)
