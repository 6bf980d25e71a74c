"""``vithybrid job``: a run too large for one process is planned, run, looked at and merged."""

from typing import Annotated

import typer

from vithybrid_cli.choices import Activation
from vithybrid_cli.commands import options
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

app = typer.Typer(
    name="job",
    help="Label more pictures than one process can: plan shards, run them on any number of machines, merge.",
    no_args_is_help=True,
)

JobPlace = Annotated[
    str, typer.Argument(metavar="JOB", help="The folder of the job, or its address in a bucket.", show_default=False)
]


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
    )
    where = Writing(top_k=top_k, threshold=threshold, activation=activation)
    with Stderr(quiet=quiet) as watch:
        planned = make(what, how, where, job, watch, shard_size=shard_size)
        some = "1 shard" if planned.shards == 1 else f"{planned.shards:,} shards"
        watch.say(f"planned {planned.inputs:,} pictures in {some}; `vithybrid job run {job}` labels them")


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
    processes: Annotated[
        int, typer.Option(min=1, metavar="N", help="Worker processes, which share the cores of this machine.")
    ] = 1,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="End when all shards left are held by other runs.")
    ] = False,
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
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    no_progress: options.NoProgress = False,
) -> None:
    """Label all shards that are not done.

    It may be ended in any way at any time, and run again; several may run at once, here and on other machines.

    Examples:

      vithybrid job run jobs/photos

      vithybrid job run jobs/photos --shard $SLURM_ARRAY_TASK_ID
    """
    from vithybrid_cli.jobs.choice import Choice
    from vithybrid_cli.jobs.job import Job
    from vithybrid_cli.jobs.run import run as go

    asked = None if shard is None and shards is None else [*(shard or ()), *_parsed(shards)]
    with JobStderr(quiet=quiet, no_progress=no_progress) as watch:
        choice = Choice(device=device, workers=workers, offline=offline)
        go(Job.open(job), watch, asked, choice, processes=processes, wait=not no_wait)


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


def _parsed(shards: str | None) -> list[int]:
    """The numbers in ``0-3,17``. Raises UsageError."""
    found: list[int] = []
    for part in [] if shards is None else shards.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or not (last.isdecimal() if dash else True) or (dash and int(last) < int(first)):
            raise UsageError(f"{shards!r} are no numbers of shards.", "Give {shards} a range as 0-9, or 0-3,17.")
        found += range(int(first), int(last if dash else first) + 1)
    return found


for command in (plan, run, merge):
    app.command()(guarded(command))
