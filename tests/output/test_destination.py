"""Where results go: what is refused before a run, and what is said when the place fails in its midst."""

import errno
import io
import os
import sys
from pathlib import Path

import pytest

from vithybrid_cli.errors import UsageError
from vithybrid_cli.output import Format
from vithybrid_cli.output.destination import format_of, format_of_file, is_plain_file, opened, require_writable

not_root = pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")


def test_what_a_file_held_goes_but_for_what_is_to_stay(tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    file.write_text("kept\ngone\n", encoding="utf-8")
    with opened(file, keep=5) as stream:
        stream.write("new\n")
    assert file.read_text(encoding="utf-8") == "kept\nnew\n"
    with opened(file):
        pass
    assert file.read_bytes() == b""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")
def test_a_file_that_another_run_writes_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    with opened(file) as stream:
        stream.write("first\n")
        stream.flush()
        with pytest.raises(UsageError) as caught, opened(file):
            pass
    assert caught.value.cause == f"Another run is writing {file}."
    assert caught.value.remedy == "Wait until it has ended, or give another {output}."
    assert file.read_text(encoding="utf-8") == "first\n"


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        pytest.param(".", "Cannot write to {}: Is a directory.", id="a folder"),
        pytest.param("file/below", "Cannot write to {}: there is no folder {parent}.", id="below a file"),
        pytest.param("no/out.csv", "Cannot write to {}: there is no folder {parent}.", id="in no folder"),
        pytest.param("a" * 300, "Cannot write to {}: File name too long.", id="too long a name"),
        pytest.param("locked/out.csv", "Cannot write to {}: Permission denied.", id="locked folder", marks=not_root),
        pytest.param("read-only", "Cannot write to {}: Permission denied.", id="read-only file", marks=not_root),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_with_the_reason(tmp_path: Path, name: str, cause: str) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    (tmp_path / "locked").mkdir(mode=0o555)
    (tmp_path / "read-only").touch(mode=0o444)
    output = tmp_path / name
    with pytest.raises(UsageError) as caught:
        require_writable(output)
    assert caught.value.cause == cause.format(output, parent=output.parent)
    with pytest.raises(UsageError), opened(output):
        pass


def test_asking_whether_a_file_can_be_written_neither_makes_nor_empties_it(tmp_path: Path) -> None:
    require_writable(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").write_text("kept", encoding="utf-8")
    require_writable(tmp_path / "old")
    assert (tmp_path / "old").read_text(encoding="utf-8") == "kept"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG])
def test_a_disk_that_fills_up_is_an_error_with_the_callers_remedy(tmp_path: Path, number: int) -> None:
    def write_until_the_disk_is_full() -> None:
        with opened(file, remedy="make room") as stream:
            stream.write("so far\n")
            raise OSError(number, os.strerror(number))

    file = tmp_path / "out"
    with pytest.raises(UsageError) as caught:
        write_until_the_disk_is_full()
    assert str(caught.value) == f"Cannot write to {file}: {os.strerror(number)}. What was written stays; make room."
    assert file.read_text(encoding="utf-8") == "so far\n"


def test_another_error_while_the_file_is_open_is_the_callers() -> None:
    with pytest.raises(BrokenPipeError), opened(None):
        raise BrokenPipeError


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("o.csv", Format.CSV, id="suffix"),
        pytest.param("o.TSV", Format.TSV, id="capitals"),
        pytest.param("o.ndjson", Format.JSONL, id="other name"),
        pytest.param("2024-05-01", Format.JSONL, id="date"),
        pytest.param("/dev/null", Format.JSONL, id="device"),
        pytest.param("/dev/fd/3.old", Format.JSONL, id="descriptor"),
        pytest.param("o", Format.JSONL, id="no suffix"),
    ],
)
def test_the_suffix_of_the_file_decides_the_format(name: str, expected: Format) -> None:
    assert format_of(Path(name), io.StringIO()) == format_of_file(Path(name)) == expected


@pytest.mark.parametrize(
    ("name", "says"),
    [
        pytest.param("o.txt", "Results are written as json, jsonl, csv, tsv or parquet, and not as txt.", id="text"),
        pytest.param("o.XLSX", "and not as XLSX.", id="capitals"),
        pytest.param("o.csv.bak", "and not as bak.", id="the last suffix counts"),
        pytest.param("o.table", "and not as table.", id="a format for people"),
        pytest.param("o.{x}\x1b", "and not as {x}\\x1b.", id="odd letters"),
        pytest.param("o.csv.gz", "not compressed, as the name o.csv.gz says. Leave out .gz", id="compressed"),
    ],
)
def test_a_suffix_that_is_no_format_is_wrong_usage(name: str, says: str) -> None:
    with pytest.raises(UsageError) as raised:
        format_of_file(Path(name))
    assert says in str(raised.value)
    with pytest.raises(UsageError):
        format_of(Path(name), io.StringIO())


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/null", "/proc/self/fd/1"])
def test_devices_and_names_of_stdout_are_no_plain_files(name: str) -> None:
    assert is_plain_file(Path(name)) is False


def test_a_file_that_is_yet_to_be_made_is_a_plain_one_and_a_pipe_is_not(tmp_path: Path) -> None:
    assert is_plain_file(tmp_path / "new") is True
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert is_plain_file(tmp_path / "pipe") is False
