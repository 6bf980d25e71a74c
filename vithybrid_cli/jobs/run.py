"""A job is run on this machine: worker processes are started, told what to compute, and started again when they die."""

import json
import os
import random
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from queue import Empty, SimpleQueue
from shlex import quote
from types import FrameType
from typing import Any, Final, Protocol

from vithybrid_cli import errors
from vithybrid_cli.cores import available_cores
from vithybrid_cli.errors import UsageError, VitHybridError, are, counted
from vithybrid_cli.jobs import programs
from vithybrid_cli.jobs.choice import Choice
from vithybrid_cli.jobs.cut import is_cut
from vithybrid_cli.jobs.job import Job, ranges, require_shards
from vithybrid_cli.jobs.trial import how_ended
from vithybrid_cli.runs.interrupts import Interrupted

_MOST_DEATHS: Final = 5  # in a row, without a picture done in between: then something is wrong with more than one
_AGAIN: Final = 2.0  # seconds until a shard that another run holds is asked for once more


class JobCounter(Protocol):
    """How far the run of a job is."""

    def advance(self, pictures: int = 1, *, failed: int = 0) -> None:
        """So many more pictures are done."""

    def skip(self, pictures: int, *, failed: int = 0) -> None:
        """So many more were done before; or fewer, if the number is negative, since a worker took them with it."""

    def doing(self, worker: int, what: str, done: int = 0, total: int | None = None) -> None:
        """What a worker does now, in words, and how far it is with it."""


class JobWatch(Protocol):
    """Follows the run of a job."""

    def counting_job(self, total: int, done: int) -> AbstractContextManager[JobCounter]:
        """While shards are computed."""

    def picture_failed(self, path: str, message: str) -> None:
        """A picture could not be labelled."""

    def say(self, line: str) -> None:
        """One line of information."""

    def warn(self, line: str) -> None:
        """One line that the user should see also in a quiet run."""


def run(
    job: Job,
    watch: JobWatch,
    shards: Iterable[int] | None = None,
    choice: Choice | None = None,
    *,
    processes: int = 1,
    wait: bool = True,
) -> None:
    """Compute all of these ``shards``, or of the job, that are not done, in so many worker ``processes``.

    Shards that other runs hold are waited for at the end, unless not ``wait``. Raises UsageError and ModelError for
    what can be right for no shard, and UsageError if workers die without getting anywhere; Interrupted on SIGINT or
    SIGTERM, once the workers have kept what they have computed.
    """
    wanted = set(range(job.shards)) if shards is None else set(shards)
    require_shards(job, wanted)
    done = {shard for shard in wanted & job.done() if not is_cut(job, shard)}
    todo = sorted(wanted - done)
    if job.folder.local is None:
        random.shuffle(todo)  # nothing is locked there: several runs should not all begin with the same shard
    if todo:
        total, before = (sum(map(job.size, some)) for some in (wanted, done))
        with watch.counting_job(total, before) as counter:
            run_ = _Run(job, watch, counter, _shared(choice or Choice(), processes), deque(todo), wait=wait)
            run_.go(min(processes, len(todo)))
        if run_.left:
            watch.say(f"other runs are still at shards {ranges(run_.left)}")
            return
    tell_end(job, watch, wanted)


def tell_end(job: Job, watch: JobWatch, wanted: set[int]) -> None:
    """Say what is to be done next."""
    left = set(range(job.shards)) - job.done()
    if not left:
        shards = "the shard is" if job.shards == 1 else f"all {job.shards:,} shards are"
        watch.say(f"{shards} done; `vithybrid job merge {quote(job.name)} -o FILE` makes one file of the results")
    else:
        watch.say(f"done; {counted(len(left), 'other shard')} of the job {are(len(left))} not")


def _shared(choice: Choice, processes: int) -> Choice:
    """Several processes share the cores of the machine."""
    if processes == 1:
        return choice
    cores = max(1, available_cores() // processes)
    return replace(choice, workers=choice.workers or cores, threads=choice.threads or cores)


@dataclass(slots=True)
class _Event:
    """What a worker's process has told; nothing when it has ended."""

    worker: "_Process"
    facts: dict[str, Any] | None


@dataclass(slots=True)
class _Process:
    """One worker's process, and what it does."""

    number: int
    process: "subprocess.Popen[bytes]"
    shard: int | None = None
    size: int = 0
    done: int = 0
    over: bool = False  # it has told why it ends

    def give(self, shard: int) -> None:
        """Tell it what to compute."""
        assert self.process.stdin is not None
        self.shard, self.size, self.done = shard, 0, 0
        with suppress(BrokenPipeError):
            self.process.stdin.write(f"{shard}\n".encode())
            self.process.stdin.flush()


@dataclass(slots=True)
class _Run:
    """One run of a job. ``left`` are the shards that others hold, if it does not wait."""

    job: Job
    watch: JobWatch
    counter: JobCounter
    choice: Choice
    todo: deque[int]
    wait: bool
    held: set[int] = field(default_factory=set)
    left: list[int] = field(default_factory=list)
    workers: list[_Process] = field(default_factory=list)
    events: "SimpleQueue[_Event | None]" = field(default_factory=SimpleQueue)
    counted: dict[int, int] = field(default_factory=dict)
    deaths: int = 0
    signalled: int | None = None
    waiting: bool = False

    def go(self, processes: int) -> None:
        """Compute all."""
        with self._signals():
            try:
                for number in range(1, processes + 1):
                    self._start(number)
                while self.workers:
                    self._step()
            finally:
                self._end()

    def _step(self) -> None:
        if self.signalled is not None:
            self._interrupt()
        try:
            event = self.events.get(timeout=_AGAIN)
        except Empty:
            self._take_up_held()
            return
        if event is not None:
            if event.facts is None:
                self._ended(event.worker)
            else:
                self._told(event.worker, event.facts)

    def _start(self, number: int) -> None:
        argument = json.dumps({"job": self.job.name, "choice": asdict(self.choice)})
        process = subprocess.Popen(
            programs.command(programs.PROCESS, argument),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            **_APART,
        )
        worker = _Process(number, process)
        self.workers.append(worker)
        threading.Thread(target=self._listen, args=(worker,), daemon=True).start()
        self.counter.doing(number, "starts")
        self._assign(worker)

    def _listen(self, worker: _Process) -> None:
        assert worker.process.stdout is not None
        with worker.process.stdout as told:
            for line in told:
                if line.endswith(b"\n"):
                    self.events.put(_Event(worker, json.loads(line)))
        self.events.put(_Event(worker, None))

    def _assign(self, worker: _Process) -> None:
        """Give it a shard, or let it go when there is nothing left to do."""
        if self.todo:
            worker.give(self.todo.popleft())
            return
        worker.shard = None
        if self.held and self.wait:
            self._tell_waiting()
            self.counter.doing(worker.number, "waits")
        elif not self.held or not any(other.shard is not None for other in self.workers):
            self.left = sorted(self.held)
            for idle in [other for other in self.workers if other.shard is None]:
                self._let_go(idle)
        else:
            self._let_go(worker)

    def _take_up_held(self) -> None:
        """Ask once more for what other runs hold: they may have finished it, or died."""
        idle = [worker for worker in self.workers if worker.shard is None]
        if not (idle and self.wait):
            return
        self.held -= {shard for shard in self.held if self.job.is_done(shard)}
        self.todo.extend(sorted(self.held))
        self.held.clear()
        for worker in idle:
            self._assign(worker)

    def _tell_waiting(self) -> None:
        if not self.waiting:
            self.watch.say(f"waiting for other runs, which are at shards {ranges(self.held)}")
        self.waiting = True

    def _told(self, worker: _Process, facts: dict[str, Any]) -> None:
        match facts["event"]:
            case "begun":
                self._begun(worker, facts)
            case "advanced":
                self._advanced(worker, facts["pictures"], facts["failed"])
            case "trying":
                tried = f"tries {facts['pictures']} pictures one by one, since workers died of one of them"
                self.counter.doing(worker.number, f"shard {worker.shard}: {tried}")
            case "failure":
                self.watch.picture_failed(facts["path"], facts["message"])
            case "done" | "skipped" | "held" as how:
                self._shard_over(worker, how)
            case "say":
                self.watch.say(facts["line"])
            case "warn":
                self.watch.warn(facts["line"])
            case "interrupted":
                pass  # its end follows
            case "error":
                worker.over = True
                raise _error(facts)
            case "bug":
                worker.over = True
                cause = f"A worker met an error of the program itself in shard {worker.shard}: {facts['what']}."
                raise UsageError(cause, "Report it, with what stands on stderr.")

    def _begun(self, worker: _Process, facts: dict[str, Any]) -> None:
        worker.size, worker.done = facts["size"], facts["done"]
        shard = facts["shard"]
        before = self.counted.get(shard, 0)  # of which a worker that died has taken the last ones with it
        self.counter.skip(facts["done"] - before, failed=0)
        self.counted[shard] = facts["done"]
        self._tell_doing(worker)

    def _advanced(self, worker: _Process, pictures: int, failed: int) -> None:
        self.deaths = 0
        worker.done += pictures
        if worker.shard is not None:
            self.counted[worker.shard] = self.counted.get(worker.shard, 0) + pictures
        self.counter.advance(pictures, failed=failed)
        self._tell_doing(worker)

    def _tell_doing(self, worker: _Process) -> None:
        self.counter.doing(worker.number, f"shard {worker.shard}", worker.done, worker.size)

    def _shard_over(self, worker: _Process, how: str) -> None:
        shard = worker.shard
        assert shard is not None
        if how == "held":
            self.held.add(shard)
        else:
            self.deaths = 0
            self.counter.skip(self.job.size(shard) - self.counted.pop(shard, 0), failed=0)
        self._assign(worker)

    def _ended(self, worker: _Process) -> None:
        """A process is over, as it was told to be or not."""
        _close(worker.process)
        if worker not in self.workers:
            return
        self.workers.remove(worker)
        if self.signalled is not None:
            return
        if worker.shard is None and not self.todo:
            if not self.workers and self.held:
                self._start(worker.number)
            return
        self._died(worker, worker.process.returncode)

    def _died(self, worker: _Process, status: int) -> None:
        how = how_ended(status)
        self.deaths += 1
        if self.deaths >= _MOST_DEATHS:
            cause = f"Workers ended {_MOST_DEATHS} times in a row without labelling a picture, the last one with {how}."
            raise UsageError(cause, "See the system's log for who ended them: it may be out of memory.")
        where = "" if worker.shard is None else f" in shard {worker.shard}"
        self.watch.warn(f"worker {worker.number} ended{where} ({how}), and is started again")
        if worker.shard is not None:
            self.todo.appendleft(worker.shard)
        self._start(worker.number)

    def _let_go(self, worker: _Process) -> None:
        """It has nothing more to do."""
        self.workers.remove(worker)
        _close(worker.process)

    def _interrupt(self) -> None:
        """Let all workers finish their batch. Raises Interrupted."""
        assert self.signalled is not None
        for worker in self.workers:
            with suppress(ProcessLookupError):
                worker.process.send_signal(signal.SIGTERM)
        number, self.signalled = self.signalled, None
        for worker in self.workers:
            while worker.process.poll() is None and self.signalled is None:
                with suppress(subprocess.TimeoutExpired):
                    worker.process.wait(0.1)
        raise Interrupted(number)

    def _end(self) -> None:
        """No process outlives the run."""
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.process.kill()
        for worker in self.workers:
            _close(worker.process)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Within this context SIGINT and SIGTERM are for the run, which tells its workers."""

        def on_signal(number: int, frame: FrameType | None) -> None:
            self.signalled = number
            self.events.put(None)

        before = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    before[number] = signal.signal(number, on_signal)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


# Ctrl-C is for the run, which then tells its workers.
_APART: dict[str, Any] = {"process_group": 0} if os.name == "posix" else {}


def _close(process: "subprocess.Popen[bytes]") -> None:
    """The end of its stdin is the end of an idle worker."""
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.close()
    process.wait()


def _error(facts: dict[str, Any]) -> VitHybridError:
    """What a worker raised, raised here."""
    kind = getattr(errors, facts["kind"], UsageError)
    return kind(facts["cause"], facts["remedy"]) if issubclass(kind, VitHybridError) else UsageError(facts["cause"])
