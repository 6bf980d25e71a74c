"""A run is a function: what it reads, how it runs the network, and where it writes are its arguments."""

import json
from pathlib import Path

import pytest
from places import GOLDENS

from vithybrid_cli.errors import ModelError, UsageError
from vithybrid_cli.results import Outcome
from vithybrid_cli.runs.label import label
from vithybrid_cli.runs.watch import Silent, Tally
from vithybrid_cli.settings import Reading, Running, Writing

MODEL = Running(model=str(GOLDENS / "hf-hybrid-small"))
INPUTS = Reading(inputs=(".",))


class Noting(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.counted: list[bool] = []

    def advance(self, *, failed: bool = False) -> None:
        self.counted.append(failed)

    def failure(self, result: Outcome) -> None:
        self.lines.append(result.path)

    def say(self, line: str) -> None:
        self.lines.append(line)


def test_a_run_writes_a_record_for_each_input_and_says_how_many_failed(pictures: Path) -> None:
    watch = Noting()
    tally = label(INPUTS, MODEL, Writing(output=pictures / "out.jsonl", top_k=2), watch)
    records = [json.loads(line) for line in (pictures / "out.jsonl").read_text().splitlines()]
    assert tally == Tally(done=4, failed=1)
    assert watch.counted == [False, False, True, False]
    assert watch.lines == ["./1a.png"]  # the results, their stamps and their record are not left out
    assert ["error" in record for record in records] == [False, False, True, False]
    assert [len(record.get("predictions", "")) for record in records] == [2, 2, 0, 2]


def test_a_run_goes_on_with_an_earlier_one_and_its_tally(pictures: Path) -> None:
    where = Writing(output=pictures / "out.jsonl", resume=True)
    assert label(INPUTS, MODEL, where, Silent()) == Tally(done=4, failed=1)
    whole = (pictures / "out.jsonl").read_bytes()
    (pictures / "out.jsonl").write_bytes(whole[: len(whole) // 2])
    assert label(INPUTS, MODEL, where, Silent()) == Tally(done=4, failed=1)
    assert (pictures / "out.jsonl").read_bytes() == whole
    watch = Noting()
    assert label(INPUTS, MODEL, where, watch) == Tally(done=4, failed=1)
    assert (watch.counted, watch.lines) == ([], [f"{pictures / 'out.jsonl'} has the results of all 4 inputs"])


def test_what_is_wrong_is_raised_as_an_error_of_the_package(pictures: Path) -> None:
    with pytest.raises(UsageError, match="no inputs"):
        label(Reading(), MODEL, Writing(), Silent())
    with pytest.raises(ModelError, match="such-model"):
        label(INPUTS, Running(model="./no-such-model"), Writing(), Silent())
    with pytest.raises(UsageError, match="earlier run"):
        label(INPUTS, MODEL, Writing(resume=True), Silent())
