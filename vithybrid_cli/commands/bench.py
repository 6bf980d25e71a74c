"""``vithybrid bench``: how fast decoding, network and whole runs are here, alone and beside other libraries."""

import shlex
import shutil
import sys
import tempfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vithybrid_cli.bench.measurements import Part
from vithybrid_cli.bench.peers import PEERS, Peer
from vithybrid_cli.bench.rows import write_bench
from vithybrid_cli.commands import options
from vithybrid_cli.commands.fetching import fetched
from vithybrid_cli.commands.guard import EXIT_SOME_FAILED
from vithybrid_cli.errors import UsageError
from vithybrid_cli.hub.catalog import DEFAULT_MODEL
from vithybrid_cli.output import visible
from vithybrid_cli.output.destination import format_of, opened, require_writable

if TYPE_CHECKING:
    from vithybrid_cli.bench.run import Log

OWN_PICTURES = 64
_BENCH_PANEL = "What is measured"

Only = Annotated[
    list[Part] | None,
    typer.Option(
        metavar="PART",
        rich_help_panel=_BENCH_PANEL,
        help=f"One of {', '.join(Part)}; give it again for more.",
        show_default="all",
    ),
]
Engines = Annotated[
    list[options.EngineKind] | None,
    typer.Option(
        "--engine",
        rich_help_panel=_BENCH_PANEL,
        help="What runs the network; give it again for more.",
        show_default=options.EngineKind.AUTO,
    ),
]
Dtypes = Annotated[
    list[options.Dtype] | None,
    typer.Option(
        "--dtype",
        rich_help_panel=_BENCH_PANEL,
        help="What it computes in; give it again for more.",
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
        rich_help_panel=_BENCH_PANEL,
        help="Pictures at once; give it again for more.",
        show_default="what suits the engine",
    ),
]
Repeats = Annotated[int, typer.Option(min=1, metavar="N", rich_help_panel=_BENCH_PANEL, help="Turns of each.")]
Seconds = Annotated[
    float, typer.Option(min=0, metavar="N", rich_help_panel=_BENCH_PANEL, help="Least duration of a turn of one part.")
]
Pictures = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        rich_help_panel=_BENCH_PANEL,
        help="How many to make, or to take of INPUTS.",
        show_default=f"{OWN_PICTURES}, or all INPUTS",
    ),
]
Against = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel=_BENCH_PANEL,
        help=f"Take turns with these: {', '.join(PEERS)}.",
    ),
]
PeersPython = Annotated[
    str | None,
    typer.Option(
        "--peers",
        metavar="PYTHON",
        rich_help_panel=_BENCH_PANEL,
        help="The Python that has transformers and timm.",
        show_default="this one",
    ),
]
RandomWeights = Annotated[
    bool,
    typer.Option(
        "--random-weights",
        rich_help_panel=options.MODEL_PANEL,
        help="Fetch nothing: an alias or a folder with a config.json, and weights made up for it.",
    ),
]


def bench(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(help="Pictures, folders or patterns.", show_default="pictures made for it", metavar="INPUTS"),
    ] = None,
    model: options.Model = DEFAULT_MODEL,
    random_weights: RandomWeights = False,
    revision: options.Revision = None,
    offline: options.Offline = False,
    only: Only = None,
    engine: Engines = None,
    dtype: Dtypes = None,
    batch_size: BatchSizes = None,
    against: Against = None,
    peers: PeersPython = None,
    repeats: Repeats = 5,
    seconds: Seconds = 1.0,
    pictures: Pictures = None,
    device: options.Device = "auto",
    workers: options.Workers = None,
    output_format: options.OutputFormat = None,
    output: options.Output = None,
    quiet: options.Quiet = False,
    no_progress: options.NoProgress = False,
) -> None:
    """Measure decoding, the network, the whole way, whole processes and a cold start, here and now.

    What is compared takes turns, a process for each. A ratio is that of one turn; given are median, least and most.

    Example: vithybrid bench -m tiny

    Example: vithybrid bench -m base-384 --random-weights --engine torch --engine openvino -b 1 -b 8
    """
    from vithybrid_cli.bench.measured import measured
    from vithybrid_cli.bench.plan import Plan
    from vithybrid_cli.cores import available_cores

    require_writable(output)
    log = _log(quiet=quiet, progress=not (quiet or no_progress))
    rivals, python = _peers(against or []), _python(peers)
    with tempfile.TemporaryDirectory(prefix="vithybrid-bench-") as scratch:
        if random_weights:
            folder = _random(model, Path(scratch, "model"), log)
        else:
            folder = fetched(model, revision=revision, offline=offline, quiet=quiet or no_progress)
        paths, unreadable = _pictures(inputs or [], pictures, Path(scratch, "pictures"), log)
        plan = Plan(
            model=folder,
            pictures=tuple(paths),
            parts=tuple(dict.fromkeys(only or Part)),
            engines=tuple(dict.fromkeys(engine or [options.EngineKind.AUTO])),
            dtypes=tuple(dict.fromkeys(dtype or [options.Dtype.FLOAT32])),
            batches=tuple(dict.fromkeys(batch_size or [])),
            device=device,
            workers=workers or available_cores(),
            against=rivals,
            python=python,
            repeats=repeats,
            seconds=seconds,
            # what is made of weights that nobody will see again is not worth a place in the user's cache
            cache=Path(scratch, "cache") if random_weights else None,
        )
        command = shlex.join(["vithybrid", *sys.argv[1:]])
        model += " with random weights" if random_weights else ""
        report = measured(plan, Path(scratch), log, command=command, model=model, own_pictures=not inputs)
    with opened(output) as stream:
        write_bench(output_format or format_of(output, stream), stream, report)
    if not report.complete:
        raise KeyboardInterrupt
    if unreadable:
        raise typer.Exit(EXIT_SOME_FAILED)


def _log(*, quiet: bool, progress: bool) -> "Log":
    from vithybrid_cli.bench.run import Log

    def say(message: str) -> None:
        typer.echo(visible(message), err=True)

    def nothing(message: str) -> None:
        pass

    return Log(progress=say if progress else nothing, complaint=nothing if quiet else say)


def _peers(names: Sequence[str]) -> tuple[Peer, ...]:
    """The peers of ``--against``, each once. Raises UsageError for a name that is none."""
    asked = dict.fromkeys(part.strip() for name in names for part in name.split(","))
    if unknown := [name for name in asked if name not in PEERS]:
        raise UsageError(f"--against {unknown[0]!r} is not known. Known: {', '.join(PEERS)}.")
    return tuple(PEERS[name] for name in asked)


def _python(peers: str | None) -> str:
    """The program file of ``--peers``. Not resolved: a link into a virtual environment is what makes it one."""
    if peers is None:
        return sys.executable
    return str(Path(shutil.which(peers) or peers).absolute())


def _random(model: str, out: Path, log: "Log") -> Path:
    from vithybrid_cli.bench.random_weights import make

    log.progress(f"making random weights for {model}")
    make(model, out)
    return out


def _pictures(inputs: Sequence[str], count: int | None, folder: Path, log: "Log") -> tuple[list[str], bool]:
    """The readable ones of ``inputs``, or some that are made in ``folder``; and whether any could not be read."""
    from vithybrid_cli.bench.pictures import make_pictures, readable

    if not inputs:
        log.progress(f"making {count or OWN_PICTURES} pictures")
        return make_pictures(folder, count or OWN_PICTURES), False
    log.progress("reading the pictures")
    paths: list[str] = []
    unreadable = False
    for path, error in islice(readable(inputs), count):
        if error is None:
            paths.append(path)
        else:
            unreadable = True
            log.complaint(f"{path}: left out, {error}")
    if not paths:
        raise UsageError("there is no picture among the inputs that can be read. Give others, or none.")
    return paths, unreadable
