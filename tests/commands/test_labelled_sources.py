"""``evaluate`` and ``train`` read archives and tables of labelled pictures as they read folders of them."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from packing import files_below, pack
from PIL import Image
from typer.testing import CliRunner

from vithybrid_cli.commands.app import app

COLOURS = {"blue": (30, 40, 180), "red": (180, 40, 30), "green": (30, 170, 40)}
EACH = 5
RECIPE = ["-m", "tiny", "--epochs", "2", "-b", "5", "--device", "cpu", "--no-progress"]


def run(*arguments: str) -> Any:
    """Run vithybrid in this process; the result has exit_code, stdout and stderr."""
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def make_pictures(folder: Path) -> None:
    """Labelled pictures, the same each time."""
    for number in range(EACH):
        for label, colour in COLOURS.items():
            file = folder / label / f"{label[0]}{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            picture = Image.new("RGB", (20, 18), colour)
            picture.putpixel((number, number), (255, 255, 255))
            picture.save(file)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Labelled pictures in the current folder, in ``photos``."""
    monkeypatch.chdir(tmp_path)
    make_pictures(Path("photos"))
    return tmp_path


@dataclass(frozen=True)
class Trained:
    """What came of the folder."""

    model: str
    stdout: str
    stderr: str


@pytest.fixture(scope="module")
def of_folder(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Training on the same pictures in a folder, which is held out, too."""
    place = tmp_path_factory.mktemp("folder")
    make_pictures(place / "photos")
    done = run("train", str(place / "photos"), "-o", str(place / "out"), "--held-out", str(place / "photos"), *RECIPE)
    assert done.exit_code == 0
    return Trained(str(place / "out"), done.stdout, done.stderr)


@pytest.fixture(scope="module")
def model(of_folder: Trained) -> str:
    """A checkpoint with these labels, some of which it gets wrong."""
    return of_folder.model


def as_zip(suffix: str = "zip") -> str:
    members = [(f"photos/{name}", content) for name, content in files_below(Path("photos"))]
    return str(pack(Path(f"packed.{suffix}"), members))


def as_shards(suffix: str = "tar") -> str:
    """Two shards as WebDataset has them."""
    samples = []
    for name, content in files_below(Path("photos")):
        label, key = name.removesuffix(".png").split("/")
        samples.append([(f"{key}.cls", label.encode()), (f"{key}.png", content)])
    for number, part in enumerate((samples[:4], samples[4:])):
        pack(Path(f"s-{number}.{suffix}"), [member for sample in part for member in sample])
    return f"s-{{0..1}}.{suffix}"


def as_table(columns: str = "names") -> str:
    """A table with labels as text, or as Hugging Face's classes."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pairs = [(name.split("/")[0], content) for name, content in files_below(Path("photos"))]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pictures = pa.array([{"bytes": content, "path": None} for _, content in pairs], kind)
    labels = [label for label, _ in pairs]
    if columns == "classes":
        names = sorted(COLOURS)
        table = pa.table({"image": pictures, "label": pa.array([names.index(label) for label in labels])})
        features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": names}}
        described = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": described})
    else:
        table = pa.table({"image": pictures, "kind": pa.array(labels)})
    pq.write_table(table, "photos.parquet", row_group_size=4)
    return "photos.parquet"


WAYS = [
    pytest.param(as_zip, [], id="zip"),
    pytest.param(lambda: as_zip("tar"), [], id="tar"),
    pytest.param(lambda: as_zip("tar.gz"), [], id="compressed tar"),
    pytest.param(as_shards, [], id="shards"),
    pytest.param(lambda: as_shards("tar.gz"), [], id="compressed shards"),
    pytest.param(as_table, ["--label-column", "kind"], id="table"),
    pytest.param(lambda: as_table("classes"), [], id="table of classes"),
]


@pytest.mark.parametrize(("packed", "arguments"), WAYS)
def test_the_figures_are_those_of_the_folder(
    folder: Path, of_folder: Trained, packed: Callable[[], str], arguments: list[str]
) -> None:
    done = run("evaluate", packed(), "-m", of_folder.model, "-f", "jsonl", "--no-progress", *arguments)
    assert (done.exit_code, done.stderr) == (0, "")
    assert json.loads(done.stdout) == json.loads(of_folder.stdout)
    assert json.loads(done.stdout)["pictures"] == EACH * len(COLOURS)


@pytest.mark.parametrize(
    ("packed", "arguments"),
    [  # that all ways give the same pictures and labels is shown above, without training
        way
        if way.id in ("zip", "shards", "table of classes")
        else pytest.param(*way.values, id=way.id, marks=pytest.mark.thorough)
        for way in WAYS
    ],
)
def test_the_weights_are_those_of_the_folder(
    folder: Path, of_folder: Trained, packed: Callable[[], str], arguments: list[str]
) -> None:
    source = packed()
    done = run("train", source, "-o", "out", "--held-out", source, *arguments, *RECIPE)
    assert (done.exit_code, done.stdout) == (0, of_folder.stdout)
    assert learnt(done.stderr) == learnt(of_folder.stderr)
    names = "config.json", "model.safetensors"
    assert [Path("out", name).read_bytes() for name in names] == [
        Path(of_folder.model, name).read_bytes() for name in names
    ]


def learnt(stderr: str) -> list[str]:
    """What was trained on, and the loss of each epoch. Not what depends on where it lies, or is measured by a clock."""
    found = re.findall(r"^(?:pictures: .*|epoch \d of \d: loss [\d.]+)", stderr, re.MULTILINE)
    assert len(found) == 3, stderr
    return found


def test_a_run_over_an_archive_is_resumed_and_one_over_other_pictures_is_not(folder: Path) -> None:
    source = as_zip()
    assert run("train", source, "-o", "whole", *RECIPE).exit_code == 0
    assert run("train", source, "-o", "out", *RECIPE, "--epochs", "1").exit_code == 0
    refused = run("train", source, "-o", "out", *RECIPE, "--resume")
    assert (refused.exit_code, "epochs 1, not 2" in refused.stderr) == (2, True)
    Path("photos", "red", "r9.png").write_bytes(Path("photos", "red", "r0.png").read_bytes())
    other = run("train", as_zip("tar"), "-o", "whole", *RECIPE, "--resume")
    assert (other.exit_code, "began with: 1 picture is new (tar://photos/red/r9.png::packed.tar)" in other.stderr) == (
        2,
        True,
    )
    assert run("train", source, "-o", "whole", *RECIPE, "--resume").exit_code == 0


def test_a_bad_member_is_named_as_classify_names_it(folder: Path, model: str) -> None:
    Path("photos", "red", "r0.png").write_bytes(b"no picture")
    source = as_zip()
    done = run("evaluate", source, "-m", model, "-f", "json", "--no-progress")
    name = "zip://photos/red/r0.png::packed.zip"
    assert [record["path"] for record in json.loads(done.stdout)["unreadable"]] == [name]
    assert (done.exit_code, name in done.stderr) == (1, True)
    trained = run("train", source, "-o", "out", *RECIPE, "--epochs", "1")
    assert (trained.exit_code, f"{name}: This is no picture" in trained.stderr) == (1, True)


def test_numbers_in_a_table_without_names_are_class_indices(folder: Path, model: str) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pictures = [content for _, content in files_below(Path("photos"))]
    indices = [index for index in range(3) for _ in range(EACH)]
    pq.write_table(pa.table({"image": pictures, "label": indices}), "numbers.parquet")
    figures = [
        run("evaluate", source, "-m", model, "-f", "json", "--no-progress").stdout
        for source in ("photos", "numbers.parquet")
    ]
    assert json.loads(figures[0]) == json.loads(figures[1])
    pq.write_table(pa.table({"image": pictures, "label": [*indices[1:], 3]}), "numbers.parquet")
    done = run("evaluate", "numbers.parquet", "-m", model)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "numbers.parquet has the label 3, which is no label or class index of the model." in done.stderr
    trained = run("train", "numbers.parquet", "-o", "out", *RECIPE, "--epochs", "1", "-q")
    assert trained.exit_code == 0
    assert json.loads(Path("out", "config.json").read_text())["id2label"] == {str(i): str(i) for i in range(4)}


def test_a_damaged_archive_is_not_trained_on_and_its_rest_is_one_record_of_evaluate(folder: Path, model: str) -> None:
    source = Path(as_zip("tar"))
    source.write_bytes(source.read_bytes()[: -4 * 512 - 10240])
    done = run("evaluate", str(source), "-m", model, "-f", "json", "--no-progress")
    assert (done.exit_code, [r["path"] for r in json.loads(done.stdout)["unreadable"]][-1]) == (1, "packed.tar")
    trained = run("train", str(source), "-o", "out", *RECIPE)
    assert (trained.exit_code, len(trained.stderr.splitlines()), Path("out").exists()) == (2, 1, False)
    assert "packed.tar cannot be used:" in trained.stderr


def test_training_keeps_of_a_compressed_archive_no_more_than_fits_into_memory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vithybrid_cli.training.data.default_budget", lambda: 1000)
    assert run("train", as_zip("tar"), "-o", "out", *RECIPE, "--epochs", "1", "-q").exit_code == 0
    done = run("train", as_zip("tar.gz"), "-o", "other", *RECIPE)
    assert done.exit_code == 2
    assert "Training takes pictures in random order, which packed.tar.gz gives in its own order alone" in done.stderr
    assert "Unpack them into folders, or pack them as a zip or a plain tar." in done.stderr


@pytest.mark.parametrize("packed", [as_zip, lambda: as_zip("tar.gz"), as_table])
def test_features_are_those_of_the_folder(folder: Path, packed: Callable[[], str]) -> None:
    assert run("embed", "photos", "-m", "tiny", "-o", "a.npy", "-q").exit_code == 0
    assert run("embed", packed(), "-m", "tiny", "-o", "b.npy", "-q").exit_code == 0
    assert Path("a.npy").read_bytes() == Path("b.npy").read_bytes()
