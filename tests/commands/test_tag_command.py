"""The contract of ``vithybrid tag``: which sidecar, what is left alone and said, and how a run ends."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sidecar_styles import DIGIKAM_STYLE, STYLES
from typer.testing import CliRunner

from vithybrid_cli.actions import xmp_files
from vithybrid_cli.actions.xmp_edit import is_tagged, untagged
from vithybrid_cli.actions.xmp_memory import PROPERTIES, values
from vithybrid_cli.actions.xmp_structure import read
from vithybrid_cli.commands.app import app

AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def run(*arguments: str) -> Any:
    """Run tag in this process; the result has exit_code, stdout and stderr."""
    return CliRunner().invoke(app, ["tag", *arguments], catch_exceptions=False)


def record(path: str, *labels: str) -> dict[str, Any]:
    """A result whose first label has the score 0.9, and each after it a third of that before."""
    found = [{"index": n, "label": label, "score": round(0.9 / 3**n, 6)} for n, label in enumerate(labels)]
    return {"path": path, "predictions": found}


def write_results(*records: dict[str, Any]) -> None:
    Path("labels.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")


def picture(path: str) -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"\xff\xd8\xff" + os.fsencode(path))
    return file


def subjects(sidecar: str) -> list[str]:
    return values(read(Path(sidecar).read_bytes()), PROPERTIES[0].name)


def paths(sidecar: str) -> list[str]:
    return values(read(Path(sidecar).read_bytes()), PROPERTIES[1].name)


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: two pictures and their labels."""
    monkeypatch.chdir(tmp_path)
    picture("p/a.jpg")
    picture("p/b.jpg")
    write_results(record("p/a.jpg", "tabby, tabby cat", "lynx"), record("p/b.jpg", "crane"))
    return tmp_path


def test_each_picture_gets_a_sidecar_with_its_label(photos: Path) -> None:
    done = run("labels.jsonl")
    assert (done.exit_code, done.stdout) == (0, "")
    assert (subjects("p/a.jpg.xmp"), subjects("p/b.jpg.xmp")) == (["tabby"], ["crane"])
    assert paths("p/a.jpg.xmp") == ["auto|tabby"]
    last = done.stderr.splitlines()[-1]
    assert last == "2 tagged; take them out with `vithybrid tag labels.jsonl --remove`"


def test_a_second_run_writes_nothing(photos: Path) -> None:
    run("labels.jsonl")
    before = {file: (file.read_bytes(), file.stat()) for file in Path("p").iterdir()}
    done = run("labels.jsonl")
    assert done.stderr.splitlines()[-1] == "2 unchanged"
    assert {file: (file.read_bytes(), file.stat()) for file in Path("p").iterdir()} == before


def test_what_was_written_is_taken_out_and_sidecars_that_were_made_are_removed(photos: Path) -> None:
    Path("p/a.jpg.xmp").write_bytes(DIGIKAM_STYLE)
    run("labels.jsonl")
    done = run("labels.jsonl", "--remove")
    assert (done.exit_code, done.stderr) == (
        0,
        "2 cleared (1 by removing the sidecar)\n",
    )
    assert Path("p/a.jpg.xmp").read_bytes() == DIGIKAM_STYLE
    assert sorted(file.name for file in Path("p").iterdir()) == ["a.jpg", "a.jpg.xmp", "b.jpg"]
    assert run("labels.jsonl", "--remove").stderr == "2 not tagged before\n"


def test_pictures_are_never_touched(photos: Path) -> None:
    before = {file: (file.read_bytes(), file.stat()) for file in Path("p").iterdir()}
    run("labels.jsonl")
    run("labels.jsonl", "--remove")
    assert {file: (file.read_bytes(), file.stat()) for file in Path("p").iterdir()} == before


def test_labels_are_chosen_by_number_score_and_prefix(photos: Path) -> None:
    run("labels.jsonl", "-k", "2", "--prefix", "ai/guess")
    assert (subjects("p/a.jpg.xmp"), paths("p/a.jpg.xmp")) == (
        ["tabby", "lynx"],
        ["ai|guess|tabby", "ai|guess|lynx"],
    )
    run("labels.jsonl", "-k", "2", "--min-score", "0.5", "--prefix", "")
    assert (subjects("p/a.jpg.xmp"), paths("p/a.jpg.xmp")) == (["tabby"], ["tabby"])


def test_a_picture_that_has_no_label_any_more_loses_what_was_written(photos: Path) -> None:
    run("labels.jsonl")
    done = run("labels.jsonl", "--min-score", "0.95")
    assert (done.exit_code, list(Path("p").glob("*.xmp"))) == (0, [])
    assert run("labels.jsonl", "--min-score", "0.95").stderr.splitlines()[-1] == "2 without a label to write"


def test_a_dry_run_prints_the_plan_and_writes_nothing(photos: Path) -> None:
    done = run("labels.jsonl", "--dry-run")
    assert done.stdout == "make p/a.jpg.xmp: tabby\nmake p/b.jpg.xmp: crane\n"
    assert done.stderr.splitlines()[-1] == "Nothing was written; it would be: 2 tagged"
    assert list(Path("p").glob("*.xmp")) == []
    run("labels.jsonl")
    assert run("labels.jsonl", "--remove", "--dry-run").stdout == "remove p/a.jpg.xmp\nremove p/b.jpg.xmp\n"
    assert run("labels.jsonl", "--dry-run", "-k2").stdout == "change p/a.jpg.xmp: tabby, lynx\n"
    assert len(list(Path("p").glob("*.xmp"))) == 2


def test_adobes_name_is_used_where_it_is_asked_for(photos: Path) -> None:
    assert run("labels.jsonl", "--sidecar-name", "adobe").exit_code == 0
    assert (subjects("p/a.xmp"), subjects("p/b.xmp")) == (["tabby"], ["crane"])


@pytest.mark.parametrize("existing", ["p/a.jpg.xmp", "p/a.xmp", "p/a.XMP", "p/a.jpg.XMP"])
@pytest.mark.parametrize("asked", ["full", "adobe"])
def test_a_sidecar_that_is_there_is_taken_whichever_name_it_has(photos: Path, existing: str, asked: str) -> None:
    Path(existing).write_bytes(DIGIKAM_STYLE)
    run("labels.jsonl", "--sidecar-name", asked)
    assert subjects(existing) == ["Lake", "cat", "tabby"]
    assert [str(file) for file in Path("p").iterdir() if file.name.lower() in ("a.xmp", "a.jpg.xmp")] == [existing]


@pytest.mark.parametrize(("asked", "taken"), [("full", "p/a.jpg.xmp"), ("adobe", "p/a.xmp")])
def test_of_two_sidecars_the_one_that_is_asked_for_is_taken_and_that_is_said(
    photos: Path, asked: str, taken: str
) -> None:
    for name in ("p/a.jpg.xmp", "p/a.xmp"):
        Path(name).write_bytes(DIGIKAM_STYLE)
    done = run("labels.jsonl", "--sidecar-name", asked)
    assert [name for name in ("p/a.jpg.xmp", "p/a.xmp") if is_tagged(Path(name).read_bytes())] == [taken]
    assert f"1 picture had two sidecars, of which one was taken ({taken})." in done.stderr


def test_of_two_sidecars_the_one_that_is_tagged_stays_the_one(photos: Path) -> None:
    Path("p/a.xmp").write_bytes(DIGIKAM_STYLE)
    run("labels.jsonl")
    Path("p/a.jpg.xmp").write_bytes(DIGIKAM_STYLE)
    run("labels.jsonl", "-k2")
    assert (subjects("p/a.xmp")[2:], Path("p/a.jpg.xmp").read_bytes()) == (["tabby", "lynx"], DIGIKAM_STYLE)


@pytest.mark.parametrize("other", ["p/a.nef", "p/A.png", "p/a.HEIC"])
def test_adobes_name_is_refused_where_another_picture_has_it_too(photos: Path, other: str) -> None:
    picture(other)
    done = run("labels.jsonl", "--sidecar-name", "adobe")
    assert (done.exit_code, sorted(file.name for file in Path("p").glob("*.xmp"))) == (1, ["b.xmp"])
    assert "1 picture has the name of its sidecar in common with another picture (p/a.jpg)." in done.stderr


def test_a_picture_with_any_suffix_counts_that_is_in_the_results(photos: Path) -> None:
    picture("p/a.scan")
    write_results(record("p/a.jpg", "cat"), record("p/a.scan", "dog"))
    assert run("labels.jsonl", "--sidecar-name", "adobe").exit_code == 1
    assert list(Path("p").glob("*.xmp")) == []


def test_a_sidecar_of_adobes_that_may_be_another_pictures_is_left_alone(photos: Path) -> None:
    picture("p/a.nef")
    Path("p/a.xmp").write_bytes(DIGIKAM_STYLE)
    assert run("labels.jsonl").exit_code == 0
    assert (Path("p/a.xmp").read_bytes(), subjects("p/a.jpg.xmp")) == (DIGIKAM_STYLE, ["tabby"])


def test_what_is_no_sidecar_is_one_line_and_stays(photos: Path) -> None:
    Path("p/a.jpg.xmp").write_bytes(b"\xff\xfe no XMP")
    done = run("labels.jsonl")
    assert (done.exit_code, Path("p/a.jpg.xmp").read_bytes()) == (1, b"\xff\xfe no XMP")
    assert [line for line in done.stderr.splitlines() if line.startswith("p/a.jpg.xmp: ")] != []
    assert done.stderr.splitlines()[-1].startswith("1 tagged, 1 failed;")
    assert subjects("p/b.jpg.xmp") == ["crane"]
    assert run("labels.jsonl", "--remove").exit_code == 0


@pytest.mark.parametrize("kind", ["folder", "pipe", "dangling"])
def test_what_is_no_file_in_a_sidecars_place_is_one_line(photos: Path, kind: str) -> None:
    place = Path("p/a.jpg.xmp")
    make: dict[str, Callable[[], None]] = {
        "folder": place.mkdir,
        "pipe": lambda: os.mkfifo(place),
        "dangling": lambda: place.symlink_to("nowhere"),
    }
    make[kind]()
    done = run("labels.jsonl")
    assert (done.exit_code, done.stderr.count("p/a.jpg.xmp: ")) == (1, 1)


def test_permissions_stay_and_a_link_leads_to_the_sidecar_as_before(photos: Path) -> None:
    real = Path("kept.xmp")
    real.write_bytes(DIGIKAM_STYLE)
    real.chmod(0o640)
    Path("p/a.jpg.xmp").symlink_to("../kept.xmp")
    run("labels.jsonl")
    assert Path("p/a.jpg.xmp").is_symlink()
    assert (real.stat().st_mode & 0o777, untagged(real.read_bytes())) == (0o640, DIGIKAM_STYLE)
    assert "tabby" in subjects("kept.xmp")


def test_a_write_protected_sidecar_stays(photos: Path) -> None:
    Path("p/a.jpg.xmp").write_bytes(DIGIKAM_STYLE)
    Path("p/a.jpg.xmp").chmod(0o444)
    done = run("labels.jsonl")
    assert (done.exit_code, Path("p/a.jpg.xmp").read_bytes()) == (1, DIGIKAM_STYLE)
    assert "p/a.jpg.xmp: It is write-protected." in done.stderr


@pytest.mark.skipif(AS_ROOT, reason="nothing is refused to root")
def test_a_folder_that_may_not_be_written_to_is_one_line_for_each(photos: Path) -> None:
    Path("p").chmod(0o555)
    try:
        done = run("labels.jsonl")
    finally:
        Path("p").chmod(0o755)
    assert (done.exit_code, done.stderr.count("It cannot be written: Permission denied.")) == (1, 2)


def test_a_sidecar_that_changes_while_it_is_edited_is_left_as_it_is(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("p/a.jpg.xmp").write_bytes(DIGIKAM_STYLE)
    there, others = xmp_files.read_file, STYLES["ExifTool"]

    def read_and_lose(name: str) -> xmp_files.SidecarFile:
        file = there(name)
        Path(name).write_bytes(others)
        return file

    monkeypatch.setattr("vithybrid_cli.actions.tag.read_file", read_and_lose)
    done = run("labels.jsonl")
    assert (done.exit_code, Path("p/a.jpg.xmp").read_bytes()) == (1, others)
    assert "p/a.jpg.xmp: Another program has changed it meanwhile. Run this again." in done.stderr
    assert [file.name for file in Path("p").iterdir() if file.name.endswith(".part")] == []


def test_what_cannot_have_a_sidecar_is_counted_and_ends_in_1(photos: Path) -> None:
    error = {"type": "UnreadableImage", "message": "The file is empty."}
    write_results(
        record("p/gone.jpg", "cat"),
        record("p/lost.jpg", "cat"),
        record("zip://x.jpg::p.zip", "cat"),
        record("https://example.org/x.jpg", "cat"),
        {"path": "p/b.jpg", "error": error},
        record("p/a.jpg", "cat"),
    )
    done = run("labels.jsonl")
    assert (done.exit_code, subjects("p/a.jpg.xmp")) == (1, ["cat"])
    assert "2 pictures are not there any more (p/gone.jpg, …)." in done.stderr
    assert "2 pictures lie in archives or at addresses, where no sidecar can be (zip://x.jpg::p.zip, …)." in done.stderr
    assert "1 picture could not be read when labelled (p/b.jpg)." in done.stderr
    assert [file.name for file in Path("p").glob("*.xmp")] == ["a.jpg.xmp"]


def test_where_nothing_can_have_been_written_nothing_is_taken_out(photos: Path) -> None:
    write_results(record("zip://x.jpg::p.zip", "cat"), record("p/gone.jpg", "cat"))
    done = run("labels.jsonl", "--remove")
    told = "1 picture is not there any more (p/gone.jpg).\n1 not tagged before, 1 left alone\n"
    assert (done.exit_code, done.stderr) == (1, told)


def test_two_pictures_that_came_to_share_a_sidecar_lose_what_was_written_once(photos: Path) -> None:
    run("labels.jsonl", "--sidecar-name", "adobe")
    picture("p/a.nef")
    write_results(record("p/a.jpg", "cat"), record("p/a.nef", "cat"), record("p/b.jpg", "cat"))
    done = run("labels.jsonl", "--remove")
    assert (done.exit_code, list(Path("p").glob("*.xmp"))) == (0, [])


def test_a_picture_without_a_suffix_has_one_sidecar(photos: Path) -> None:
    picture("p/scan")
    write_results(record("p/scan", "cat"))
    run("labels.jsonl")
    done = run("labels.jsonl", "-k2")
    assert (subjects("p/scan.xmp"), done.stderr.splitlines()[-1]) == (["cat"], "1 unchanged")
    picture("p/scan.png")
    assert run("labels.jsonl", "--min-score", "0.1").exit_code == 1


def test_the_sidecar_of_a_picture_that_is_gone_is_cleared_too(photos: Path) -> None:
    run("labels.jsonl")
    Path("p/a.jpg").unlink()
    assert run("labels.jsonl", "--remove").exit_code == 0
    assert list(Path("p").glob("*.xmp")) == []


def test_of_a_picture_that_comes_twice_the_last_result_counts(photos: Path) -> None:
    Path("q").symlink_to("p")
    write_results(
        record("p/a.jpg", "cat"), record("p/b.jpg", "cat"), record("q/a.jpg", "bird"), record("./p/a.jpg", "dog")
    )
    done = run("labels.jsonl")
    assert (done.exit_code, subjects("p/a.jpg.xmp")) == (0, ["dog"])
    assert "2 results are of pictures that come again: the last one of each counts." in done.stderr


def test_pictures_are_found_below_the_root(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    done = run("../labels.jsonl", "--root", "..")
    assert subjects("../p/a.jpg.xmp") == ["tabby"]
    assert "`vithybrid tag ../labels.jsonl --root .. --remove`" in done.stderr


@pytest.mark.parametrize("output", ["labels.jsonl", "labels.json", "labels.csv"])
def test_the_results_of_a_run_say_its_model_and_which_pictures_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png"):
        Image.new("RGB", (40, 40), "red").save(name)
    assert CliRunner().invoke(app, ["classify", "a.png", "b.png", "-m", "tiny", "-o", output]).exit_code == 0
    Image.new("RGB", (50, 40), "blue").save("b.png")
    done = run(output)
    assert (done.exit_code, Path("b.png.xmp").exists()) == (1, False)
    assert "1 picture changed since it was labelled (b.png)" in done.stderr
    assert "not known" not in done.stderr
    assert ">tiny</vithybrid:VithybridModel>" in Path("a.png.xmp").read_text(encoding="utf-8")


def test_parquet_says_its_model_itself(photos: Path) -> None:
    pytest.importorskip("pyarrow")
    Image.new("RGB", (40, 40), "red").save("c.png")
    assert CliRunner().invoke(app, ["classify", "c.png", "-m", "tiny", "-o", "labels.parquet"]).exit_code == 0
    assert run("labels.parquet").exit_code == 0
    assert ">tiny</vithybrid:VithybridModel>" in Path("c.png.xmp").read_text(encoding="utf-8")


def test_what_is_assumed_is_said_once(photos: Path) -> None:
    lines = run("labels.jsonl").stderr.splitlines()
    assert len([line for line in lines if "which model" in line]) == 1
    assert len([line for line in lines if "assumed" in line]) == 1
    assert run("labels.jsonl", "--quiet", "-k2").stderr == ""


@pytest.mark.parametrize(
    ("content", "arguments", "why"),
    [
        pytest.param(b"no results", [], "no file of results", id="no results"),
        pytest.param(b'{"path": "a", "embedding": [1]}\n', [], "features", id="features"),
        pytest.param(b'{"path": "p/a.jpg", "predictions": []}\n{"path": "p/b.', [], "cut off", id="cut off"),
        pytest.param(b"", ["--min-score", "nan"], "are from 0 to 1", id="no number"),
        pytest.param(b"", ["--top-k", "0"], "top-k", id="no label"),
        pytest.param(b"", ["--sidecar-name", "x"], "sidecar-name", id="an unknown name"),
    ],
)
def test_wrong_usage_ends_in_2_and_writes_nothing(photos: Path, content: bytes, arguments: list[str], why: str) -> None:
    Path("labels.jsonl").write_bytes(content)
    done = run("labels.jsonl", *arguments)
    assert done.exit_code == 2
    assert why in done.stderr
    assert list(Path("p").glob("*.xmp")) == []


def test_no_results_are_no_pictures(photos: Path) -> None:
    write_results()
    done = run("labels.jsonl")
    assert (done.exit_code, done.stderr) == (0, "no pictures\n")


def test_a_name_that_is_no_text_gets_its_sidecar(photos: Path) -> None:
    name = os.fsdecode(b"p/\xff.jpg")
    try:
        picture(name)
    except (OSError, UnicodeError):
        pytest.skip("this file system has no such names")
    Path("labels.jsonl").write_text(json.dumps(record(name, "cat")) + "\n", encoding="ascii")
    assert run("labels.jsonl").exit_code == 0
    assert subjects(f"{name}.xmp") == ["cat"]


def test_torch_is_not_imported(photos: Path) -> None:
    script = (
        "import sys\nfrom vithybrid_cli.commands.app import app\n"
        "try:\n    app(['tag', 'labels.jsonl'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'torch', 'openvino', 'pyarrow'} & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert subjects("p/a.jpg.xmp") == ["tabby"]


@pytest.mark.parametrize("options", [[], ["--remove"]])
def test_pictures_that_are_not_where_the_results_say_are_told_with_the_root(photos: Path, options: list[str]) -> None:
    Path("p").rename("q")
    done = run("labels.jsonl", *options)
    assert done.exit_code == 1
    assert "2 pictures are not there any more" in done.stderr
    assert "give that with --root." in done.stderr


def test_a_damaged_sidecar_that_was_never_tagged_is_no_failure_of_taking_out(photos: Path) -> None:
    Path("p/a.jpg.xmp").write_text("<x:xmpmeta damaged")
    done = run("labels.jsonl", "--remove")
    assert (done.exit_code, done.stderr) == (0, "2 not tagged before\n")
    assert Path("p/a.jpg.xmp").read_text() == "<x:xmpmeta damaged"
