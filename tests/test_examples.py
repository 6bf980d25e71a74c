"""The scripts and pictures of ``examples/``, and the demo that shows them."""

import io
import re
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from places import EXAMPLES, ROOT
from shell import make_workplace, run

from vithybrid_cli.sources.find import find

PICTURES = [Path(path).relative_to(EXAMPLES).as_posix() for path in find([str(EXAMPLES)])]
KNOWN = [name for name in PICTURES if "/" not in name]  # each named by the label of tiny that it shows


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    return make_workplace(tmp_path)


def test_the_demo_shows_first_what_tiny_knows_and_gets_right(workplace: Path) -> None:
    recipe = re.search(r"^demo:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert recipe is not None
    first, second = re.findall(r"^\t\$\(BIN\)/(vithybrid .*)$", recipe[1], re.MULTILINE)
    labelled = dict(re.findall(r"examples/(\S+) .*% +(\w+)", run(first, workplace).stdout))
    assert labelled == {name: name.split(".")[0] for name in KNOWN}
    assert set(re.findall(r"examples/(unknown/\S+)", run(second, workplace).stdout)) == set(PICTURES) - set(KNOWN)
    assert "show none of them" in recipe[1]


def test_each_picture_has_its_credit() -> None:
    text = (EXAMPLES / "CREDITS.md").read_text(encoding="utf-8")
    assert re.findall(r"^- `(.*?)`: ", text, re.MULTILINE) == PICTURES


def test_each_script_is_run_here() -> None:
    scripts = {path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".sh")}
    assert scripts == {"classify.py", "pipeline.sh", "cifar10.py"}


def test_the_example_in_python_labels_each_picture(workplace: Path) -> None:
    done = run("python examples/classify.py", workplace)
    assert done.returncode == 0, done.stderr
    assert [line.split(" (")[0] for line in done.stdout.splitlines()] == [
        f"{name}: {name.split('.')[0]}" for name in KNOWN
    ]


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_the_example_of_a_pipeline_counts_each_picture(workplace: Path) -> None:
    (workplace / "examples" / "broken.jpg").write_bytes(b"no picture")
    done = run("examples/pipeline.sh examples", workplace)
    assert done.returncode == 0, done.stderr
    counts = {label: int(count) for count, label in map(str.split, done.stdout.splitlines())}
    assert counts["unreadable"] == 1
    assert counts["cat"] >= 1
    assert sum(counts.values()) == len(PICTURES) + 1


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_the_example_of_a_pipeline_fails_without_the_model(workplace: Path) -> None:
    assert run("examples/pipeline.sh examples ./no-such-model", workplace).returncode == 3


def test_the_example_for_cifar10_writes_each_picture_below_its_label(workplace: Path) -> None:
    labels = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    pixels = np.arange(2 * 32 * 32 * 3).reshape(2, 32, 32, 3).astype(np.uint8)
    records = [bytes([label]) + pixels[i].transpose(2, 0, 1).tobytes() for i, label in enumerate([3, 9])]
    files = {"batches.meta.txt": "\n".join([*labels, "", ""]).encode(), "test_batch.bin": b"".join(records)}
    files |= {f"data_batch_{number}.bin": records[0] for number in range(1, 6)}
    with tarfile.open(workplace / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))

    done = run("python examples/cifar10.py cifar-10-binary.tar.gz data/cifar10", workplace)
    assert done.returncode == 0, done.stderr
    written = sorted(path.relative_to(workplace / "data").as_posix() for path in workplace.glob("data/*/*/*/*"))
    assert written == [
        "cifar10/test/cat/0000.png",
        "cifar10/test/truck/0000.png",
        *(f"cifar10/train/cat/{number:04}.png" for number in range(5)),
    ]
    with Image.open(workplace / "data/cifar10/test/truck/0000.png") as image:
        assert np.array_equal(np.asarray(image), pixels[1])
