"""Runs the pages of the documentation from top to bottom: their commands as far as they run here, and their Python.

The tests compare what is printed with what a page shows, and `scripts/outputs.py` writes it there.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from pages import Command, Page, Snippet
from shell import environment, run

# What is not run here, and by which words it is known.
NEEDS_PACKAGES = re.compile(r"^(make|python3 -m venv|\. \.venv/bin/activate|pip)\b")
NEEDS_DOWNLOAD = re.compile(
    r"base-384|nsfw|google/|cifar-10-binary|vithybrid (classify|embed|evaluate|explain) (?!.*-m )"
)
TAKES_LONG = re.compile(r"vithybrid (bench (?!.*--seconds 0\.1)|train (?!.*--epochs 2))")
SUPPOSES_MORE = re.compile(
    r"photos/held-out|runs/old|jobs/|cifar10/data|report labels\.(csv|parquet)"
)  # which no page makes


def runs_here(command: Command) -> bool:
    """Whether it needs neither a package index nor a download, and ends soon."""
    reasons = (NEEDS_PACKAGES, NEEDS_DOWNLOAD, TAKES_LONG, SUPPOSES_MORE)
    return not any(reason.search(command.text) for reason in reasons)


def run_commands(page: Page, workplace: Path) -> Iterator[tuple[Command, subprocess.CompletedProcess[str] | None]]:
    """The commands of a page that run here, each with what became of it; ``None``: it needs jq, which is not there."""
    for command in filter(runs_here, page.commands):
        if "| jq " in command.text and shutil.which("jq") is None:
            yield command, None
            continue
        is_table = "%" in command.output and "--format" not in command.text  # what a terminal shows
        yield command, run(command.text + " --format table" * is_table, workplace)


def run_snippets(page: Page, workplace: Path) -> list[tuple[Snippet, str]]:
    """The blocks of Python with what each prints; all are run as one script, since each goes on from those before."""
    border = "-- the end of a block --"
    script = "".join(f"{snippet.text}\nprint({border!r})\n" for snippet in page.snippets)
    python = [sys.executable, "-W", "error::DeprecationWarning:__main__", "-c", script]
    around = environment(workplace)
    done = subprocess.run(python, cwd=workplace, env=around, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{page.path}:\n{done.stderr}"
    return list(zip(page.snippets, done.stdout.split(f"{border}\n"), strict=False))
