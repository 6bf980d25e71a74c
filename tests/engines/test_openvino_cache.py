"""The cache of converted graphs: a graph is found by what it was made of, and nothing but a whole one is ever seen."""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from places import GOLDENS, ROOT

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
    return factor_of(compiled(core(), entry, {**ONE_STREAM, **properties}, cores=2))


def factor_of(found: openvino.CompiledModel | None) -> float | None:
    return None if found is None else float(found(np.ones((1, 4), np.float32))[0][0, 0])


class Watched:
    """A core that keeps the names of what is asked of it, and may answer otherwise."""

    def __init__(self, **otherwise: Callable[..., object]) -> None:
        self.asked: list[str] = []
        self._otherwise = otherwise

    def __getattr__(self, name: str) -> object:
        if not name.startswith("__"):
            self.asked.append(name)
        return self._otherwise.get(name, getattr(core(), name))

    def factor(self, entry: Path, cores: int = 2) -> float | None:
        """What the graph multiplies by that this core compiles."""
        return factor_of(compiled(self, entry, ONE_STREAM, cores))


def raising(error: Exception) -> Callable[..., object]:
    def fail(*_: object, **__: object) -> object:
        raise error

    return fail


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


def changed(file: Path) -> None:
    """One bit of the last byte but one."""
    content = bytearray(file.read_bytes())
    content[-2] ^= 1
    file.write_bytes(content)


def emptied(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no weights": lambda entry: (entry / "model.bin").unlink(),
    "no graph": lambda entry: (entry / "model.xml").unlink(),
    "empty weights": lambda entry: os.truncate(entry / "model.bin", 0),
    "weights changed": lambda entry: changed(entry / "model.bin"),
    "graph changed": lambda entry: changed(entry / "model.xml"),
    "no checksum": lambda entry: (entry / "model.sha256").unlink(),
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


def test_what_was_compiled_is_not_compiled_again(tmp_path: Path) -> None:
    kept_compiled(tmp_path / "entry", 5.0)
    watched = Watched()
    assert watched.factor(tmp_path / "entry") == 5.0
    assert {"read_model", "compile_model"}.isdisjoint(watched.asked)


@pytest.mark.parametrize("properties", [{"NUM_STREAMS": 2}, {"PERFORMANCE_HINT": "LATENCY"}])
def test_another_way_to_run_a_graph_is_compiled_for_itself(tmp_path: Path, properties: dict[str, str | int]) -> None:
    file = kept_compiled(tmp_path / "entry")
    assert compiled_factor(tmp_path / "entry", **properties) == 3.0
    assert len(compiled_files(tmp_path / "entry") - {file}) == 1


@pytest.mark.parametrize("changed", ["FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES"])
def test_on_another_processor_a_graph_is_compiled_anew(tmp_path: Path, changed: str) -> None:
    def elsewhere(device: str, name: str) -> object:
        return "another" if name == changed else core().get_property(device, name)

    file = kept_compiled(tmp_path / "entry")
    assert Watched(get_property=elsewhere).factor(tmp_path / "entry") == 3.0
    assert len(compiled_files(tmp_path / "entry") - {file}) == 1


def test_with_other_cores_a_graph_is_compiled_anew(tmp_path: Path) -> None:
    file = kept_compiled(tmp_path / "entry")
    assert Watched().factor(tmp_path / "entry", cores=77) == 3.0
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
    tmp_path: Path, damage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    entry = tmp_path / "entry"
    file = kept_compiled(entry)
    COMPILED_DAMAGES[damage](file)
    first, second = Watched(), Watched()
    assert first.factor(entry) == 3.0
    assert "import_model" not in first.asked  # which would have been given what is damaged
    assert second.factor(entry) == 3.0
    assert {"read_model", "compile_model"}.isdisjoint(second.asked)
    assert capfd.readouterr() == ("", "")


def test_what_openvino_refuses_is_compiled_anew(tmp_path: Path) -> None:
    kept_compiled(tmp_path / "entry")
    assert Watched(import_model=raising(RuntimeError("incompatible"))).factor(tmp_path / "entry") == 3.0


def test_what_cannot_be_compiled_is_as_if_missing(tmp_path: Path) -> None:
    write(graph(), tmp_path / "entry")
    assert Watched(compile_model=raising(RuntimeError("Check failed"))).factor(tmp_path / "entry") is None


def test_what_was_compiled_for_weights_that_are_replaced_meanwhile_is_not_used(tmp_path: Path) -> None:
    entry = tmp_path / "entry"
    write(graph(3.0), entry)

    def replaced_before(*arguments: object) -> object:
        write(graph(4.0), entry)
        os.utime(entry / "model.bin", (0, 0))  # not within the same tick as those before
        return core().compile_model(*arguments)

    assert Watched(compile_model=replaced_before).factor(entry) == 3.0
    assert len(compiled_files(entry)) == 1
    assert compiled_factor(entry) == 4.0


class Unexportable:
    """A compiled graph of which OpenVINO makes no file."""

    def __init__(self, found: openvino.CompiledModel) -> None:
        self._found = found

    def __call__(self, values: object) -> object:
        return self._found(values)

    def export_model(self) -> object:
        raise RuntimeError("cannot be exported")


def test_what_cannot_be_exported_is_compiled_all_the_same(tmp_path: Path) -> None:
    write(graph(), tmp_path / "entry")
    watched = Watched(compile_model=lambda *arguments: Unexportable(core().compile_model(*arguments)))
    assert watched.factor(tmp_path / "entry") == 2.0
    assert compiled_files(tmp_path / "entry") == set()


def test_what_cannot_be_written_is_compiled_all_the_same(tmp_path: Path) -> None:
    write(graph(), tmp_path / "entry")
    (tmp_path / "entry" / "compiled").touch()  # where the folder belongs
    assert compiled_factor(tmp_path / "entry") == 2.0


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


def test_writers_at_the_same_time_leave_one_whole_graph(tmp_path: Path) -> None:
    entry = tmp_path / "entry"
    factors = [3.0, 4.0, 5.0, 6.0]
    with ThreadPoolExecutor(len(factors)) as pool:
        list(pool.map(lambda factor: write(graph(factor), entry), factors))
    assert factor(entry) in factors
    assert [path.name for path in tmp_path.iterdir()] == ["entry"]


def test_a_full_disk_is_an_error_of_the_system_and_leaves_nothing(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # no file may have more bytes
    try:
        with pytest.raises(OSError, match="no room on the disk"):
            write(graph(), tmp_path / "entry")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_entries_have_the_permissions_that_the_umask_gives(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        file = kept_compiled(tmp_path / "cache" / "entry")
    finally:
        os.umask(before)
    entry = tmp_path / "cache" / "entry"
    assert [oct(path.stat().st_mode & 0o777) for path in (entry, entry / "compiled")] == ["0o750"] * 2
    files = (entry / "model.xml", entry / "model.bin", file)
    assert [oct(path.stat().st_mode & 0o777) for path in files] == ["0o640"] * 3


SECOND_USER = """
import os, sys
from pathlib import Path
from test_openvino_cache import compiled_factor, core, factor, graph, holds, write
core().get_property("CPU", "FULL_DEVICE_NAME")  # loads what this user might not be allowed to read
os.setgroups([]), os.setgid(65534), os.setuid(65534)
entry = Path(sys.argv[1])
print(holds(entry), factor(entry), compiled_factor(entry))
try:
    write(graph(4.0), entry)
except OSError as error:
    print(error.strerror)
print(holds(entry), factor(entry), compiled_factor(entry))
"""


@pytest.fixture
def shared(cache: Path) -> Iterator[Path]:
    """A cache that everybody may write to, where everybody can reach it."""
    with tempfile.TemporaryDirectory(prefix="vithybrid-shared-", dir="/tmp") as folder:
        Path(folder).chmod(0o1777)
        yield Path(folder)


def as_second_user(entry: Path) -> list[str]:
    """What a user who does not own the entry finds there, and finds after writing a graph of factor 4."""
    program = [sys.executable, "-c", SECOND_USER, str(entry)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "tests" / "engines"), *sys.path])}
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.skipif(os.name == "nt" or os.getuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        pytest.param(0o755, ["True 3.0 3.0", "True 3.0 3.0"], id="readable"),
        pytest.param(
            0o700, ["False None None", "what is there cannot be read or replaced", "False None None"], id="not readable"
        ),
    ],
)
def test_what_another_user_wrote_is_used_if_it_may_be_read_and_else_is_as_if_missing(
    shared: Path, mode: int, expected: list[str]
) -> None:
    entry = shared / "entry"
    kept_compiled(entry)
    entry.chmod(mode)
    assert as_second_user(entry) == expected
    assert factor(entry) == 3.0


def test_those_used_last_are_kept(tmp_path: Path) -> None:
    entries = [tmp_path / str(index) for index in range(9)]
    for age, entry in enumerate(entries[:-1]):
        write(graph(), entry)
        os.utime(entry, (age, age))
    assert holds(entries[0])  # the oldest, used again
    write(graph(), entries[-1])
    assert {path.name for path in tmp_path.iterdir()} == {"0", *"2345678"}


def test_what_was_begun_and_left_goes_after_a_day(tmp_path: Path) -> None:
    left, fresh = tmp_path / ".entry.1234.part", tmp_path / ".entry.5678.part"
    left.mkdir()
    fresh.mkdir()
    os.utime(left, (0, 0))
    write(graph(), tmp_path / "entry")
    assert {path.name for path in tmp_path.iterdir()} == {"entry", fresh.name}
