"""Archives through the commands and the Python interface: the records of members are those of the same files."""

import json
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from archive_files import COMPRESS, packed, picture, put, tar
from places import GOLDENS
from typer.testing import CliRunner

from vithybrid_cli import Classifier, Embedder, UsageError, find_pictures
from vithybrid_cli.commands.app import app
from vithybrid_cli.sources.inputs import Sources

MODEL = str(GOLDENS / "hf-hybrid-small")
every_kind = pytest.mark.parametrize("suffix", [".zip", ".tar", *COMPRESS])
PICTURES = {f"{number}.png": picture(40 * number, side=30 + number) for number in range(5)}


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def classifier() -> Iterator[Classifier]:
    """The small network on the CPU."""
    with Classifier.from_pretrained(MODEL, device="cpu") as opened:
        yield opened


def run(*arguments: str, command: str = "classify", stdin: bytes | None = None) -> Any:
    """Run a command in this process; the result has exit_code, stdout and stderr."""
    options = ["-m", MODEL, "--device", "cpu"]
    return CliRunner().invoke(app, [command, *arguments, *options], input=stdin, catch_exceptions=False)


def records(stdout: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stdout.splitlines()]


def test_members_have_the_labels_of_the_same_files() -> None:
    for name, content in PICTURES.items():
        put(f"files/{name}", content)
    expected = [record["predictions"] for record in records(run("files", "-f", "jsonl").stdout)]
    for suffix in (".zip", ".tar", *COMPRESS):
        place = put(f"p{suffix}", packed(suffix, list(PICTURES.items())))
        done = run(place, "-f", "jsonl")
        scheme = "zip" if suffix == ".zip" else "tar"
        assert [record["path"] for record in records(done.stdout)] == [
            f"{scheme}://{name}::{place}" for name in PICTURES
        ]
        assert [record["predictions"] for record in records(done.stdout)] == expected
        assert (done.exit_code, done.stderr) == (0, "")


@every_kind
def test_a_damaged_archive_ends_with_its_own_record_and_the_run_goes_on(suffix: str) -> None:
    content = packed(suffix, [*PICTURES.items(), ("../a.png", picture())])
    place = put(f"p{suffix}", content[: min(len(content) * 9 // 10, 5000)])
    put("z.png", picture())
    done = run(place, "z.png", "-f", "jsonl", "--no-progress")
    found = records(done.stdout)
    assert found[-2]["path"] == place
    assert found[-2]["error"]["type"] == "DamagedArchive"
    assert "predictions" in found[-1]
    assert done.exit_code == 1
    assert len(done.stderr.splitlines()) == sum("error" in record for record in found)


def test_names_of_members_in_a_list_and_as_arguments_are_pictures() -> None:
    place = put("p.zip", packed(".zip", [("a\nb.png", picture()), ("c.png", picture())]))
    names = [f"zip://a\nb.png::{place}", f"zip://c.png::{place}", f"zip://gone.png::{place}"]
    done = run("-", "-0", "-f", "jsonl", stdin="\0".join(names).encode())
    assert [record["path"] for record in records(done.stdout)] == names
    assert [record.get("error", {}).get("type") for record in records(done.stdout)] == [None, None, "MissingFile"]
    assert run(*names, "-f", "jsonl").stdout == done.stdout


def test_a_list_may_name_archives() -> None:
    place = put("p.tar.xz", packed(".tar.xz", list(PICTURES.items())))
    done = run("-", "-f", "jsonl", stdin=f"{place}\n".encode())
    assert [record["path"] for record in records(done.stdout)] == [f"tar://{name}::{place}" for name in PICTURES]


def test_what_folders_leave_out_names_the_option_that_reads_it() -> None:
    put("d/p.tar.gz", packed(".tar.gz", list(PICTURES.items())))
    put("d/a.png", picture())
    assert run("d").stderr == "left out: 1 .tar.gz; --archives reads what archives and tables hold\n"
    done = run("d", "--archives", "-f", "jsonl")
    assert (len(records(done.stdout)), done.stderr) == (6, "")


def test_shards_are_archives_alone_and_others_are_one_line() -> None:
    put("s-0.tar", tar(PICTURES.items()))
    done = run("--shards", "s-{0..1}.tar", "-f", "jsonl")
    assert [record.get("error", {}).get("type") for record in records(done.stdout)] == [None] * 5 + ["MissingFile"]
    done = run("--shards", "a.png")
    assert (done.exit_code, done.stdout) == (2, "")
    assert (
        done.stderr == "vithybrid: a.png is no archive by its name. Give --shards archives alone, and it as an input.\n"
    )


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz"])
def test_members_are_decoded_in_processes_too(suffix: str) -> None:
    place = put(f"p{suffix}", packed(suffix, [*PICTURES.items(), ("bad.png", b"x" * 99), ("a/../b.png", b"")]))
    plain, apart = (run(place, "-f", "jsonl", *options) for options in ([], ["--isolate"]))
    assert apart.stdout == plain.stdout
    assert apart.exit_code == plain.exit_code == 1


def test_a_limit_of_bytes_is_an_option() -> None:
    place = put("p.tar", tar([("a.png", bytes(2000)), ("b.png", picture())]))
    (large, _) = records(run(place, "--max-bytes", "1000", "-f", "jsonl").stdout)
    assert large["error"] == {
        "type": "FileTooLarge",
        "message": "The member has more than 1000 bytes. If you trust the archive, set --max-bytes above 1000.",
    }


def test_python_classifies_members_by_name_and_whole_archives(classifier: Classifier) -> None:
    place = put("p.tar.gz", packed(".tar.gz", list(PICTURES.items())))
    names = [f"tar://{name}::{place}" for name in PICTURES]
    by_name = list(classifier.classify(names))
    assert [result.path for result in by_name] == names
    assert not any(result.error for result in by_name)
    assert list(classifier.classify(find_pictures(place))) == by_name
    assert list(classifier.classify(find_pictures(".", archives=True))) != []
    assert type(next(classifier.classify(place)).error).__name__ == "NotAFile"
    with pytest.raises(UsageError):
        find_pictures()


def test_python_embeds_members() -> None:
    place = put("p.zip", packed(".zip", list(PICTURES.items())))
    with Embedder.from_pretrained(MODEL, device="cpu") as embedder:
        assert len(list(embedder.embed(find_pictures(place)))) == len(PICTURES)
    assert len(records(run(place, command="embed").stdout)) == len(PICTURES)


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
def test_memory_hardly_grows_with_the_number_of_members(suffix: str) -> None:
    place = put(f"p{suffix}", packed(suffix, [(f"d{number // 100}/{number}.png", b"x") for number in range(20_000)]))
    next(Sources((place,)).items())
    tracemalloc.start()
    count = sum(1 for _ in Sources((place,)).items())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 20_000
    assert peak < 3 * 2**20  # zipfile and tarfile keep 10 MB and more


def test_help_pays_for_no_archive() -> None:
    script = (
        "import sys; from vithybrid_cli.commands.app import app\n"
        "try:\n    app(['classify', '--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'vithybrid_cli.sources.archives.file'} & sys.modules.keys()),"
        " file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "vithybrid_cli.sources.archives.file" not in done.stderr
