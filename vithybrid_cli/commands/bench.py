"""``vithybrid bench``: how fast decoding, the network and whole runs are on this machine."""

import logging
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vithybrid_cli.bench.measurements import Part
from vithybrid_cli.commands import options
from vithybrid_cli.commands.collector import resume
from vithybrid_cli.commands.guard import EXIT_SOME_FAILED
from vithybrid_cli.commands.watch import Stderr
from vithybrid_cli.errors import UsageError
from vithybrid_cli.hub.catalog import DEFAULT_MODEL
from vithybrid_cli.output import Format
from vithybrid_cli.output.destination import format_of, opened, require_writable, suffix_format
from vithybrid_cli.output.formats import prepare_stream
from vithybrid_cli.output.json_records import to_json
from vithybrid_cli.runs.model import located, require_apart_from_model_at
from vithybrid_cli.settings import Running
from vithybrid_cli.sources.inputs import Sources

if TYPE_CHECKING:
    from vithybrid_cli.bench.result import BenchResult
    from vithybrid_cli.bench.turns import Log

_PANEL = "What is measured"

Only = Annotated[
    list[Part] | None,
    typer.Option(
        metavar="PART",
        rich_help_panel=_PANEL,
        help=f"One of {', '.join(Part)}. Repeat it for more.",
        show_default="all",
    ),
]
Engines = Annotated[
    list[options.EngineKind] | None,
    typer.Option(
        "--engine",
        rich_help_panel=_PANEL,
        help="What runs the network. Repeat it for more.",
        show_default=options.EngineKind.AUTO,
    ),
]
Dtypes = Annotated[
    list[options.Dtype] | None,
    typer.Option(
        "--dtype",
        rich_help_panel=_PANEL,
        help="What it computes in. Repeat it for more.",
        show_default=options.Dtype.FLOAT32,
    ),
]
BatchSizes = Annotated[
    list[int] | None,
    typer.Option(
        "--batch-size",
        "-b",
        min=1,
        metavar="N",
        rich_help_panel=_PANEL,
        help="Pictures at once. Repeat it for more.",
        show_default="what suits the engine",
    ),
]
Limits = Annotated[
    bool,
    typer.Option(
        "--limits",
        rich_help_panel=_PANEL,
        help="Also what the device of the network reaches in matrix products and in the network's own layers.",
    ),
]
Repeats = Annotated[int, typer.Option(min=1, metavar="N", rich_help_panel=_PANEL, help="Turns of each measurement.")]
Seconds = Annotated[
    float, typer.Option(min=0, metavar="N", rich_help_panel=_PANEL, help="Shortest duration of a turn.")
]
Pictures = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        rich_help_panel=_PANEL,
        help="How many pictures to make, or to take from INPUTS.",
        show_default="64, or all INPUTS",
    ),
]
RandomWeights = Annotated[
    bool,
    typer.Option(
        "--random-weights",
        rich_help_panel=options.MODEL_PANEL,
        help="Download nothing: make random weights for an alias, or for a folder with a config.json.",
    ),
]


BenchFormat = Annotated[
    Format | None,
    typer.Option(
        "--format",
        "-f",
        case_sensitive=False,
        metavar="<table|json|jsonl>",
        rich_help_panel=options.OUTPUT_PANEL,
        show_default="table on a terminal, else jsonl",
        help="How the result is written.",
    ),
]


def bench(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(help="Pictures, folders or patterns.", show_default="pictures made for it", metavar="INPUTS"),
    ] = None,
    model: options.Model = DEFAULT_MODEL,
    random_weights: RandomWeights = False,
    only: Only = None,
    engine: Engines = None,
    dtype: Dtypes = None,
    batch_size: BatchSizes = None,
    limits: Limits = False,
    repeats: Repeats = 5,
    seconds: Seconds = 1.0,
    pictures: Pictures = None,
    device: options.Device = "auto",
    threads: options.Threads = None,
    workers: options.Workers = None,
    output_format: BenchFormat = None,
    output: options.Output = None,
    quiet: options.Quiet = False,
) -> None:
    """Measure decoding, the network, the whole way, whole processes and a cold start on this machine.

    They take turns. Given are the median, the smallest and the largest of the turns; a ratio is taken within a turn.

    Example: vithybrid bench -m tiny

    Example: vithybrid bench -m base-384 --random-weights --engine torch --engine openvino -b 1 -b 8

    Example: vithybrid bench -m base-384 --random-weights --only network --dtype bfloat16 --limits
    """
    from vithybrid_cli.bench.benchmark import benchmark
    from vithybrid_cli.bench.beside import require_network
    from vithybrid_cli.bench.material import Plan, prepared
    from vithybrid_cli.cores import available_cores

    Sources(tuple(inputs or ())).require_apart(output)
    require_writable(output)
    require_format(output, output_format)
    plan = Plan(
        parts=tuple(dict.fromkeys(only or Part)),
        engines=tuple(dict.fromkeys(engine or [options.EngineKind.AUTO])),
        dtypes=tuple(dict.fromkeys(dtype or [options.Dtype.FLOAT32])),
        batches=tuple(dict.fromkeys(batch_size or [])),
        device=device,
        threads=threads,
        workers=workers or available_cores(),
        repeats=repeats,
        seconds=seconds,
        limits=limits,
    )
    require_network(plan)
    with Stderr(quiet=quiet) as stderr:
        folder = None if random_weights else located(Running(model=model), stderr)
    require_apart_from_model_at(output, folder or Path(model).expanduser())
    resume()
    with (
        log_on_stderr(quiet=quiet) as log,
        prepared(model, folder, inputs or [], pictures, log) as material,
    ):
        result = benchmark(plan, material, log, shlex.join(["vithybrid", *sys.argv[1:]]))
    write(result, output, output_format)
    if not result.complete:
        raise KeyboardInterrupt
    if material.unreadable:
        raise typer.Exit(EXIT_SOME_FAILED)


def write(result: "BenchResult", output: Path | None, output_format: Format | None) -> None:
    """Write the result to the file ``output`` or to stdout, as a table or as one JSON object."""
    with opened(output) as stream:
        output_format = output_format or format_of(output, stream)
        if output_format is Format.TABLE:
            from vithybrid_cli.bench.table import print_bench  # imports rich

            print_bench(stream, result)
        else:
            prepare_stream(output_format, stream)
            stream.write(to_json(result.record(), indent=2 if output_format is Format.JSON else None) + "\n")


def require_format(output: Path | None, output_format: Format | None) -> None:
    """Raise UsageError for a format of rows, since a benchmark is no list of pictures, and for a suffix of none."""
    suffix = output.suffix.removeprefix(".").lower() if output else ""
    if (output_format or suffix) in (Format.CSV, Format.TSV, Format.PARQUET):
        raise UsageError("A benchmark is written as table, json or jsonl.", "Give {format=json}.")
    if output_format is None:
        suffix_format(output, (Format.JSON, Format.JSONL), "Measurements")


@contextmanager
def log_on_stderr(*, quiet: bool) -> Iterator["Log"]:
    """Yield a log that writes to stderr, and send the warnings of this package there too; or nothing of it."""
    from vithybrid_cli.bench.turns import Log

    with Stderr(quiet=quiet, level=logging.WARNING) as stderr:
        yield Log(stderr.say, stderr.say)
