"""One run of explanations from end to end: into a folder, onto a terminal, or as JSON lines to another program."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vithybrid_cli.choices import Activation, Graphics
from vithybrid_cli.explain.explained import Explained
from vithybrid_cli.output import Format, Writer
from vithybrid_cli.output.destination import is_file, opened
from vithybrid_cli.output.formats import prepare_stream
from vithybrid_cli.output.json_records import JsonLinesWriter
from vithybrid_cli.pipeline.batches import Batches
from vithybrid_cli.runs.explain.folder import explanations_in, require_apart, require_folder, versions
from vithybrid_cli.runs.explain.pictures import Asked, Explaining
from vithybrid_cli.runs.interrupts import Interrupts
from vithybrid_cli.runs.model import digests, image_size_of, read_checkpoint
from vithybrid_cli.runs.watch import Begin, Tally, Watch, tell_survey
from vithybrid_cli.runs.write import write_results
from vithybrid_cli.settings import Reading, Running, decisions
from vithybrid_cli.sources.inputs import Sources
from vithybrid_cli.sources.survey import Survey

if TYPE_CHECKING:
    from vithybrid_cli.output.pictures import PictureWriter, Shown


def explain_to(
    folder: Path | None, what: Reading, how: Running, asked: Asked, watch: Watch, graphics: Graphics = Graphics.AUTO
) -> Tally:
    """Explain the pictures of ``what`` with the network of ``how``, and write that to ``folder``, or else to stdout.

    On a terminal, or where ``graphics`` asks for a kind of picture, stdout gets maps over pictures beside their labels;
    otherwise JSON lines. Raises UsageError and ModelError for what is wrong before the first picture, or with the place
    to write to, and Interrupted (a KeyboardInterrupt) on SIGINT or SIGTERM, after the picture at hand.
    """
    sources = Sources.of(what, folder, offline=how.offline)
    sources.check()
    if folder is not None:
        require_folder(folder)
        require_apart(folder, (*what.inputs, *what.shards, *([str(what.files_from)] if what.files_from else [])))
    explaining = Explaining.open(read_checkpoint(how, watch), how, asked)
    survey, tally = Survey(), Tally()
    results = explaining.results(sources.items(survey), what, live=sources.live)
    opened_place = _on_stdout(explaining, graphics) if folder is None else _in(folder, explaining, what, how, watch)
    with closing(results), Interrupts() as interrupts, opened_place as place:
        begin = Begin(sources.counter(), visible=place.on_screen, alone=sources.single, apart=place.apart)
        until = interrupts.between(results, Batches(1))
        with watch.counting(begin) as progress:
            # On a screen what is wrong is shown in its place.
            write_results(until, place.writer, progress, tally, watch, strict=what.strict, visible=place.on_screen)
    tell_survey(survey, watch)
    return tally


@dataclass(frozen=True, slots=True)
class _Place:
    """An open ``writer``; ``on_screen``: people see its results at once; ``apart``: they go to a file."""

    writer: Writer[Explained]
    on_screen: bool = False
    apart: bool = True


@contextmanager
def _on_stdout(explaining: Explaining, graphics: Graphics) -> Iterator[_Place]:
    with opened(None, remedy="make room there") as stream:
        if not stream.isatty() and graphics in (Graphics.AUTO, Graphics.NONE):
            prepare_stream(Format.JSONL, stream)
            yield _Place(JsonLinesWriter(stream), apart=is_file(stream))
            return
        from vithybrid_cli.output.pictures import PictureWriter  # imports rich

        probable = explaining.activation is not Activation.NONE
        with _ForPeople(PictureWriter(stream, graphics, probabilities=probable)) as writer:
            yield _Place(writer, on_screen=stream.isatty(), apart=is_file(stream))


@dataclass(frozen=True, slots=True)
class _ForPeople(Writer[Explained]):
    """Hands on what is shown of each result."""

    writer: "PictureWriter"

    def write(self, result: Explained) -> None:
        self.writer.write(_shown(result))

    def close(self) -> None:
        self.writer.close()


def _shown(result: Explained) -> "Shown":
    from vithybrid_cli.explain.overlay import coarse
    from vithybrid_cli.output.pictures import Shown

    found = result.explanation
    if found is None:
        return Shown(result.labelled)
    map_of = partial(coarse, found.heat, found.seen.box_shown, found.seen.shown.size)
    return Shown(result.labelled, found.drawn(), map_of, found.label, found.against, str(found.heat.method))


@contextmanager
def _in(folder: Path, explaining: Explaining, what: Reading, how: Running, watch: Watch) -> Iterator[_Place]:
    name = f"{how.model} at {how.revision}" if how.revision else how.model
    method = str(explaining.explainer.method)
    facts = {
        "versions": versions(),
        "model": {"name": name, "sha256": digests(explaining.checkpoint)},
        "method": method,
        "options": _options(explaining, what, how),
    }
    probable = explaining.activation is not Activation.NONE
    with explanations_in(folder, f"{name} · {method}", watch, probabilities=probable) as writer:
        try:
            yield _Place(writer)
        except KeyboardInterrupt:
            so_far = f"interrupted after {watch.so_far()}"
            watch.say(f"{so_far}, which are in {folder}, without a manifest; the next run into it starts over")
            raise
        writer.finish(facts)
    watch.say(writer.said())


def _options(explaining: Explaining, what: Reading, how: Running) -> dict[str, Any]:
    """What was asked for, as far as it decides what the maps show; sizes of batches are left to each picture."""
    settings = decisions(how, what, what.decoding) | {"image_size": image_size_of(explaining.checkpoint)}
    return {**asdict(explaining.asked), **settings}
