"""Inputs become the shards of a job: their names, in order, as a stream. No network is loaded."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vithybrid_cli import atomic
from vithybrid_cli.errors import UsageError, are, listed
from vithybrid_cli.items import Item
from vithybrid_cli.jobs.folder import Folder, LocalFolder, folder_of, unwritable_job
from vithybrid_cli.jobs.job import FILE, NAMES, Job, is_relative, names_file
from vithybrid_cli.runs.label import decided
from vithybrid_cli.runs.model import digests, image_size_of, read_checkpoint
from vithybrid_cli.runs.watch import Watch, tell_survey
from vithybrid_cli.settings import Reading, Running, Writing
from vithybrid_cli.sources.braces import has_braces
from vithybrid_cli.sources.inputs import STDIN, Sources
from vithybrid_cli.sources.pattern import is_pattern
from vithybrid_cli.sources.survey import Survey

if TYPE_CHECKING:
    from vithybrid_cli.checkpoints.checkpoint import Checkpoint

DEFAULT_SHARD_SIZE: Final = 10_000  # minutes of a GPU, and a file of results of a few MB
_NAMED = 3  # inputs that a line names
_PACKAGES = ("numpy", "Pillow", "torch", "openvino")  # whose versions decide results


def plan(
    what: Reading, how: Running, where: Writing, folder: str, watch: Watch, *, shard_size: int = DEFAULT_SHARD_SIZE
) -> Job:
    """Make a job of all pictures of ``what``, in a new ``folder`` or prefix of a bucket.

    Of ``where`` only what chooses labels and scores counts. The size of a shard is rounded up to a multiple of the
    batch. Memory does not grow with the number of pictures. A plan that is broken off leaves no job. Raises UsageError
    and ModelError as `vithybrid_cli.runs.label.label` does, and UsageError if the folder is taken or cannot be written.
    """
    if shard_size < 1:
        raise UsageError(f"The shard size is {shard_size}.", "Give a {shard_size} of at least 1.")
    job_folder = folder_of(folder)
    output = job_folder.local
    sources = Sources.of(what, output, offline=how.offline)
    sources.check()
    _require_free(job_folder, folder)
    checkpoint = read_checkpoint(how, watch)
    _require_possible(checkpoint, how, where)
    planned = Job(
        folder=job_folder,
        running=replace(how, model=_lasting_name(how, checkpoint)),
        reading=what,
        writing=where,
        settings={**decided(what, how, where), "image_size": image_size_of(checkpoint)},
        model={"name": f"{how.model} at {how.revision}" if how.revision else how.model, "sha256": digests(checkpoint)},
        working_folder=str(Path.cwd()),
        relative=False,
        inputs=0,
        shard_size=_rounded(shard_size, how.batch_size),
        versions=_versions(),
    )
    survey = Survey()
    with _filling(job_folder, folder) as new:
        names = _Names(new, planned.shard_size)
        names.write(sources.items(survey))
        planned = replace(planned, inputs=names.count, relative=names.relative)
        new.write(FILE, planned.content())
    tell_survey(survey, watch)
    _tell_missing(what, watch)
    return planned


@dataclass(slots=True)
class _Names:
    """Writes the names of inputs, a file for each shard, and counts them."""

    folder: Folder
    shard_size: int
    count: int = 0
    relative: bool = False

    def write(self, items: Iterator[Item]) -> None:
        shard = 0
        while names := [item.name for item in islice(items, self.shard_size)]:
            lines = "".join(json.dumps(name) + "\n" for name in names)  # ASCII, so that any name is kept exactly
            self.folder.write(names_file(shard), lines.encode())
            self.count += len(names)
            self.relative = self.relative or any(map(is_relative, names))
            shard += 1


@dataclass(frozen=True, slots=True)
class _Unfinished(LocalFolder):
    """A folder that takes its place as a whole, so that its files need not."""

    def write(self, name: str, content: bytes) -> None:
        file = self.path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)


@contextmanager
def _filling(folder: Folder, name: str) -> Iterator[Folder]:
    """What to write a plan to, which is a job once the block has ended without an exception. Raises UsageError."""
    try:
        if folder.local is None:
            yield folder  # nothing is a job without its job.json, which comes last
            return
        with atomic.replacing_folder(folder.local) as part:
            part.chmod(0o777 & ~_umask())
            (part / NAMES).mkdir()
            yield _Unfinished(part)
    except FileExistsError as error:
        raise _taken(name) from error
    except OSError as error:
        raise unwritable_job(name, error, "Make room and plan again, or give another {output}.") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _require_free(folder: Folder, name: str) -> None:
    """Raise UsageError for a place where something is, or where nothing can be written."""
    local = folder.local
    try:
        if local is None:
            taken = folder.exists(FILE) or bool(folder.list(NAMES))
        else:
            taken = os.path.lexists(local) and not (local.is_dir() and not any(local.iterdir()))
            if not taken and not local.parent.is_dir():
                raise UsageError(f"There is no folder {local.parent} for the job.", "Make that folder first.")
            if not taken and not os.access(local.parent, os.W_OK):
                raise PermissionError(13, os.strerror(13))
    except OSError as error:
        raise unwritable_job(name, error, "Give another {output}.") from error
    if taken:
        raise _taken(name)


def _taken(name: str) -> UsageError:
    folder = folder_of(name)
    if not folder.exists(FILE):
        return UsageError(f"{name} is there already, and no job.", "Give another {output}.")
    return UsageError(
        f"There is a job in {name} already.", "Go on with it with `vithybrid job run`, or give another {output}."
    )


def _tell_missing(what: Reading, watch: Watch) -> None:
    """Say which inputs are not there: what would be a record of a short run is a mistake of a long one."""
    plain = (text for text in what.inputs if text != STDIN and "://" not in text and not is_pattern(text))
    gone = [text for text in plain if not has_braces(text) and not os.path.lexists(text)]
    if gone:
        watch.warn(f"{listed(gone, _NAMED)} {are(len(gone))} not there, and planned as missing")


def _require_possible(checkpoint: "Checkpoint", how: Running, where: Writing) -> None:
    from vithybrid_cli.pipeline.classifier import require_choice, require_head

    require_head(checkpoint, how.model)
    require_choice(*where.choice, checkpoint.activation, checkpoint.config.labels)


def _lasting_name(how: Running, checkpoint: "Checkpoint") -> str:
    """The model's name, which means the same in every working folder."""
    given = Path(how.model).expanduser().absolute()
    return str(given) if checkpoint.path == given else how.model


def _rounded(shard_size: int, batch_size: int | None) -> int:
    batch = batch_size or 1
    return -(-shard_size // batch) * batch


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
