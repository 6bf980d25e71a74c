"""Options that several subcommands share, spelt and explained once."""

import os
from pathlib import Path
from typing import Annotated

import typer

from vithybrid_cli.choices import AttentionKind as AttentionKind
from vithybrid_cli.choices import Dtype as Dtype
from vithybrid_cli.choices import EngineKind as EngineKind
from vithybrid_cli.choices import WeightsDtype as WeightsDtype
from vithybrid_cli.output import Format
from vithybrid_cli.output.formats import LabelFormat

MODEL_PANEL, RUN_PANEL, OUTPUT_PANEL = "Model", "How it runs", "Output"  # sections of --help

Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME",
        rich_help_panel=MODEL_PANEL,
        help="An alias of `vithybrid models`, a hub id, or a checkpoint's folder or file.",
    ),
]
Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="INPUTS",
        help="Pictures, folders, archives or tables of pictures, addresses, quoted patterns, or - for a list on stdin.",
        show_default=False,
    ),
]
Unsure = Annotated[
    float | None,
    typer.Option(
        metavar="SCORE",
        help="Answer `unsure` where no label reaches this score; the labels stay in the results.",
        show_default=False,
    ),
]
Rollup = Annotated[
    float | None,
    typer.Option(
        metavar="SCORE",
        help="For ImageNet's labels: where none reaches this score, answer the first ancestor in WordNet whose labels "
        "reach it together, as `dog` for several breeds.",
        show_default=False,
    ),
]
FilesFrom = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Read paths from this file, one per line; - is stdin.", show_default=False),
]
Null = Annotated[bool, typer.Option("--null", "-0", help="Paths in lists end with NUL, not newline.")]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at the first picture that cannot be read.")]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="Leave out files and folders of this name (*_edit.jpg), or of this path below the input (raw/*, "
        "**/thumbs/*); with a slash at the end folders only (raw/). What is an input itself is read. May be given "
        "several times.",
        show_default=False,
    ),
]
Shards = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="Read these archives after the inputs: photos-{000000..000127}.tar. May be given several times.",
        show_default=False,
    ),
]
Archives = Annotated[
    bool,
    typer.Option(
        "--archives", help="Read the archives and tables that lie in folders, too; otherwise they are left out."
    ),
]
Column = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The column of tables that has the pictures.", show_default="found by its type"),
]
LabelColumn = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The column of tables that has the labels.", show_default="found by its name"),
]
MaxBytes = Annotated[
    int,
    typer.Option(
        min=1,
        metavar="N",
        rich_help_panel=RUN_PANEL,
        help="Refuse pictures of more bytes in archives, in tables and at addresses.",
    ),
]
Results = Annotated[
    Path,
    typer.Argument(metavar="RESULTS", help="A file that `vithybrid classify` wrote: json, jsonl, csv, tsv or parquet."),
]
Root = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="The folder at which relative paths in RESULTS begin, if they were written elsewhere.",
        show_default="the current folder",
    ),
]
Revision = Annotated[
    str | None,
    typer.Option(metavar="NAME", rich_help_panel=MODEL_PANEL, help="Branch, tag or commit of the model on the hub."),
]
Offline = Annotated[bool, typer.Option("--offline", rich_help_panel=MODEL_PANEL, help="Never open a connection.")]
ImageSize = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        rich_help_panel=MODEL_PANEL,
        help="Run the network on N×N pixels instead; its position embeddings are interpolated.",
        show_default="the model's own",
    ),
]
Device = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        rich_help_panel=RUN_PANEL,
        help="auto (cuda if there is one, else cpu), cpu, cuda (all GPUs), cuda:N (one of them) or mps.",
    ),
]

DtypeOption = Annotated[
    Dtype,
    typer.Option(
        "--dtype",
        rich_help_panel=RUN_PANEL,
        help="Number format of the computation. tf32 (NVIDIA GPUs only) is faster than float32 and less exact.",
    ),
]
Attention = Annotated[AttentionKind, typer.Option(rich_help_panel=RUN_PANEL, help="How torch computes attention.")]
Engine = Annotated[
    EngineKind,
    typer.Option(
        rich_help_panel=RUN_PANEL,
        help="Library that runs the network. auto: the faster one, which is openvino on a CPU if it is installed, but "
        "torch for bfloat16 with AMX, and torch elsewhere.",
    ),
]
Compile = Annotated[
    bool,
    typer.Option(
        "--compile",
        rich_help_panel=RUN_PANEL,
        help="Compile the network with torch.compile first: minutes at the start, then faster.",
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        "-b",
        min=1,
        metavar="N",
        rich_help_panel=RUN_PANEL,
        help="Pictures per batch.",
        show_default="auto",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        rich_help_panel=RUN_PANEL,
        help="Cores that compute the network, on a CPU.",
        show_default="all that may be used",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        "-j",
        min=1,
        metavar="N",
        rich_help_panel=RUN_PANEL,
        help="Decoding threads.",
        show_default="auto",
    ),
]
MaxPixels = Annotated[
    int,
    typer.Option(
        min=1, metavar="N", rich_help_panel=RUN_PANEL, help="Refuse pictures of more pixels (width × height)."
    ),
]
FastJpeg = Annotated[
    bool,
    typer.Option(
        "--fast-jpeg",
        rich_help_panel=RUN_PANEL,
        help="Decode large JPEGs at reduced size: faster, with slightly different pixels.",
    ),
]
RawPreview = Annotated[
    bool,
    typer.Option(
        "--raw-preview",
        rich_help_panel=RUN_PANEL,
        help="Read the preview that a camera's raw file holds, made by the camera; otherwise raw files are errors.",
    ),
]
AllowTruncated = Annotated[
    bool,
    typer.Option(
        "--allow-truncated",
        rich_help_panel=RUN_PANEL,
        help="Read what is there of a picture that is cut off at its end; otherwise it is an error.",
    ),
]
Background = Annotated[
    str | None,
    typer.Option(
        metavar="COLOUR",
        rich_help_panel=RUN_PANEL,
        help="Lay transparent pictures on this colour (white, #rrggbb); otherwise transparency is dropped.",
        show_default=False,
    ),
]
Isolate = Annotated[
    bool,
    typer.Option(
        "--isolate",
        rich_help_panel=RUN_PANEL,
        help="Decode in processes of their own: a file that hangs or crashes its decoder is one error record.",
    ),
]
DecodeTimeout = Annotated[
    float,
    typer.Option(
        min=0.001,
        metavar="SECONDS",
        rich_help_panel=RUN_PANEL,
        help="With --isolate: give up on a picture that takes longer to decode.",
    ),
]


def _unless_stdout(output: Path | None) -> Path | None:
    return None if output == Path("-") else output


def file_to_write(text: str) -> Path:
    """The path of a file to write; a Path would not tell that the name was one of a folder."""
    if text.endswith(("/", os.sep)):
        raise typer.BadParameter(f"{text} names a folder. Give the name of a file, as {text}results.jsonl.")
    return Path(text)


Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        parser=file_to_write,
        callback=_unless_stdout,
        rich_help_panel=OUTPUT_PANEL,
        help="Write to this file; - is stdout.",
        show_default="stdout",
    ),
]
OutputFormat = Annotated[
    Format | None,
    typer.Option(
        "--format",
        "-f",
        case_sensitive=False,
        rich_help_panel=OUTPUT_PANEL,
        show_default="table on a terminal, else jsonl",
        help="How results are written.",
    ),
]
LabelFormatOption = Annotated[
    LabelFormat | None,
    typer.Option(
        "--format",
        "-f",
        case_sensitive=False,
        rich_help_panel=OUTPUT_PANEL,
        show_default="table on a terminal, else jsonl",
        help="How results are written. html is a page to look through, made of results that lie beside it as jsonl.",
    ),
]
TEXT_FORMATS = "<table|json|jsonl|csv|tsv>"


def no_parquet(chosen: Format | None) -> Format | None:
    """For what is no long list of pictures."""
    if chosen is Format.PARQUET:
        raise typer.BadParameter("'parquet' is not one of 'table', 'json', 'jsonl', 'csv', 'tsv'.")
    return chosen


TextFormat = Annotated[
    Format | None,
    typer.Option(
        "--format",
        "-f",
        case_sensitive=False,
        metavar=TEXT_FORMATS,
        callback=no_parquet,
        rich_help_panel=OUTPUT_PANEL,
        show_default="table on a terminal, else jsonl",
        help="How figures are written.",
    ),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        rich_help_panel=OUTPUT_PANEL,
        help="No progress, notices or errors of single pictures on stderr.",
    ),
]
NoProgress = Annotated[bool, typer.Option("--no-progress", rich_help_panel=OUTPUT_PANEL, help="No progress on stderr.")]
