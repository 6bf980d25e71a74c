"""``vithybrid job``: a run too large for one process is planned, run, looked at and merged."""

import sys
from datetime import timedelta
from enum import StrEnum
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from vithybrid_cli.choices import Activation
from vithybrid_cli.commands import options
from vithybrid_cli.commands.facts import FactsFormat, write_facts
from vithybrid_cli.commands.guard import EXIT_SOME_FAILED, guarded
from vithybrid_cli.commands.job_progress import JobStderr
from vithybrid_cli.commands.watch import Stderr
from vithybrid_cli.errors import UsageError
from vithybrid_cli.hub.catalog import DEFAULT_MODEL
from vithybrid_cli.settings import (
    DEFAULT_DECODE_TIMEOUT,
    DEFAULT_MAX_BYTES,
    DEFAULT_MAX_PIXELS,
    Decoding,
    Reading,
    Running,
    Writing,
)

if TYPE_CHECKING:
    from vithybrid_cli.jobs.choice import Choice
    from vithybrid_cli.jobs.status import Status

RAY_PANEL = "Ray"

app = typer.Typer(
    name="job",
    help="Label more pictures than one process can: plan shards, run them on any number of machines, merge.",
    no_args_is_help=True,
)

JobPlace = Annotated[
    str, typer.Argument(metavar="JOB", help="The folder of the job, or its address in a bucket.", show_default=False)
]
Processes = Annotated[
    int, typer.Option(min=1, metavar="N", help="Worker processes, which share the cores of this machine.")
]


class StatusFormat(StrEnum):
    """How the status of a job is written."""

    TABLE = "table"
    JSON = "json"

    @classmethod
    def default(cls, stream: TextIO) -> "StatusFormat":
        """A table on a terminal, JSON into a pipe."""
        return cls.TABLE if stream.isatty() else cls.JSON


def plan(
    job: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="JOB",
            rich_help_panel=options.OUTPUT_PANEL,
            help="The folder of the job to make, or its address in a bucket.",
            show_default=False,
        ),
    ],
    inputs: options.Inputs = None,
    shard_size: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            rich_help_panel=options.OUTPUT_PANEL,
            help="Pictures in a shard, rounded up to a multiple of --batch-size.",
        ),
    ] = 10_000,
    model: options.Model = DEFAULT_MODEL,
    top_k: Annotated[int, typer.Option("--top-k", "-k", min=1, metavar="N", help="How many labels at most.")] = 5,
    threshold: Annotated[
        float | None, typer.Option(metavar="SCORE", help="Only labels of at least this score.", show_default=False)
    ] = None,
    activation: Annotated[
        Activation,
        typer.Option(
            help="What makes scores of the network's outputs: softmax if one label is right, sigmoid if each may be, "
            "none for the outputs themselves. auto: as the model's config says."
        ),
    ] = Activation.AUTO,
    unsure: options.Unsure = None,
    rollup: options.Rollup = None,
    files_from: options.FilesFrom = None,
    null: options.Null = False,
    exclude: options.Exclude = None,
    shards: options.Shards = None,
    archives: options.Archives = False,
    column: options.Column = None,
    device: options.Device = "auto",
    dtype: options.DtypeOption = options.Dtype.FLOAT32,
    attention: options.Attention = options.AttentionKind.SDPA,
    engine: options.Engine = options.EngineKind.AUTO,
    compiled: options.Compile = False,
    batch_size: options.BatchSize = None,
    threads: options.Threads = None,
    max_pixels: options.MaxPixels = DEFAULT_MAX_PIXELS,
    max_bytes: options.MaxBytes = DEFAULT_MAX_BYTES,
    fast_jpeg: options.FastJpeg = False,
    raw_preview: options.RawPreview = False,
    allow_truncated: options.AllowTruncated = False,
    background: options.Background = None,
    isolate: options.Isolate = False,
    decode_timeout: options.DecodeTimeout = DEFAULT_DECODE_TIMEOUT,
    revision: options.Revision = None,
    offline: options.Offline = False,
    image_size: options.ImageSize = None,
    quiet: options.Quiet = False,
) -> None:
    """Write down what is to be labelled, and how, as a folder that any number of machines can work on.

    Nothing is labelled yet, and no network is loaded.

    Examples:

      vithybrid job plan photos/ -o jobs/photos

      vithybrid job plan --files-from list.txt -o jobs/list --device cuda
    """
    from vithybrid_cli.errors import counted
    from vithybrid_cli.jobs.plan import plan as make

    what = Reading(
        inputs=tuple(inputs or ()),
        files_from=files_from,
        null=null,
        exclude=tuple(exclude or ()),
        shards=tuple(shards or ()),
        archives=archives,
        column=column,
        max_bytes=max_bytes,
        decoding=Decoding(
            max_pixels=max_pixels,
            fast_jpeg=fast_jpeg,
            raw_preview=raw_preview,
            allow_truncated=allow_truncated,
            background=background,
        ),
        isolate=isolate,
        decode_timeout=decode_timeout,
    )
    how = Running(
        model=model,
        revision=revision,
        offline=offline,
        image_size=image_size,
        device=device,
        dtype=dtype,
        attention=attention,
        engine=engine,
        compile=compiled,
        batch_size=batch_size,
        threads=threads,
    )
    where = Writing(top_k=top_k, threshold=threshold, activation=activation, unsure=unsure, rollup=rollup)
    with Stderr(quiet=quiet) as watch:
        planned = make(what, how, where, job, watch, shard_size=shard_size)
        some, pictures = counted(planned.shards, "shard"), counted(planned.inputs, "picture")
        watch.say(f"planned {pictures} in {some}; `vithybrid job run {quote(job)}` labels them")


def run(
    job: JobPlace,
    shard: Annotated[
        list[int] | None,
        typer.Option(
            "--shard", min=0, metavar="N", help="This shard alone. May be given several times.", show_default=False
        ),
    ] = None,
    shards: Annotated[
        str | None, typer.Option(metavar="A-B", help="These shards alone: 0-9 or 0-3,17.", show_default=False)
    ] = None,
    processes: Processes = 1,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="End when all shards left are held by other runs.")
    ] = False,
    ray: Annotated[
        bool,
        typer.Option(
            "--ray",
            rich_help_panel=RAY_PANEL,
            help="Let Ray start workers, one for each GPU, or for as many cores as the job has threads: on the cluster "
            "of RAY_ADDRESS, or else on this machine.",
        ),
    ] = False,
    ray_address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            rich_help_panel=RAY_PANEL,
            help="The cluster to use: HOST:PORT of its head, or auto for the one that this machine is part of.",
            show_default=False,
        ),
    ] = None,
    ray_workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            rich_help_panel=RAY_PANEL,
            help="Ask for so many workers, also where there is no room for them yet: an autoscaler adds nodes.",
            show_default="all that have room",
        ),
    ] = None,
    workers: options.Workers = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            rich_help_panel=options.RUN_PANEL,
            help="Which device of the kind that the job is computed on, as cuda:1.",
            show_default="as planned",
        ),
    ] = None,
    allow_missing: Annotated[
        bool,
        typer.Option(
            "--allow-missing",
            rich_help_panel=options.RUN_PANEL,
            help="Go on where no picture of a shard is there; otherwise that ends the run.",
        ),
    ] = False,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    no_progress: options.NoProgress = False,
) -> None:
    """Label all shards that are not done.

    It may be ended in any way at any time, and run again; several may run at once, here and on other machines.

    Examples:

      vithybrid job run jobs/photos

      vithybrid job run jobs/photos --shard $SLURM_ARRAY_TASK_ID

      vithybrid job run jobs/photos --ray-address 10.0.0.1:6379
    """
    from vithybrid_cli.jobs.choice import Choice
    from vithybrid_cli.jobs.job import Job
    from vithybrid_cli.jobs.run import run as go

    asked = None if shard is None and shards is None else [*(shard or ()), *_parsed(shards)]
    with JobStderr(quiet=quiet, no_progress=no_progress) as watch:
        choice = Choice(device=device, workers=workers, offline=offline, allow_missing=allow_missing)
        if ray or ray_address or ray_workers:
            _run_on_ray(job, watch, asked, choice, ray_address, ray_workers)
            return
        go(Job.open(job), watch, asked, choice, processes=processes, wait=not no_wait)


def _run_on_ray(
    job: str, watch: JobStderr, shards: list[int] | None, choice: "Choice", address: str | None, workers: int | None
) -> None:
    from vithybrid_cli.jobs.job import Job
    from vithybrid_cli.jobs.on_ray import OnRay, run_on_ray

    run_on_ray(Job.open(job), watch, shards, choice, OnRay(address, workers))


def merge(
    job: JobPlace,
    output_format: options.OutputFormat = None,
    output: options.Output = None,
    quiet: options.Quiet = False,
    no_progress: options.NoProgress = False,
) -> None:
    """Write the results of all shards into one file: a record for each input, in order.

    Example: vithybrid job merge jobs/photos -o labels.csv
    """
    from vithybrid_cli.jobs.job import Job
    from vithybrid_cli.jobs.merge import merge as write

    with Stderr(quiet=quiet, no_progress=no_progress) as watch:
        tally = write(Job.open(job), output, output_format, watch)
    if tally.failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def status(
    job: JobPlace,
    status_format: Annotated[
        StatusFormat | None,
        typer.Option(
            "--format",
            "-f",
            case_sensitive=False,
            help="How it is written.",
            show_default="table on a terminal, else json",
        ),
    ] = None,
) -> None:
    """Say how far a job is: shards, pictures, failures, workers and the time left.

    Example: vithybrid job status jobs/photos
    """
    from vithybrid_cli.jobs.job import Job
    from vithybrid_cli.jobs.status import status as look

    found = look(Job.open(job))
    if (status_format or StatusFormat.default(sys.stdout)) is StatusFormat.JSON:
        write_facts(found.facts(), FactsFormat.JSON, {})
    else:
        write_facts(_shown(found), FactsFormat.TEXT, {})


def retry(
    job: JobPlace,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            metavar="TYPE",
            help="Errors of this type. May be given several times.",
            show_default="FetchFailed, WorkerCrashed and DecodeTimeout",
        ),
    ] = None,
    mark: Annotated[bool, typer.Option("--mark", help="Run nothing yet: any `job run` does it then.")] = False,
    processes: Processes = 1,
    workers: options.Workers = None,
    quiet: options.Quiet = False,
    no_progress: options.NoProgress = False,
) -> None:
    """Compute shards again that have records which failed for a passing reason, or whose results are damaged.

    The old results of a shard stay until all of the new ones are there.

    Example: vithybrid job retry jobs/photos
    """
    from vithybrid_cli.jobs.choice import Choice
    from vithybrid_cli.jobs.job import Job
    from vithybrid_cli.jobs.retry import PASSING
    from vithybrid_cli.jobs.retry import retry as mark_shards
    from vithybrid_cli.jobs.run import run as go

    found = Job.open(job)
    marked = mark_shards(found, kind or PASSING)
    with JobStderr(quiet=quiet, no_progress=no_progress) as watch:
        watch.say(marked.in_words())
        if marked.shards and not mark:
            go(found, watch, marked.shards, Choice(workers=workers), processes=processes)


def _shown(found: "Status") -> dict[str, Any]:
    """The status as a person reads it."""
    from vithybrid_cli.errors import counted

    left = "not known" if found.seconds_left is None else f"{timedelta(seconds=round(found.seconds_left))}"
    shards_left = {"shards left": found.left} if found.left else {}
    again = {"to run again": f"{found.again:,} of the shards with results"} if found.again else {}
    done = {
        "shards": f"{found.shards_done:,} of {found.shards:,}",
        "pictures": f"{found.done:,} of {found.inputs:,}",
        "under way": f"{found.under_way:,} pictures of other shards",
        "time left": left,
    }
    workers = {
        worker.name: f"{counted(worker.shards, 'shard')}, {counted(worker.pictures, 'picture')}, {worker.rate:.1f}/s"
        + ("" if worker.at_work else ", not heard of lately")
        for worker in found.workers
    }
    return {"job": found.name, "done": done | again | shards_left, "failed": found.failed, "workers": workers}


def _parsed(shards: str | None) -> list[int]:
    """The numbers in ``0-3,17``. Raises UsageError."""
    found: list[int] = []
    for part in [] if shards is None else shards.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or not (last.isdecimal() if dash else True) or (dash and int(last) < int(first)):
            raise UsageError(f"{shards!r} are no numbers of shards.", "Give {shards} a range as 0-9, or 0-3,17.")
        found += range(int(first), int(last if dash else first) + 1)
    return found


for command in (plan, run, status, merge, retry):
    app.command()(guarded(command))
