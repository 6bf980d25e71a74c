"""``--resume`` and ``--update`` with members of archives: the file follows what the archives hold."""

import json
from pathlib import Path
from typing import Any

import pytest
from archive_files import COMPRESS, packed, picture, put
from fake_program import open_fake
from places import GOLDENS
from typer.testing import CliRunner

from vithybrid_cli.commands.app import app

every_kind = pytest.mark.parametrize("suffix", [".zip", ".tar", *COMPRESS])
A, B, C = (picture(value, side=4 + value) for value in (1, 2, 3))


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VITHYBRID_CACHE", str(tmp_path / ".cache"))
    monkeypatch.setattr("vithybrid_cli.runs.label.open_classifier", open_fake)


def run(*arguments: str) -> Any:
    model = ["-m", str(GOLDENS / "hf-hybrid-small"), "-b", "1"]
    return CliRunner().invoke(app, ["classify", *model, *arguments], catch_exceptions=False)


def update(*inputs: str) -> str:
    """Bring the file up to date, or make it; what is said of that last."""
    done = run(*inputs, "-o", "out.jsonl", "--update")
    assert done.exit_code in (0, 1), done.stderr
    return str(done.stderr.splitlines()[-1]) if done.stderr else ""


def results() -> dict[str, str | None]:
    """The type of the error of each result, by its path."""
    records = [json.loads(text) for text in Path("out.jsonl").read_text(encoding="utf-8").splitlines()]
    return {record["path"]: record.get("error", {}).get("type") for record in records}


def fresh(*inputs: str) -> bytes:
    run(*inputs, "-o", "fresh.jsonl")
    return Path("fresh.jsonl").read_bytes()


@every_kind
def test_new_replaced_and_lost_members_are_followed(suffix: str) -> None:
    place = put(f"p{suffix}", packed(suffix, [("a.png", A), ("b.png", B), ("x/c\n::.png", C)]))
    update(place)
    assert "nothing new" in update(place)
    put(place, packed(suffix, [("a.png", A), ("new.png", C), ("b.png", C)]))
    assert update(place) == "labelled 1 new, 1 changed; kept 1; dropped 1 that is no longer among the inputs"
    assert Path("out.jsonl").read_bytes() == fresh(place)
    assert "nothing new" in update(place)


@every_kind
def test_what_an_archive_held_that_is_gone_or_damaged_now_is_kept(suffix: str) -> None:
    content = packed(suffix, [("a.png", A), ("b.png", B)])
    place, other = put(f"d/p{suffix}", content), put("z.png", C)
    update(place, other)
    before = results()
    Path(place).unlink()
    update(place, other)
    assert results() == {place: "MissingFile", **before}
    put(place, b"\1" * 2000)
    update(place, other)
    assert results() == {place: "DamagedArchive", **before}
    put(place, content)
    assert "kept 3; dropped 1" in update(place, other)
    assert results() == before


@every_kind
def test_members_of_archives_in_a_folder_that_is_gone_are_kept(suffix: str) -> None:
    put(f"d/p{suffix}", packed(suffix, [("a.png", A)]))
    put("z.png", C)
    update("d", "z.png", "--archives")
    before = results()
    Path("d").rename("elsewhere")
    Path("d").mkdir()
    update("d", "z.png", "--archives")
    assert results() == before
    Path("elsewhere").rename("d/q")
    Path(f"d/q/p{suffix}").rename(f"d/p{suffix}")
    assert "nothing new" in update("d", "z.png", "--archives")


@every_kind
def test_a_damaged_archive_is_one_record_until_it_is_whole(suffix: str) -> None:
    content = packed(suffix, [("a.png", A), ("b.png", B)])
    place = put(f"p{suffix}", content[: min(len(content) // 2, 1100)])
    update(place)
    assert results()[place] == "DamagedArchive"
    update(place)
    assert results()[place] == "DamagedArchive"
    put(place, content)
    update(place)
    assert Path("out.jsonl").read_bytes() == fresh(place)


@every_kind
def test_a_run_that_was_cut_off_goes_on_within_an_archive(suffix: str) -> None:
    place = put(f"p{suffix}", packed(suffix, [(f"{number}.png", picture(number)) for number in range(9)]))
    whole = fresh(place)
    run(place, "-o", "out.jsonl")
    cut = whole.splitlines(keepends=True)[:4]
    Path("out.jsonl").write_bytes(b"".join(cut) + b'{"pa')
    done = run(place, "-o", "out.jsonl", "--resume")
    assert done.exit_code == 0, done.stderr
    assert Path("out.jsonl").read_bytes() == whole


def test_a_list_of_members_is_updated_one_by_one() -> None:
    place = put("p.tar.gz", packed(".tar.gz", [(f"{number}.png", picture(number)) for number in range(9)]))
    put("list", "".join(f"tar://{number}.png::{place}\n" for number in (1, 3, 8)).encode())
    update("--files-from", "list")
    assert list(results().values()) == [None] * 3
    put("list", "".join(f"tar://{number}.png::{place}\n" for number in (0, 3, 9)).encode())
    assert "labelled 1 new; kept 1; dropped 2" in update("--files-from", "list")
    assert list(results().values()) == [None, None, "MissingFile"]


def test_a_second_member_of_one_name_stays_a_record_while_nothing_changes() -> None:
    place = put("p.tar", packed(".tar", [("a.png", A), ("b.png", B), ("a.png", C)]))
    update(place)
    before = Path("out.jsonl").read_bytes()
    assert b"UnreadableMember" in before
    assert "nothing new" in update(place)
    assert Path("out.jsonl").read_bytes() == before == fresh(place)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("suffix", [".zip", ".tar"])
def test_a_second_member_of_a_name_stays_a_record_of_its_own(suffix: str) -> None:
    place = put(f"p{suffix}", packed(suffix, [("a.png", A), ("a.png", B), ("b.png", B)]))
    put("c.png", C)
    update(place)
    assert update(place, "c.png") == "labelled 1 new; kept 2; could not read 1"
    whole = fresh(place, "c.png")
    assert Path("out.jsonl").read_bytes() == whole
    assert update(place, "c.png").startswith("nothing new")
    assert Path("out.jsonl").read_bytes() == whole
    put(place, packed(suffix, [("b.png", B), ("b.png", B), ("a.png", picture(3, side=40)), ("a.png", A)]))
    update(place, "c.png")
    assert Path("out.jsonl").read_bytes() == fresh(place, "c.png")


def test_an_archive_that_is_none_any_more_is_told_as_a_run_tells_it() -> None:
    place = put("p.zip", packed(".zip", [("a.png", A)]))
    put("c.png", C)
    update(place, "c.png")
    for content in (b"", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"):
        put(place, content)
        update(place, "c.png")
        kept = Path("out.jsonl").read_bytes().splitlines()
        assert set(fresh(place, "c.png").splitlines()) <= set(kept)


def test_a_table_that_no_run_has_written_is_not_overwritten() -> None:
    import pyarrow.parquet

    put("photos/c.png", C)
    pyarrow.parquet.write_table(pyarrow.table({"image": [C, A]}), "photos/data.parquet")
    content = Path("photos/data.parquet").read_bytes()
    refused = run("photos", "-o", "photos/data.parquet")
    assert refused.exit_code == 2
    assert "photos/data.parquet is a table that vithybrid has not written" in refused.stderr
    assert Path("photos/data.parquet").read_bytes() == content
    assert run("photos", "-o", "photos/labels.parquet").exit_code == 0
    assert run("photos", "-o", "photos/labels.parquet").exit_code == 0


def test_a_run_that_goes_on_says_which_members_were_replaced_meanwhile() -> None:
    place = put("p.zip", packed(".zip", [("a.png", A), ("b.png", B), ("c.png", C)]))
    put("d.png", A)
    run("d.png", place, "-o", "out.jsonl")
    assert "replaced" not in run("d.png", place, "-o", "out.jsonl", "--resume").stderr
    put(place, packed(".zip", [("a.png", A), ("b.png", C), ("c.png", B)]))
    said = run("d.png", place, "-o", "out.jsonl", "--resume").stderr
    assert "2 members or rows of the inputs were replaced since; --update labels them anew" in said
