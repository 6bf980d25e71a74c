"""A file of labels follows its pictures: what it knows is kept, new and changed pictures are labelled, others dropped.

What is computed is in a journal at once, and in the file at the end, which is written whole. New pictures share batches
with each other, and not with those that were there before: so the last digits of a score may differ from those that one
run over all of them gives, as they may for a list on stdin that pauses.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from vithybrid_cli import atomic
from vithybrid_cli.errors import ImageError, UsageError, option
from vithybrid_cli.items import ANOTHERS, Stamp
from vithybrid_cli.output import Writer, open_text_writer
from vithybrid_cli.output.destination import DISK_ERRORS, held, require_writable, unwritable
from vithybrid_cli.output.read_back import DamagedOutput
from vithybrid_cli.pipeline.batches import Batches
from vithybrid_cli.results import ImageResult
from vithybrid_cli.runs.interrupts import Interrupts, sigterm_raised
from vithybrid_cli.runs.journal import Journal, journal_file
from vithybrid_cli.runs.known import Known
from vithybrid_cli.runs.plan import Done, Plan
from vithybrid_cli.runs.record import EarlierRun, RunRecord
from vithybrid_cli.runs.stamps import Stamped, crc, stamp_file, stamp_line
from vithybrid_cli.runs.watch import Begin, Tally, Watch, tell_survey
from vithybrid_cli.runs.write import all_there_in, noted, write_results
from vithybrid_cli.settings import Reading, Writing
from vithybrid_cli.sources.inputs import Sources
from vithybrid_cli.sources.pattern import is_pattern
from vithybrid_cli.sources.survey import Survey

if TYPE_CHECKING:
    from vithybrid_cli.checkpoints.checkpoint import Checkpoint
    from vithybrid_cli.pipeline.classifier import Classifier

ROOM = "What was computed stays; make room and go on with {update}."


@dataclass(frozen=True, slots=True)
class Update:
    """One run that brings the file ``output`` of an ``earlier`` one up to date.

    ``opened`` loads the network of the ``checkpoint``, which happens only if there is a picture to label.
    """

    output: Path
    earlier: EarlierRun
    record: RunRecord
    sources: Sources
    checkpoint: "Checkpoint"
    opened: "Callable[[], Classifier]"
    what: Reading
    where: Writing
    watch: Watch
    done: Done = field(default_factory=Done)

    def run(self) -> Tally:
        """Do it, and say what was done. A list on a pipe is taken to its end first.

        Raises UsageError for a damaged file, for one that would lose all its results, and where writing fails;
        Interrupted once what was computed is in the file.
        """
        survey = Survey()
        with held(self.output):
            plan = self._planned(survey)
            if plan.known.unstamped:
                self.watch.say(_unstamped(plan.known.unstamped))
            if plan.unasked:
                results = "1 result" if plan.unasked == 1 else f"{plan.unasked:,} results"
                self.watch.say(f"{results} of addresses kept; whether they have changed there is not asked")
            for text, count in plan.emptied:
                if count:
                    self.watch.say(_emptied(text, count))
            if plan.to_label or not plan.is_written:
                self._require_writable()
            try:
                self._compute(plan)
            except KeyboardInterrupt:
                if self.done.labelled:
                    self._write(plan)
                    goes_on = f"{option('update')} goes on from there"
                    self.watch.say(f"interrupted after {self.watch.so_far()}, which are in {self.output}; {goes_on}")
                raise
            unchanged = plan.is_written
            self._write(plan)
        tell_survey(survey, self.watch)
        tally = _tally(plan)
        failed = f", of which {tally.failed:,} could not be read" if tally.failed else ""
        all_there = f"nothing new: {all_there_in(self.output, len(plan.order))}{failed}"
        self.watch.say(all_there if unchanged else plan.summary(self.done))
        return tally

    def _planned(self, survey: Survey) -> Plan:
        try:
            known = Known.read(self.output, self.earlier)
        except DamagedOutput as error:
            raise UsageError(f"{self.output} is damaged: {error}.", f"Mend it, {self.record.start_over}.") from error
        except OSError as error:
            cause = f"{error.filename or self.output} cannot be read: {error.strerror or error}."
            raise UsageError(cause, f"Make it readable, {self.record.start_over}.") from error
        plan = Plan.of(known, self.sources.items(survey), survey.emptied, strict=self.what.strict)
        if not plan.reached and known.has_labels():  # the disk may not be there
            raise UsageError(
                f"Nothing was found to read, so {self.output} would lose all its results.",
                f"Look whether the inputs are where they were, {self.record.start_over}.",
            )
        if plan.is_of_other_inputs and known.has_labels():
            lost = "its only result" if plan.dropped == 1 else f"all its {plan.dropped:,} results"
            raise UsageError(
                f"None of the inputs is in {self.output}, so it would lose {lost}.",
                f"Give the inputs of the first run and what is new, {self.record.start_over}.",
            )
        return plan

    def _compute(self, plan: Plan) -> None:
        """Label what is to be labelled, into the journal."""
        stamped = Stamped()
        with self._journal() as journal, plan.known.texts() as texts:
            writer = _JournalWriter(plan.known, journal, stamped, texts, self.done)
            for number, failure in plan.failures.items():
                result = ImageResult(failure.name, error=failure.error)
                writer.keep(number, result, failure.stamp())
                self.watch.failure(result)
            paths = [*plan.to_label, *self._readable_again(plan, stamped, writer)]
            if paths:
                self._require_writable()
                self._label(paths, stamped, writer)

    def _require_writable(self) -> None:
        """Raise UsageError, before anything is computed, if what is computed could not be written."""
        require_writable(self.output)
        require_writable(journal_file(self.output))

    def _readable_again(self, plan: Plan, stamped: Stamped, writer: Writer[ImageResult]) -> list[str]:
        """Which of the files that had an error can be read now; the others keep it, and no network is loaded."""
        if not plan.to_retry:
            return []
        from vithybrid_cli.runs.reader import open_reader  # imports NumPy and Pillow

        readable = []
        reader = open_reader(self.checkpoint)
        with closing(
            reader.outputs(stamped.items(map(self.sources.named().item, plan.to_retry)), self.what)
        ) as outputs:
            for path, output in outputs:
                if isinstance(output, ImageError):
                    writer.write(result := ImageResult(path, error=output))
                    self.watch.failure(result)
                else:
                    stamped.next()
                    readable.append(path)
        return readable

    def _label(self, paths: list[str], stamped: Stamped, writer: Writer[ImageResult]) -> None:
        classifier = self.opened()
        engine, where = classifier.engine, self.where
        outputs = classifier.outputs(stamped.items(map(self.sources.named().item, paths)), self.what)
        results = (classifier.result(path, output, *where.choice) for path, output in outputs)
        begin = Begin(lambda: len(paths), alone=self.sources.single)
        with closing(outputs), Interrupts() as interrupts, self.watch.counting(begin) as progress:
            until = interrupts.between(noted(results, engine, self.record), Batches(engine.batch_size))
            write_results(until, writer, progress, Tally(), self.watch, strict=self.what.strict)

    @contextmanager
    def _journal(self) -> Iterator[Journal]:
        try:
            with Journal(self.output, self.earlier) as journal:
                yield journal
        except OSError as error:
            if error.errno not in DISK_ERRORS:
                raise
            raise unwritable(journal_file(self.output), error, ROOM) from error

    def _write(self, plan: Plan) -> None:
        """Put the file in its new order, with its stamps; then the journal has nothing more."""
        try:
            with sigterm_raised():
                if not plan.is_written:
                    self.record.note(updated=True)
                    _rewrite(plan)
                if os.path.lexists(journal := journal_file(self.output)):
                    journal.unlink(missing_ok=True)
        except OSError as error:
            raise unwritable(self.output, error, ROOM) from error


class _JournalWriter(Writer[ImageResult]):
    """Writes results to the journal, counts them as ``done``, and makes them known."""

    def __init__(
        self, known: Known, journal: Journal, stamped: Stamped, texts: Callable[[int], str], done: Done
    ) -> None:
        self._known, self._journal, self._stamped, self._texts, self._done = known, journal, stamped, texts, done
        self._format = open_text_writer(known.earlier.output_format, StringIO(), continued=True)

    def write(self, result: ImageResult) -> None:
        """Keep all that is known about one picture."""
        self.keep(self._known.number(result.path), result, self._stamped.next())

    def keep(self, number: int, result: ImageResult, stamp: Stamp) -> None:
        """Keep the result of this number."""
        known, text = self._known, self._format.text(result)
        self._done.add(known.state(number, stamp), failed=result.error is not None)
        if known.has_result(number) and self._texts(number) == text:
            if stamp != ANOTHERS:
                known.confirm(number, stamp)
        else:
            error = None if result.error is None else type(result.error).__name__
            known.add(self._journal.add(known.key(number), stamp, text, error))

    def close(self) -> None:
        """Nothing ends a journal."""


def _rewrite(plan: Plan) -> None:
    """The file first: until the stamps follow, the journal still has what they lack."""
    known = plan.known
    output = known.output.resolve()  # a link stays one
    with (
        atomic.replacing(stamp_file(known.output)) as stamps_part,
        atomic.replacing(output, output.stat().st_mode) as part,
        known.texts() as texts,
        stamps_part.open("wb") as stamps,
        part.open("w", encoding="utf-8", newline="") as stream,
        open_text_writer(known.earlier.output_format, stream) as writer,
    ):
        for number in plan.order:
            if known.has_result(number):
                writer.put(text := texts(number))
                if (stamp := known.stamp(number)) and stamp != ANOTHERS:
                    stamps.write(stamp_line(known.path(number), stamp, crc(text.encode())))


def _tally(plan: Plan) -> Tally:
    known, there = plan.known, [number for number in plan.order if plan.known.has_result(number)]
    return Tally(len(there), sum(known.failed(number) for number in there))


def _emptied(text: str, count: int) -> str:
    results, them = ("1 result is", "it") if count == 1 else (f"{count:,} results are", "them")
    what = "matches" if is_pattern(text) else "holds"
    return f"{text} {what} no pictures now, so its {results} kept; leave it out of the inputs to drop {them}"


def _unstamped(count: int) -> str:
    pictures = "1 picture" if count == 1 else f"{count:,} pictures"
    return f"size and time of {pictures} were not kept, so one that was replaced before now is not noticed"
