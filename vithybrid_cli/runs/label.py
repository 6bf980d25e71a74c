"""Pictures become labels in a file or on stdout: one run, which may go on with an earlier one, from end to end."""

import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vithybrid_cli.choices import Activation
from vithybrid_cli.errors import UsageError
from vithybrid_cli.output import Format, open_writer, visible
from vithybrid_cli.output.destination import FILE_FORMATS, format_of_file, is_plain_file, opened, require_writable
from vithybrid_cli.output.formats import LabelFormat
from vithybrid_cli.pipeline.batches import Batches
from vithybrid_cli.runs.beside import files_beside
from vithybrid_cli.runs.interrupts import Interrupts
from vithybrid_cli.runs.model import recorded_checkpoint, require_apart_from_model
from vithybrid_cli.runs.parquet import require_parquet_place
from vithybrid_cli.runs.place import open_place
from vithybrid_cli.runs.record import RunRecord, is_begun, open_record
from vithybrid_cli.runs.resume import ResumePoint, resume_point, tell_replaced
from vithybrid_cli.runs.stamps import Stamped
from vithybrid_cli.runs.update import Update
from vithybrid_cli.runs.watch import Begin, Tally, Watch, tell_survey
from vithybrid_cli.runs.write import all_there_in, noted, write_results
from vithybrid_cli.settings import Reading, Running, Writing, decisions
from vithybrid_cli.sources.inputs import Sources
from vithybrid_cli.sources.survey import Survey

if TYPE_CHECKING:
    from vithybrid_cli.checkpoints.checkpoint import Checkpoint
    from vithybrid_cli.engines import Engine
    from vithybrid_cli.pipeline.classifier import Classifier


_LONGEST_NAME = 255  # bytes, on nearly every file system
_SHOWN = 40  # characters of a name that is too long


def label(what: Reading, how: Running, where: Writing, watch: Watch) -> Tally:
    """Label all pictures of ``what`` with the network of ``how``, and write the results to ``where``.

    A picture that cannot be read is a result with an error, which `Watch.failure` is told of. Raises UsageError and
    ModelError for what is wrong before the first picture, or with the place to write to, and Interrupted (a
    KeyboardInterrupt) on SIGINT or SIGTERM, after the results of the batch at hand are written.
    """
    sources = Sources.of(what, where.output, offline=how.offline)
    sources.check()
    asked = _asked(where)
    _require_places(sources, where)
    record = open_record(where.output, _file_format(where), asked)
    record.settle(**decided(what, how, where))
    checkpoint = recorded_checkpoint(how, record, watch)
    require_apart_from_model(where.output, checkpoint)

    def opened_classifier() -> "Classifier":
        return _settled_classifier(checkpoint, record, how, where)

    if where.update and record.earlier is not None and record.output is not None:
        return Update(
            record.output, record.earlier, record, sources, checkpoint, opened_classifier, what, where, watch
        ).run()
    survey = Survey()
    start = resume_point(record, sources.items(survey), strict=what.strict)
    tell_replaced(start, watch)
    if start.complete:
        tally = _finish(record, start, watch)
        tell_survey(survey, watch)
        return tally
    classifier = opened_classifier()
    if record.earlier is None or sources.live:
        record.note(live=sources.live)
    tally = _label(classifier, sources, start, record, what, where, watch)
    tell_survey(survey, watch)
    return tally


def _asked(where: Writing) -> str | None:
    """The option that asks to go on with an earlier run. Raises UsageError for two of them."""
    if where.update and where.resume:
        remedy = "Give {resume} for one that was broken off, or {update} for pictures that are new."
        raise UsageError("A run is either resumed or updated.", remedy)
    return "update" if where.update else "resume" if where.resume else None


def _require_places(sources: Sources, where: Writing) -> None:
    """Raise UsageError if what is to be written cannot be, or is an input."""
    if not (where.update and is_begun(where.output)):  # else there may be nothing to write: `Update` looks later
        require_writable(where.output)
    if _file_format(where) is Format.PARQUET:
        require_parquet_place(where.output)
    if where.output is not None:
        _require_room_for_names(where.output)
    if where.resume or where.output is None:  # which keeps what is there
        return
    for file in (where.output, *files_beside(where.output)):
        sources.require_apart(file)


def _require_room_for_names(output: Path) -> None:
    """Raise UsageError if what a run keeps beside its file would have a name that is too long for one."""
    longest = max((file.name for file in files_beside(output)), key=lambda name: len(os.fsencode(name)))
    if is_plain_file(output) and len(os.fsencode(longest)) > _LONGEST_NAME:
        cause = f"The name {visible(output.name[:_SHOWN])}… is too long: a run keeps files beside it with longer ones."
        raise UsageError(cause, "Give a shorter {output}.")


def _settled_classifier(checkpoint: "Checkpoint", record: RunRecord, how: Running, where: Writing) -> "Classifier":
    """The classifier of a run, whose settings are those of an earlier one if there is any. Raises UsageError."""
    from vithybrid_cli.pipeline.classifier import require_choice, require_head

    require_head(checkpoint, how.model)
    require_choice(*where.choice, checkpoint.activation, checkpoint.config.labels)
    earlier = record.earlier
    if earlier is not None:
        how = replace(how, batch_size=earlier.batch_size)
    classifier = open_classifier(checkpoint, how, None if earlier is None else earlier.batch_limit)
    record.settle(**found(classifier, where))
    return classifier


def open_classifier(checkpoint: "Checkpoint", how: Running, batch_limit: int | None = None) -> "Classifier":
    """What `Classifier.open` gives; imported late, since ``vithybrid --help`` must not pay for NumPy and Pillow."""
    from vithybrid_cli.pipeline.classifier import Classifier

    return Classifier.open(checkpoint, how, batch_limit)


def _label(
    classifier: "Classifier",
    sources: Sources,
    start: ResumePoint,
    record: RunRecord,
    what: Reading,
    where: Writing,
    watch: Watch,
) -> Tally:
    """What is left to label, into what is there already."""
    engine, stamped = classifier.engine, Stamped()
    outputs = classifier.outputs(stamped.items(start.items), what, live=sources.live)
    results = (classifier.result(path, output, *where.choice) for path, output in outputs)
    tally = Tally(start.done, start.failed)
    probable = classifier.activation_for(where.activation) is not Activation.NONE
    opened_place = open_place(start, record, stamped, where, watch, single=sources.single, probabilities=probable)
    with closing(outputs), Interrupts() as interrupts, opened_place as place:
        begin = Begin(sources.counter(), start.done, start.failed, place.on_screen, sources.single, place.apart)
        until = interrupts.between(noted(results, engine, record), Batches(1 if sources.live else engine.batch_size))
        with watch.counting(begin) as progress:
            # A table shows what is wrong in its place.
            write_results(until, place.writer, progress, tally, watch, strict=what.strict, visible=place.on_screen)
    return tally


def decided(what: Reading, how: Running, where: Writing) -> dict[str, object]:
    """The settings that decide results and are known before the model is, as the record of a run has them."""
    settings = decisions(where, how, what, what.decoding)
    settings.pop("image_size", None)  # known once the model is: it may be the model's own
    settings.pop("threads", None)  # in the engine's environment, where they decide digits: on a CPU
    if "device" in settings:
        settings["device"] = settings["device"].split(":")[0]  # which of several alike computes does not matter
    return settings


def found(classifier: "Classifier", where: Writing) -> dict[str, object]:
    """The settings that were left to the machine, as it has chosen, and what of it decides the last digits."""
    return {"activation": str(classifier.activation_for(where.activation)), **computed_by(classifier.engine)}


def computed_by(engine: "Engine") -> dict[str, object]:
    """What of the machine and the libraries decides the last digits, as the record of a run has it."""
    import PIL

    environment = {"Pillow": PIL.__version__, **engine.environment}
    return {
        "engine": engine.name,
        "device": engine.device_type,
        "batch_size": engine.batch_size,
        "environment": environment,
    }


def _file_format(where: Writing) -> Format:
    # A page, which is the rest of what can be written, is made of results: `runs.page`.
    return Format(where.format) if where.format else format_of_file(where.output, (*FILE_FORMATS, LabelFormat.HTML))


def _finish(record: RunRecord, start: ResumePoint, watch: Watch) -> Tally:
    """Write what is missing after the last result, which is no more than the end of the format."""
    if not start.closed:
        with opened(record.output, keep=start.end) as stream:
            open_writer(record.output_format, stream, continued=True).close()
    watch.say(all_there_in(record.output, start.done))
    return Tally(start.done, start.failed)
