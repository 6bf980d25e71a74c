"""The cache of converted graphs: a graph is found by what it was made of, and nothing but a whole one is ever seen."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from places import GOLDENS

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.choices import Feature
from vithybrid_cli.engines import openvino_cache
from vithybrid_cli.engines.openvino_cache import Properties, compiled, entry_for, holds, read, write
from vithybrid_cli.engines.openvino_runtime import core, openvino

SMALL = GOLDENS / "hf-hybrid-small"
ONE_STREAM: Properties = {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1}


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


def compiled_factor(entry: Path, **properties: str | int) -> float | None:
    """What the compiled graph multiplies by, if there is one."""
    found = compiled(core(), entry, {**ONE_STREAM, **properties})
    return None if found is None else float(found(np.ones((1, 4), np.float32))[0][0, 0])


def compiled_files(entry: Path) -> set[Path]:
    return set((entry / "compiled").glob("*"))


def kept_compiled(entry: Path, factor: float = 3.0) -> Path:
    """The file of what was compiled of a graph that multiplies by ``factor``."""
    write(graph(factor), entry)
    assert compiled_factor(entry) == factor
    (file,) = compiled_files(entry)
    return file


def name_for(folder: Path, image_size: int | None = None, feature: Feature | None = None) -> str:
    return entry_for(Checkpoint.read(folder, image_size), feature).name


def change(file: Path, **values: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def test_what_was_written_is_read(cache: Path, tmp_path: Path) -> None:
    entry = tmp_path / "a" / "b" / "entry"
    write(graph(3.0), entry)
    assert factor(entry) == 3.0
    assert [path.name for path in entry.parent.iterdir()] == ["entry"]


def test_nothing_there_is_no_graph(cache: Path, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    assert not holds(nothing)
    assert read(core(), nothing) is None
    assert compiled_factor(nothing) is None
    assert not nothing.exists()


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


def test_each_feature_and_each_image_size_is_another_graph(cache: Path) -> None:
    names = [name_for(SMALL, size, feature) for size in (None, 96, 128) for feature in (None, *Feature)]
    assert len(set(names)) == 12


def test_positions_that_are_interpolated_from_another_grid_are_another_graph(cache: Path, checkpoint: Path) -> None:
    names = []
    for size, grid in (([64, 128], [4, 8]), ([128, 64], [8, 4])):  # as many patches of the same weights
        change(checkpoint / "config.json", image_size=size, backbone_featmap_shape=[1, 128, *grid])
        names.append(name_for(checkpoint, 96))
    assert len(set(names)) == 2


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
    assert compiled_factor(entry) is None
    write(graph(4.0), entry)
    assert factor(entry) == compiled_factor(entry) == 4.0
    assert capfd.readouterr() == ("", "")


def test_what_was_compiled_is_not_compiled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept_compiled(tmp_path / "entry", 5.0)
    monkeypatch.setattr(openvino.Core, "read_model", None)
    monkeypatch.setattr(openvino.Core, "compile_model", None)
    assert compiled_factor(tmp_path / "entry") == 5.0


@pytest.mark.parametrize("properties", [{"NUM_STREAMS": 2}, {"PERFORMANCE_HINT": "LATENCY"}])
def test_another_way_to_run_a_graph_is_compiled_for_itself(tmp_path: Path, properties: dict[str, str | int]) -> None:
    file = kept_compiled(tmp_path / "entry")
    assert compiled_factor(tmp_path / "entry", **properties) == 3.0
    assert len(compiled_files(tmp_path / "entry") - {file}) == 1


@pytest.mark.parametrize("changed", ["FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES"])
def test_on_another_processor_a_graph_is_compiled_anew(
    tmp_path: Path, changed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, get_property = kept_compiled(tmp_path / "entry"), openvino.Core.get_property

    def elsewhere(core: openvino.Core, device: str, name: str) -> object:
        return "another" if name == changed else get_property(core, device, name)

    monkeypatch.setattr(openvino.Core, "get_property", elsewhere)
    assert compiled_factor(tmp_path / "entry") == 3.0
    assert len(compiled_files(tmp_path / "entry") - {file}) == 1


def test_with_other_cores_a_graph_is_compiled_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = kept_compiled(tmp_path / "entry")
    monkeypatch.setattr(openvino_cache, "available_cores", lambda: 77)
    assert compiled_factor(tmp_path / "entry") == 3.0
    assert len(compiled_files(tmp_path / "entry") - {file}) == 1


def changed_in_the_middle(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


COMPILED_DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda file: os.truncate(file, 0),
    "cut off in its seal": lambda file: os.truncate(file, 20),
    "cut off after its seal": lambda file: os.truncate(file, 32),
    "cut off": lambda file: os.truncate(file, 500),
    "cut off at its end": lambda file: os.truncate(file, file.stat().st_size - 1),
    "zeros": lambda file: file.write_bytes(bytes(1000)),
    "changed in the middle": changed_in_the_middle,
    "longer": lambda file: file.write_bytes(file.read_bytes() + b"x"),
    "of other weights": lambda file: os.utime(file.parent.parent / "model.bin", (0, 0)),
}


@pytest.mark.parametrize("damage", COMPILED_DAMAGES)
def test_what_was_compiled_and_is_damaged_is_never_run_and_is_replaced(
    tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    entry = tmp_path / "entry"
    file = kept_compiled(entry)
    COMPILED_DAMAGES[damage](file)
    with monkeypatch.context() as patch:
        patch.setattr(openvino.Core, "import_model", None)  # would be called with what is damaged
        assert compiled_factor(entry) == 3.0
    monkeypatch.setattr(openvino.Core, "read_model", None)
    monkeypatch.setattr(openvino.Core, "compile_model", None)
    assert compiled_factor(entry) == 3.0  # from the file alone
    assert capfd.readouterr() == ("", "")


def test_what_openvino_refuses_is_compiled_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept_compiled(tmp_path / "entry")

    def refusing(*_: object) -> None:
        raise RuntimeError("incompatible")

    monkeypatch.setattr(openvino.Core, "import_model", refusing)
    assert compiled_factor(tmp_path / "entry") == 3.0


def test_what_was_compiled_for_weights_that_are_replaced_meanwhile_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, compile_model = tmp_path / "entry", openvino.Core.compile_model
    write(graph(3.0), entry)

    def replaced_before(*arguments: object) -> object:
        monkeypatch.undo()
        write(graph(4.0), entry)
        os.utime(entry / "model.bin", (0, 0))  # not within the same tick as those before
        return compile_model(*arguments)

    monkeypatch.setattr(openvino.Core, "compile_model", replaced_before)
    assert compiled_factor(entry) == 3.0
    assert len(compiled_files(entry)) == 1
    assert compiled_factor(entry) == 4.0


@pytest.mark.parametrize("error", [OSError("full"), RuntimeError("cannot be exported")])
def test_what_cannot_be_kept_is_compiled_all_the_same(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise error

    write(graph(), tmp_path / "entry")
    if isinstance(error, OSError):
        monkeypatch.setattr(os, "fsync", failing)
    else:
        monkeypatch.setattr(openvino.CompiledModel, "export_model", failing)
    assert compiled_factor(tmp_path / "entry") == 2.0
    assert compiled_files(tmp_path / "entry") == set()


def test_the_ways_to_run_a_graph_that_were_used_last_are_kept(tmp_path: Path) -> None:
    entry = tmp_path / "entry"
    files = [kept_compiled(entry)]
    os.utime(files[0], (1, 1))
    for streams in range(2, 9):
        compiled_factor(entry, NUM_STREAMS=streams)
        files += compiled_files(entry) - set(files)
        os.utime(files[-1], (streams, streams))
    compiled_factor(entry, NUM_STREAMS=1)  # the oldest, used again
    compiled_factor(entry, NUM_STREAMS=9)
    assert set(files) - compiled_files(entry) == {files[1]}
    assert len(compiled_files(entry)) == 8


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
    assert holds(entries[0])  # the oldest, used again
    write(graph(), entries[-1])
    assert {path.name for path in tmp_path.iterdir()} == {"0", *"2345678"}


def test_what_was_begun_and_left_goes_after_a_day(tmp_path: Path) -> None:
    left, fresh = tmp_path / ".new-left", tmp_path / ".new-fresh"
    left.mkdir()
    fresh.mkdir()
    os.utime(left, (0, 0))
    write(graph(), tmp_path / "entry")
    assert {path.name for path in tmp_path.iterdir()} == {"entry", ".new-fresh"}
