"""A worker opens the network of a job once, and computes shards, one after the other.

However it ends, what it has computed of a shard stays on the disk, and the next worker goes on with it.
"""

import os
import re
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol, TextIO

from vithybrid_cli.errors import ImageError, MissingFile, UsageError, as_flag, options_spelt
from vithybrid_cli.items import UNSTAMPED, Item, Stamp
from vithybrid_cli.jobs.choice import Choice
from vithybrid_cli.jobs.crashes import Crashes
from vithybrid_cli.jobs.folder import unwritable_job
from vithybrid_cli.jobs.hands import Hands, take_notes_of_the_dead
from vithybrid_cli.jobs.job import WORKING, Job, again_file, require_shards, results_file
from vithybrid_cli.jobs.part import Reached, WrongResults, checked, longest
from vithybrid_cli.jobs.settle import require_same, require_settled, running_as_settled, settle, settled
from vithybrid_cli.jobs.trial import try_alone
from vithybrid_cli.jobs.workers import WorkerLog
from vithybrid_cli.locks import lock_file
from vithybrid_cli.output import Format, open_text_writer
from vithybrid_cli.pipeline.batches import Batches
from vithybrid_cli.results import ImageResult
from vithybrid_cli.runs.interrupts import Interrupts
from vithybrid_cli.runs.label import found, open_classifier
from vithybrid_cli.runs.model import digests, image_size_of, read_checkpoint
from vithybrid_cli.runs.watch import Silent, Watch
from vithybrid_cli.sources.inputs import Sources

if TYPE_CHECKING:
    from vithybrid_cli.pipeline.classifier import Classifier


class Following(Protocol):
    """Follows a worker."""

    def begun(self, shard: int, done: int, failed: int, size: int) -> None:
        """A shard of ``size`` inputs was taken, of which earlier attempts have ``done`` so many."""

    def trying(self, shard: int, pictures: int) -> None:
        """So many pictures are tried one by one first, since workers died with them in their hands."""

    def result(self, result: ImageResult) -> None:
        """One more input of that shard is done."""


class Unfollowed:
    """Follows a worker and keeps nothing."""

    def begun(self, shard: int, done: int, failed: int, size: int) -> None:
        """A shard was taken."""

    def trying(self, shard: int, pictures: int) -> None:
        """Pictures are tried one by one."""

    def result(self, result: ImageResult) -> None:
        """One more input is done."""


class Worker:
    """Computes shards of a job in this process. The network is opened with the first one that needs it.

    Relative names are those of the current folder; `Job.enter` makes that the right one.
    """

    def __init__(
        self, job: Job, choice: Choice | None = None, watch: Watch | None = None, following: Following | None = None
    ) -> None:
        self.job = job
        self._choice = choice or Choice()
        self._watch = watch or Silent()
        self._following = following or Unfollowed()
        self._reading = replace(job.reading, workers=self._choice.workers or job.reading.workers)
        self.tag = f"{re.sub(r'[^A-Za-z0-9_-]', '_', socket.gethostname())}-{os.getpid()}"
        self._log = WorkerLog(job.folder, self.tag)

    @cached_property
    def classifier(self) -> "Classifier":
        """The network, as the job was planned and settled. Raises ModelError, and UsageError for what is otherwise."""
        was_settled = bool(settled(self.job))
        classifier = opened(self.job, self._choice, self._watch)
        if not was_settled and not settle(self.job, found(classifier, self.job.writing)):
            classifier.close()  # another worker was faster: what it has chosen holds
            classifier = opened(self.job, self._choice, self._watch)
        require_settled(self.job, found(classifier, self.job.writing))
        return classifier

    def close(self) -> None:
        """Let go of the network."""
        if "classifier" in self.__dict__:
            self.classifier.close()
            del self.__dict__["classifier"]

    def compute(self, shard: int) -> bool:
        """Compute a shard and put its results in their place. False if it is done already.

        Raises AlreadyLocked if another worker is at it; Interrupted on SIGINT or SIGTERM in the main thread, after the
        batch at hand; UsageError and ModelError for what can be right for no shard.
        """
        require_shards(self.job, [shard])
        began = time.monotonic()
        try:
            with self._held(shard):
                if self.job.is_done(shard):
                    return False
                reached, computed = self._compute(shard)
                seconds = time.monotonic() - began
                self._log.add(shard, reached.rows, computed, dict(reached.failed), seconds)
                return True
        except OSError as error:
            raise unwritable_job(self.job.name, error, "Make room or mend it, and run the job again.") from error

    @contextmanager
    def _held(self, shard: int) -> Iterator[None]:
        """Keep others from the same shard, where that is possible: twice the same work is no more than a waste."""
        local = self.job.folder.local
        if local is None:
            yield
            return
        (local / WORKING).mkdir(exist_ok=True)
        with lock_file(local / WORKING / f"{shard:06}.lock"):
            yield

    def _compute(self, shard: int) -> tuple[Reached, int]:
        """How far the shard is in the end, and how many of its results were computed here."""
        job, names = self.job, self.job.names(shard)
        crashes = self._after_trials(shard)
        with ExitStack() as stack:
            place = job.folder.local
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory())) if place is None else place / WORKING
            part = scratch / f"{shard:06}.{self.tag}.part"
            batch_size = self.classifier.engine.batch_size
            parts = sorted(scratch.glob(f"{shard:06}.*.part"))
            earlier, kept = longest(parts, names, job.first(shard), batch_size)
            _begin(part, earlier, kept, parts)
            before = kept.rows
            self._following.begun(shard, before, kept.failed.total(), len(names))
            if kept.rows < len(names):
                # Messages name options as the command line does, so that results are those of `vithybrid classify`.
                with options_spelt(as_flag), part.open("a", encoding="utf-8", newline="") as stream:
                    self._label(shard, names, crashes, kept, stream)
            if not self._choice.allow_missing and kept.failed == {MissingFile.__name__: len(names)}:
                part.unlink(missing_ok=True)
                raise _all_missing(shard, names)
            self._finish(shard, names, part)
            return kept, len(names) - before

    def _after_trials(self, shard: int) -> Crashes:
        """What is known of the shard's crashes, once all that is suspected was tried."""
        crashes = Crashes.read(self.job.folder, shard)
        take_notes_of_the_dead(crashes)
        if suspects := crashes.suspects:
            self._following.trying(shard, len(suspects))
            first, end = suspects[0], suspects[-1] + 1
            names = dict(zip(range(first, end), self.job.names_between(first, end), strict=True))
            try_alone(self.job, crashes, {number: names[number] for number in suspects}, self.tag)
        return crashes

    def _label(self, shard: int, names: list[str], crashes: Crashes, reached: Reached, stream: TextIO) -> None:
        """Compute what is left of a shard, into its part.

        A shard may begin or end within a batch of the whole job; then that batch is computed in both shards.
        """
        job, classifier, where = self.job, self.classifier, self.job.writing
        size = classifier.engine.batch_size
        next_one, end = job.first(shard) + reached.rows, job.first(shard) + len(names)
        first = next_one - next_one % size
        last = min(-(-end // size) * size, job.inputs)
        hands = Hands(job.folder, shard, self.tag, size, last)
        items = self._items(first, last, crashes, hands)
        outputs = classifier.outputs(items, self._reading)
        with closing(outputs), Interrupts() as interrupts, hands:
            batches = Batches(size)
            for _ in range(next_one - first):
                next(outputs)
                batches.add()
            results = (classifier.result(path, output, *where.choice) for path, output in outputs)
            writer = open_text_writer(Format.JSONL, stream)
            for number, result in enumerate(interrupts.between(results, batches), start=next_one):
                text = writer.text(result)
                writer.put(text)
                reached.add(len(text.encode()), None if result.error is None else type(result.error).__name__)
                hands.done(number + 1)
                self._following.result(result)
                if number + 1 == end:
                    break

    def _items(self, first: int, last: int, crashes: Crashes, hands: Hands) -> Iterator[Item]:
        """The inputs of the job from number ``first`` to before ``last``, noted before they are given."""
        named = Sources.of(self._reading, offline=self._choice.offline or self.job.running.offline).named()
        for number, name in enumerate(self.job.names_between(first, last), start=first):
            hands.take(number)
            yield Guilty(name, crashes.error(number)) if number in crashes.guilty else named.item(name)

    def _finish(self, shard: int, names: list[str], part: Path) -> None:
        """Check the part and put it in its place; what was kept for the shard is removed. Raises OSError."""
        folder = self.job.folder
        try:
            with part.open("rb") as stream:
                checked(stream, names)
            folder.put(part, results_file(shard))
        except FileNotFoundError:
            return  # another worker, which no lock kept away, has taken over
        except WrongResults as error:
            part.unlink(missing_ok=True)
            cause = f"The results of shard {shard} of {self.job.name} are not as they were written: {error}."
            raise UsageError(cause, "Look after the disk, and run the job again.") from error
        folder.remove(again_file(shard))
        forget(self.job, shard)


@dataclass(frozen=True, slots=True)
class Guilty:
    """A picture that is not opened any more, since that ends the process."""

    name: str
    error: ImageError
    held: int = 0

    def open(self) -> NoReturn:
        """Raises its error."""
        raise self.error

    def stamp(self) -> Stamp:
        """Nothing is looked at."""
        return UNSTAMPED


def opened(job: Job, choice: Choice, watch: Watch) -> "Classifier":
    """The network of a job. Raises ModelError, and UsageError if its files are not those of the plan."""
    how = running_as_settled(job.running, settled(job))
    _require_device(job, choice.device)
    how = replace(how, device=choice.device or how.device, offline=choice.offline or how.offline)
    how = replace(how, threads=how.threads or choice.threads)
    checkpoint = read_checkpoint(how, watch)
    _require_model(job, digests(checkpoint))
    require_same(job, {"image_size": job.settings.get("image_size")}, {"image_size": image_size_of(checkpoint)})
    try:
        return open_classifier(checkpoint, how)
    except UsageError as error:  # its remedy is another setting, which is the job's
        raise UsageError(error.cause, "Run the job on a machine that can, or plan another one.") from error


def _require_device(job: Job, device: str | None) -> None:
    """Raise UsageError for a device of another kind than the job was planned for."""
    planned = job.running.device
    if device is not None and planned != "auto" and device.split(":")[0] != planned.split(":")[0]:
        raise UsageError(f"The job in {job.name} is planned for {planned}, not for {device}.", "Plan another one.")


def _require_model(job: Job, now: dict[str, str]) -> None:
    """Raise UsageError unless the model's files are those that the job was planned with."""
    was = job.model["sha256"]
    if was == now:
        return
    changed = sorted(name for name in was.keys() | now.keys() if was.get(name) != now.get(name))
    cause = f"The model {job.model['name']} has changed since the job was planned: {', '.join(changed)}."
    raise UsageError(cause, "Bring back what it was, or plan the job anew.")


def _all_missing(shard: int, names: list[str]) -> UsageError:
    of = "the only picture" if len(names) == 1 else f"none of the {len(names):,} pictures"
    there = "is not there" if len(names) == 1 else "is there"
    return UsageError(
        f"Of shard {shard} {of} {there}: {names[0]}.",
        "Look whether the disk is mounted here, or set {allow_missing=True} if they are gone for good.",
    )


def forget(job: Job, shard: int) -> None:
    """Remove all that attempts have left of a shard. Its lock stays with its holder."""
    for name in job.folder.list(WORKING):
        if name.startswith(f"{shard:06}.") and not name.endswith(".lock"):
            with suppress(OSError):
                job.folder.remove(f"{WORKING}/{name}")


def _begin(part: Path, earlier: Path | None, kept: Reached, others: list[Path]) -> None:
    """Begin a part with what is kept of an earlier one, and remove the others.

    It is copied, since its writer may still be there where locks do not hold: that one finds at its end that another
    has taken over.
    """
    content = b""
    if earlier is not None:
        with earlier.open("rb") as stream:
            content = stream.read(kept.end)
    part.write_bytes(content)
    for other in others:
        if other != part:
            other.unlink(missing_ok=True)
