"""``vithybrid report``: results that were written earlier become a page to look through."""

from pathlib import Path
from typing import Annotated

import typer

from vithybrid_cli.choices import Thumbnails
from vithybrid_cli.commands import options
from vithybrid_cli.commands.acting import require_root
from vithybrid_cli.commands.guard import EXIT_SOME_FAILED
from vithybrid_cli.commands.watch import Stderr
from vithybrid_cli.settings import DEFAULT_MAX_BYTES, DEFAULT_MAX_PIXELS, DEFAULT_THUMBNAIL_SIZE, Decoding, Reading


def report(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULTS",
            help="Files that `vithybrid classify` wrote: json, jsonl, csv, tsv or parquet. Several are shown in turn.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            parser=options.file_to_write,
            rich_help_panel=options.OUTPUT_PANEL,
            help="Write the page to this file, whose name ends in .html.",
        ),
    ],
    root: options.Root = None,
    thumbnails: Annotated[
        Thumbnails,
        typer.Option(
            rich_help_panel=options.OUTPUT_PANEL,
            help="inline: in the page, which is one file. link: in a folder beside it, for many pictures. none: only "
            "labels.",
        ),
    ] = Thumbnails.INLINE,
    thumbnail_size: Annotated[
        int,
        typer.Option(
            min=16,
            max=1024,
            metavar="N",
            rich_help_panel=options.OUTPUT_PANEL,
            help="The longer side of thumbnails, in pixels.",
        ),
    ] = DEFAULT_THUMBNAIL_SIZE,
    max_pictures: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            rich_help_panel=options.OUTPUT_PANEL,
            help="Show no more than the first N pictures.",
            show_default="all",
        ),
    ] = None,
    title: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            rich_help_panel=options.OUTPUT_PANEL,
            help="The heading of the page.",
            show_default="the name of the results",
        ),
    ] = None,
    column: options.Column = None,
    workers: options.Workers = None,
    max_pixels: options.MaxPixels = DEFAULT_MAX_PIXELS,
    max_bytes: options.MaxBytes = DEFAULT_MAX_BYTES,
    offline: Annotated[bool, typer.Option("--offline", help="Never open a connection.")] = False,
    quiet: options.Quiet = False,
    no_progress: options.NoProgress = False,
) -> None:
    """Make a page to look through of results: thumbnails to filter and sort by label and score.

    The page is one file that requests nothing from anywhere. A picture that is gone, has changed or cannot be read
    has a note in its place.

    Examples:

      vithybrid report labels.jsonl -o labels.html

      vithybrid report labels.csv --root /mnt/photos -o labels.html

      vithybrid report labels.parquet -o labels.html --thumbnails link
    """
    from vithybrid_cli.runs.pages.report import Showing
    from vithybrid_cli.runs.pages.report import report as write

    what = Reading(column=column, max_bytes=max_bytes, workers=workers, decoding=Decoding(max_pixels=max_pixels))
    require_root(root)
    show = Showing(thumbnails=thumbnails, size=thumbnail_size, max_pictures=max_pictures, title=title, root=root)
    with Stderr(quiet=quiet, no_progress=no_progress) as watch:
        tally = write(results, output, show, what, watch, offline=offline)
    if tally.missing:
        raise typer.Exit(EXIT_SOME_FAILED)
