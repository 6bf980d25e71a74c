"""A job on Ray: workers are started and given shards one by one, as long as there are any.

Only the job's folder says what is done. A worker that dies, alone or with its node, leaves its shard to the next one;
Ray is asked for another worker then. This process may die as well: the next run goes on.
"""

import time
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Final

from vithybrid_cli import __version__
from vithybrid_cli.errors import UsageError
from vithybrid_cli.jobs.choice import Choice
from vithybrid_cli.jobs.job import Job, require_shards
from vithybrid_cli.jobs.ray_cluster import Cluster, Share, connected
from vithybrid_cli.jobs.ray_worker import Answer, Doing, Ending, RayWorker
from vithybrid_cli.jobs.run import JobCounter, JobWatch, tell_end
from vithybrid_cli.jobs.settle import settled
from vithybrid_cli.runs.interrupts import sigterm_raised

BESIDE: Final = "beside"  # the group of a worker's threads that answers while another computes
LOOK: Final = 1.0  # seconds between two looks at the workers
_COUNT: Final = 10.0  # seconds between two counts of the nodes, which come and go
_LOCKED: Final = 2.0  # seconds until a shard that another run is at is offered again
_PATIENCE: Final = 20.0  # seconds that workers are given to end a batch after Ctrl-C
_MOST_DEATHS: Final = 8  # in a row in one shard of which nothing more was done
_MOST_STILLBORN: Final = 3  # times in a row that all workers do not start


@dataclass(frozen=True, slots=True)
class OnRay:
    """How to use Ray. ``workers``: so many are asked for, also where they have no room yet; an autoscaler sees that."""

    address: str | None = None
    workers: int | None = None


@dataclass(slots=True)
class _Hired:
    """A worker: Ray's handle, what it is asked, and what it was last seen doing."""

    number: int
    actor: Any
    asked: Any  # what will hold its answer
    where: str = "waits for a node"
    shard: int | None = None
    doing: Doing = field(default_factory=lambda: Doing("starts"))
    look: Any = None
    counted: bool = False  # what earlier attempts at its shard have kept


def run_on_ray(
    job: Job,
    watch: JobWatch,
    shards: Iterable[int] | None = None,
    choice: Choice | None = None,
    on_ray: OnRay | None = None,
) -> None:
    """Compute all of these ``shards``, or of the job, that are not done.

    Raises UsageError for a Ray that cannot be used, for workers that all refuse, and for a shard in which one worker
    after the other dies with nothing done; Interrupted or KeyboardInterrupt on a signal, once the workers have kept
    what they have computed.
    """
    wanted, choice, on_ray = set(range(job.shards) if shards is None else shards), choice or Choice(), on_ray or OnRay()
    require_shards(job, wanted)
    todo = sorted(wanted - job.done())
    if todo:
        _go(job, watch, wanted, deque(todo), choice, on_ray)
    tell_end(job, watch, wanted)


def _go(job: Job, watch: JobWatch, wanted: set[int], todo: deque[int], choice: Choice, on_ray: OnRay) -> None:
    total, before = (sum(map(job.size, some)) for some in (wanted, wanted.difference(todo)))
    with connected(on_ray.address) as cluster, sigterm_raised(), watch.counting_job(total, before) as counter:
        share, choice = _fitted(job, choice, cluster)
        _require_room(cluster, share, on_ray)
        _Run(cluster, job, share, choice, on_ray.workers, watch, counter, todo).run()


def _fitted(job: Job, choice: Choice, cluster: Cluster) -> tuple[Share, Choice]:
    """What each worker takes of its node, and how it runs within that."""
    was = settled(job)
    device = str(was.get("device") or choice.device or job.running.device)
    threads = was.get("environment", {}).get("threads") or job.running.threads or choice.threads
    share = cluster.share(gpu=None if device == "auto" else device.startswith("cuda"), threads=threads)
    if device == "auto":
        device = "cuda" if share.gpus else "cpu"
    return share, replace(
        choice,
        device=choice.device or device,
        workers=choice.workers or share.cores,
        threads=choice.threads or (None if share.gpus else share.cores),
    )


def _require_room(cluster: Cluster, share: Share, on_ray: OnRay) -> None:
    if on_ray.workers is None and not cluster.room(share):
        needed = "a GPU" if share.gpus else f"{share.cores} cores"
        remedy = "Add such a node, or give {ray_workers} where Ray adds nodes by itself."
        raise UsageError(f"No node of this Ray has {needed} for a worker.", remedy)


@dataclass(slots=True)
class _Run:
    cluster: Cluster
    job: Job
    share: Share
    choice: Choice
    wanted: int | None
    watch: JobWatch
    counter: JobCounter
    todo: deque[int]
    hired: list[_Hired] = field(default_factory=list)
    later: list[tuple[float, int]] = field(default_factory=list)  # when to offer a shard again
    deaths: Counter[int] = field(default_factory=Counter)  # in a row, by shard
    counted_of: dict[int, int] = field(default_factory=dict)  # how many results, by shard
    kept: dict[int, int] = field(default_factory=dict)  # how many of these a later worker has found, by shard
    stillborn: int = 0
    refusal: UsageError | None = None
    refused: int = 0
    counted: float = float("-inf")  # when the nodes were
    looked: float = float("-inf")  # when the workers were
    room: int = 0

    def run(self) -> None:
        try:
            while self.todo or self.later or any(worker.shard is not None for worker in self.hired):
                self._hire()
                self._hear(LOOK)
                self._look()
        except KeyboardInterrupt:
            self._stop()
            raise
        finally:
            for worker in self.hired:
                self.cluster.ray.kill(worker.actor)

    def _hire(self) -> None:
        """Ask Ray for as many workers as have room, or are wanted, and have anything to do."""
        now = time.monotonic()
        self.todo.extend(shard for due, shard in self.later if due <= now)
        self.later = [(due, shard) for due, shard in self.later if due > now]
        if now - self.counted > _COUNT:
            self.counted, self.room = now, self.cluster.room(self.share)
        busy = sum(worker.shard is not None for worker in self.hired)
        most = (self.room if self.wanted is None else self.wanted) - self.refused
        if most <= 0 and self.refusal is not None and not busy:
            raise self.refusal
        for _ in range(min(most, busy + len(self.todo)) - len(self.hired)):
            self._hire_one()

    def _hire_one(self) -> None:
        options = {
            "num_cpus": self.share.cores,
            "num_gpus": self.share.gpus,
            "max_restarts": 0,  # whoever dies leaves a shard, which another worker may be given first
            "concurrency_groups": {BESIDE: 1},
        }
        actor = self.cluster.ray.remote(**options)(RayWorker).remote(self.job.name, self.choice)
        numbers = {worker.number for worker in self.hired}
        number = next(number for number in count(1) if number not in numbers)
        self.hired.append(_Hired(number, actor, actor.hello.remote()))

    def _hear(self, seconds: float) -> None:
        """Wait for answers, and give those who answer a new shard."""
        waiting = {worker.asked: worker for worker in self.hired if worker.asked is not None}
        if not waiting:
            time.sleep(seconds)
            return
        ready, _ = self.cluster.ray.wait(list(waiting), num_returns=len(waiting), timeout=seconds)
        if not ready:
            return
        for ref in ready:
            self._heard(waiting[ref])
        self._give()

    def _give(self) -> None:
        for worker in self.hired:
            if worker.asked is None and self.todo:
                worker.shard, worker.counted = self.todo.popleft(), False
                worker.asked = worker.actor.compute.remote(worker.shard)

    def _heard(self, worker: _Hired) -> None:
        exceptions = self.cluster.ray.exceptions
        try:
            answer = self.cluster.ray.get(worker.asked)
        except (exceptions.RayActorError, exceptions.NodeDiedError, exceptions.OutOfMemoryError) as error:
            self._died(worker, error)
            return
        shard, worker.shard, worker.asked = worker.shard, None, None
        if isinstance(answer, Answer):
            assert shard is not None
            self._answered(worker, shard, answer)
        else:
            self.stillborn, worker.where, worker.doing = 0, str(answer), Doing()

    def _answered(self, worker: _Hired, shard: int, answer: Answer) -> None:
        self._count(worker, shard, answer.last)
        worker.doing = Doing()
        if answer.ending is Ending.DONE:
            del self.deaths[shard]
            self.counter.skip(self.job.size(shard) - self.counted_of.pop(shard, 0))  # if another run has done it
        elif answer.ending is Ending.LOCKED:
            self.later.append((time.monotonic() + _LOCKED, shard))
        else:
            self.todo.appendleft(shard)
        if answer.ending is Ending.REFUSED:
            self._dismiss(worker, answer)

    def _dismiss(self, worker: _Hired, answer: Answer) -> None:
        """Go on without a worker that refuses, as one does on a machine of another kind, and without another one."""
        self.hired.remove(worker)
        self.cluster.ray.kill(worker.actor)
        self.refused += 1
        self.refusal = UsageError(f"The worker on {worker.where} refuses: {answer.cause.rstrip('.')}.", answer.remedy)
        self.watch.warn(f"{self.refusal.cause} Others go on without it.")

    def _died(self, worker: _Hired, error: Exception) -> None:
        self.hired.remove(worker)
        self.counted = float("-inf")  # maybe its node went with it
        if worker.shard is None:
            self.stillborn += 1
            if self.stillborn >= _MOST_STILLBORN * max(self.wanted or self.room, 1):
                raise _no_worker_starts(error)
            return
        shard, goes_on = worker.shard, worker.doing.done > worker.doing.kept
        self.deaths[shard] = 1 if goes_on else self.deaths[shard] + 1
        self.todo.appendleft(shard)
        if self.deaths[shard] >= _MOST_DEATHS:
            cause = (
                f"{_MOST_DEATHS} workers died in shard {shard} one after the other, and nothing more of it was done."
            )
            remedy = f"Run that one alone, without {{ray}}, to see why: `vithybrid job run JOB {{$shard}} {shard}`."
            raise UsageError(cause, remedy)
        self.watch.warn(f"The worker on {worker.where} died in shard {shard}, which another one goes on with.")

    def _look(self) -> None:
        """Once a second, ask each worker what it does, and tell what is known by now: nobody is waited for."""
        if time.monotonic() - self.looked < LOOK:
            return
        self.looked = time.monotonic()
        for worker in self.hired:
            if worker.look is not None:
                self._see(worker)
            if worker.look is None and worker.shard is not None:
                worker.look = worker.actor.doing.options(concurrency_group=BESIDE).remote()
            doing = worker.doing
            self.counter.doing(worker.number, f"{worker.where}: {doing.words}", doing.done, doing.size or None)

    def _see(self, worker: _Hired) -> None:
        ready, _ = self.cluster.ray.wait([worker.look], timeout=0)
        if not ready:
            return
        look, worker.look = worker.look, None
        try:
            seen = self.cluster.ray.get(look)
        except self.cluster.ray.exceptions.RayError:  # it is dead, which is heard in its place
            return
        assert isinstance(seen, Doing)
        worker.doing = seen
        if worker.shard is not None and seen.size:
            self._count(worker, worker.shard, seen)

    def _count(self, worker: _Hired, shard: int, seen: Doing) -> None:
        """Count what was done since the last look; a worker that died may have taken some of it with it."""
        for path, message in seen.failures:
            self.watch.picture_failed(path, message)
        if not seen.size:
            return
        if not worker.counted:
            if seen.kept > self.kept.get(shard, 0):  # by one that was not seen to do it, before it died
                self.kept[shard] = seen.kept
                del self.deaths[shard]
            self.counter.skip(seen.kept - self.counted_of.get(shard, 0))
            self.counted_of[shard], worker.counted = seen.kept, True
        self.counter.advance(seen.done - self.counted_of[shard], failed=len(seen.failures))
        self.counted_of[shard] = seen.done

    def _stop(self) -> None:
        """Let workers end the batch at hand, so that nobody takes them for dead."""
        busy = [worker for worker in self.hired if worker.shard is not None]
        for worker in busy:
            worker.actor.stop.options(concurrency_group=BESIDE).remote()
        if busy:
            self.cluster.ray.wait([worker.asked for worker in busy], num_returns=len(busy), timeout=_PATIENCE)


def _no_worker_starts(error: Exception) -> UsageError:
    """The last line of what Ray says is the error in the worker."""
    said = str(error).strip().splitlines()
    why = f" ({said[-1].strip().rstrip('.')})" if said else ""
    remedy = (
        f"Install `vithybrid-cli=={__version__}` and the same packages on all nodes, or see Ray's logs of its workers."
    )
    return UsageError(f"No worker starts{why}.", remedy)
