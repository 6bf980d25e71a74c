"""The cache of converted graphs: a graph is found by what it was made of, and nothing but a whole one is ever seen."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vithybrid_cli.checkpoints.folder import CheckpointFolder
from vithybrid_cli.engines import openvino_cache
from vithybrid_cli.engines.openvino_cache import entry_for, read, write
from vithybrid_cli.engines.openvino_runtime import core, openvino

SMALL = Path(__file__).parent / "data" / "golden" / "hf-hybrid-small"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("VITHYBRID_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint that may be changed."""
    return Path(shutil.copytree(SMALL, tmp_path / "checkpoint"))


def graph(factor: float = 2.0) -> openvino.Model:
    """A graph that multiplies by a constant."""
    operations = openvino.opset13
    values = operations.parameter([-1, 4], np.float32)
    return openvino.Model([operations.multiply(values, np.full(4, factor, np.float32))], [values])


def factor(entry: Path) -> float | None:
    """What the graph in the cache multiplies by, if there is one."""
    found = read(core(), entry)
    return None if found is None else float(core().compile_model(found, "CPU")(np.ones((1, 4), np.float32))[0][0, 0])


def name_for(folder: Path) -> str:
    return entry_for(CheckpointFolder.read(folder)).name


def change(file: Path, **values: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def test_what_was_written_is_read(cache: Path, tmp_path: Path) -> None:
    entry = tmp_path / "a" / "b" / "entry"
    write(graph(3.0), entry)
    assert factor(entry) == 3.0
    assert [path.name for path in entry.parent.iterdir()] == ["entry"]


def test_nothing_there_is_no_graph(cache: Path, tmp_path: Path) -> None:
    assert read(core(), tmp_path / "nothing") is None


def test_the_same_checkpoint_elsewhere_is_the_same(cache: Path, checkpoint: Path) -> None:
    assert name_for(checkpoint) == name_for(SMALL)


def test_the_names_of_the_labels_are_not_part_of_the_graph(cache: Path, checkpoint: Path) -> None:
    labels = json.loads((checkpoint / "config.json").read_text())["id2label"]
    change(checkpoint / "config.json", id2label={index: f"other {name}" for index, name in labels.items()})
    assert name_for(checkpoint) == name_for(SMALL)


def test_other_weights_are_another_graph(cache: Path, checkpoint: Path) -> None:
    weights = checkpoint / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert name_for(checkpoint) != name_for(SMALL)


@pytest.mark.parametrize(
    ("file", "values"),
    [
        pytest.param("config.json", {"layer_norm_eps": 1e-3}, id="network"),
        pytest.param("preprocessor_config.json", {"image_mean": [0.4, 0.5, 0.6]}, id="normalisation"),
    ],
)
def test_another_config_is_another_graph(cache: Path, checkpoint: Path, file: str, values: dict[str, object]) -> None:
    change(checkpoint / file, **values)
    assert name_for(checkpoint) != name_for(SMALL)


def test_another_version_is_another_graph(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [name_for(SMALL)]
    monkeypatch.setattr(openvino_cache, "CONVERSION", openvino_cache.CONVERSION + 1)
    names.append(name_for(SMALL))
    monkeypatch.setattr(openvino, "get_version", lambda: "another")
    names.append(name_for(SMALL))
    assert len(set(names)) == 3


def emptied(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no weights": lambda entry: (entry / "model.bin").unlink(),
    "no graph": lambda entry: (entry / "model.xml").unlink(),
    "empty weights": lambda entry: os.truncate(entry / "model.bin", 0),
    "weights cut off": lambda entry: os.truncate(entry / "model.bin", 15),
    "empty graph": lambda entry: os.truncate(entry / "model.xml", 0),
    "graph cut off": lambda entry: os.truncate(entry / "model.xml", 500),
    "zeros": lambda entry: (entry / "model.xml").write_bytes(bytes(1000)),
    "another document": lambda entry: (entry / "model.xml").write_text("<html></html>"),
    "an empty folder": emptied,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_no_graph_and_is_replaced(
    cache: Path, tmp_path: Path, damage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    entry = tmp_path / "entry"
    write(graph(3.0), entry)
    DAMAGES[damage](entry)
    assert factor(entry) is None
    write(graph(4.0), entry)
    assert factor(entry) == 4.0
    assert capfd.readouterr() == ("", "")


def test_a_graph_that_is_in_use_may_be_replaced(cache: Path, tmp_path: Path) -> None:
    entry = tmp_path / "entry"
    write(graph(3.0), entry)
    found = read(core(), entry)
    write(graph(4.0), entry)
    assert core().compile_model(found, "CPU")(np.ones((1, 4), np.float32))[0][0, 0] == 3.0


def test_what_another_process_has_written_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = tmp_path / "entry"
    monkeypatch.setattr(openvino_cache, "remove", lambda folder: write_in_between(folder, entry))

    def write_in_between(folder: Path, entry: Path) -> None:
        if folder == entry:
            monkeypatch.undo()
            write(graph(3.0), entry)

    write(graph(4.0), entry)
    assert factor(entry) == 3.0
    assert [path.name for path in tmp_path.iterdir()] == ["entry"]


def test_a_full_disk_is_an_error_of_the_system_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(graph: openvino.Model, file: Path, compress_to_fp16: bool) -> None:
        file.write_bytes(b"begun")
        raise RuntimeError("basic_ios::clear: iostream error")  # as OpenVINO says it

    monkeypatch.setattr(openvino, "save_model", full)
    with pytest.raises(OSError, match="no room on the disk"):
        write(graph(), tmp_path / "entry")
    assert list(tmp_path.iterdir()) == []


def test_those_used_last_are_kept(tmp_path: Path) -> None:
    entries = [tmp_path / str(index) for index in range(9)]
    for age, entry in enumerate(entries[:-1]):
        write(graph(), entry)
        os.utime(entry, (age, age))
    read(core(), entries[0])  # the oldest, used again
    write(graph(), entries[-1])
    assert {path.name for path in tmp_path.iterdir()} == {"0", *"2345678"}


def test_what_was_begun_and_left_goes_after_a_day(tmp_path: Path) -> None:
    left, fresh = tmp_path / ".new-left", tmp_path / ".new-fresh"
    left.mkdir()
    fresh.mkdir()
    os.utime(left, (0, 0))
    write(graph(), tmp_path / "entry")
    assert {path.name for path in tmp_path.iterdir()} == {"entry", ".new-fresh"}
