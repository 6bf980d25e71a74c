"""Progress of a job on stderr: all pictures together, and what each worker does."""

from collections.abc import Iterator
from contextlib import contextmanager

from vithybrid_cli.commands.progress import Progress
from vithybrid_cli.commands.watch import Stderr


class JobProgress(Progress):
    """Counts pictures of several workers; see `vithybrid_cli.jobs.run.JobCounter`."""

    def advance(self, pictures: int = 1, *, failed: int = 0) -> None:
        """So many more pictures are done."""
        super().advance(pictures, failed=failed)

    def skip(self, pictures: int, *, failed: int = 0) -> None:
        """So many more were done before; they do not count for the speed."""
        self.skipped(pictures, failed)

    def doing(self, worker: int, what: str, done: int = 0, total: int | None = None) -> None:
        """What a worker does now, in words, and how far it is with it."""
        self.tell(f"worker {worker}", what, done, total)


class JobStderr(Stderr):
    """Shows what the run of a job tells; see `vithybrid_cli.jobs.run.JobWatch`."""

    @contextmanager
    def counting_job(self, total: int, done: int) -> Iterator[JobProgress]:
        """While shards are computed."""
        progress = JobProgress(enabled=self._progress_shown, total=total, done=done)
        with self.showing(progress):
            yield progress

    def picture_failed(self, path: str, message: str) -> None:
        """A picture could not be labelled."""
        self.say(f"{path}: {message}")
