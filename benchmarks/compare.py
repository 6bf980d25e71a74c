"""`vithybrid bench` with other libraries that take turns: python -m benchmarks.compare --against transformers,timm …

transformers and timm may live in an environment of their own: --peers .venv-peers/bin/python.
"""

import argparse
import shlex
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

from benchmarks.libraries import NAMES, Library
from vithybrid_cli.bench.benchmark import benchmark
from vithybrid_cli.bench.material import Plan, prepared
from vithybrid_cli.bench.measurements import Part
from vithybrid_cli.bench.result import BenchResult
from vithybrid_cli.choices import Dtype, EngineKind
from vithybrid_cli.commands.bench import log_on_stderr, write
from vithybrid_cli.commands.guard import as_flag
from vithybrid_cli.cores import available_cores
from vithybrid_cli.errors import VitHybridError, options_spelt
from vithybrid_cli.hub.locate import locate
from vithybrid_cli.output import Format


def main() -> None:
    """Measure, and write the result."""
    asked = _asked()
    try:
        with options_spelt(as_flag):
            result = _compared(asked)
            write(result, asked.output, asked.format)
    except VitHybridError as error:
        sys.exit(f"compare: {error}")
    if not result.complete:
        sys.exit(130)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("inputs", nargs="*", help="pictures and folders; none: pictures that are made")
    parser.add_argument("--against", type=_libraries, default=list(NAMES), help=f"of {','.join(NAMES)}; all by default")
    parser.add_argument("--peers", type=_program, default=sys.executable, help="the Python that has transformers, timm")
    parser.add_argument("-m", "--model", default="tiny")
    parser.add_argument("--random-weights", action="store_true")
    parser.add_argument("--only", action="append", type=Part, choices=list(Part))
    parser.add_argument("--engine", action="append", choices=list(EngineKind))
    parser.add_argument("--dtype", action="append", choices=list(Dtype))
    parser.add_argument("-b", "--batch-size", action="append", type=int)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--pictures", type=int)
    parser.add_argument("-f", "--format", type=Format, default=Format.TABLE, choices=[Format.TABLE, Format.JSON])
    parser.add_argument("-o", "--output", type=Path)
    return parser.parse_args()


def _libraries(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in NAMES]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not one of {', '.join(NAMES)}")
    return names


def _program(text: str) -> str:
    """Not resolved: a link into a virtual environment is what makes it one."""
    found = shutil.which(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text} is no program")
    return str(Path(found).absolute())


def _compared(asked: argparse.Namespace) -> BenchResult:
    plan = Plan(
        parts=tuple(asked.only or Part),
        engines=tuple(asked.engine or ["auto"]),
        dtypes=tuple(asked.dtype or ["float32"]),
        batches=tuple(asked.batch_size or []),
        device=asked.device,
        workers=available_cores(),
        repeats=asked.repeats,
        seconds=asked.seconds,
    )
    folder = None if asked.random_weights else locate(asked.model)
    with log_on_stderr(quiet=False) as log, ExitStack() as stack:
        material = stack.enter_context(prepared(asked.model, folder, asked.inputs, asked.pictures, log))
        libraries = [Library(name, plan, material, asked.peers, log) for name in asked.against]
        for library in libraries:
            stack.callback(library.close)
        command = shlex.join(["python", "-m", "benchmarks.compare", *sys.argv[1:]])
        return benchmark(plan, material, log, command, libraries)


if __name__ == "__main__":
    main()
