"""The OpenVINO engine: the logits of the torch engine, from a graph that is converted once."""

import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from places import EXAMPLES, GOLDENS
from small_checkpoints import LABELS, PLAIN, write_timm
from torch import nn
from typer.testing import CliRunner

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.load import load_network
from vithybrid_cli.choices import Dtype, Feature
from vithybrid_cli.commands.app import app
from vithybrid_cli.engines import openvino_graph
from vithybrid_cli.engines.openvino_convert import network_graph
from vithybrid_cli.engines.openvino_engine import OpenVinoEngine
from vithybrid_cli.engines.openvino_graph import Graph
from vithybrid_cli.engines.openvino_runtime import openvino
from vithybrid_cli.engines.torch_features import load_for
from vithybrid_cli.errors import UsageError
from vithybrid_cli.images.preprocess import Normalization
from vithybrid_cli.model.config import BitClassifierConfig, BitConfig, EncoderConfig, NetworkConfig, VitConfig

SMALL = GOLDENS / "hf-hybrid-small"
FAMILIES = ("hf-vit", "hf-deit", "hf-deit-distilled", "hf-beit", "hf-bit", "timm-hybrid", "jax-hybrid/R50+ViT.npz")
SCALED = replace(PLAIN, encoder=replace(PLAIN.encoder, layer_scale=True))
TOLERANCE = 1e-5  # of the largest logit, in float32
# Of the largest logit, about twice what was measured: a rounded network, not another one.
SHORT_TOLERANCES = {"bfloat16": 0.04, "float16": 0.005}
WAIT = 20.0  # seconds until a test that waits for another thread gives up

Pixels = npt.NDArray[np.uint8]
Logits = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def engine() -> OpenVinoEngine:
    return open_engine(SMALL)


@dataclass
class Recorded:
    """An engine for three cores, and the numbers of streams that its graph was compiled for."""

    engine: OpenVinoEngine
    streams: list[int]


@pytest.fixture
def recorded() -> Recorded:
    folder, streams = Checkpoint.read(SMALL), list[int]()
    graph = Graph(folder, Dtype.FLOAT32)

    def compiled(count: int) -> openvino.CompiledModel:
        streams.append(count)
        return graph.compiled(count)

    return Recorded(OpenVinoEngine(compiled, folder, cores=3), streams)


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VITHYBRID_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def open_engine(folder: Path, dtype: str = "float32", cores: int | None = None) -> OpenVinoEngine:
    return OpenVinoEngine.open(Checkpoint.read(folder), dtype, cores=cores)


def pixels_for(engine: OpenVinoEngine, count: int = 3) -> Pixels:
    height, width = engine.image_size
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)


def reference_logits(folder: Path, pixels: Pixels) -> Logits:
    """The network on torch, on what the reference's processor makes of the pixels."""
    checkpoint = Checkpoint.read(folder)
    with torch.inference_mode():
        values = torch.from_numpy(checkpoint.preprocessing.normalization.apply(pixels))
        return np.asarray(load_network(checkpoint)(values).numpy())


def relative_error(actual: Logits, expected: Logits) -> float:
    """The largest difference as a part of the largest logit."""
    assert actual.shape == expected.shape
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


def written(cache: Path) -> dict[Path, int]:
    """The files of a cache: what is made anew is another file, even under the same name."""
    return {path: path.stat().st_ino for path in cache.rglob("*")}


def entries(cache: Path) -> list[Path]:
    return list((cache / "openvino").iterdir())


def test_pixels_give_the_logits_of_the_network_on_torch(golden: Path) -> None:
    engine = open_engine(golden)
    pixels = pixels_for(engine)
    logits = engine.run(pixels)
    assert logits.dtype == np.float32
    assert relative_error(logits, reference_logits(golden, pixels)) <= TOLERANCE


@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_from_each_place_gives_the_logits_of_its_network_on_torch(name: str) -> None:
    engine = open_engine(GOLDENS / name)
    pixels = pixels_for(engine)
    assert relative_error(engine.run(pixels), reference_logits(GOLDENS / name, pixels)) <= TOLERANCE
    assert relative_error(engine.run(pixels[:1]), reference_logits(GOLDENS / name, pixels[:1])) <= TOLERANCE


@pytest.mark.parametrize(
    ("config", "architecture"),
    [
        pytest.param(replace(SCALED, only_patches_have_positions=True), "deit3_small_patch16_224", id="DeiT-3"),
        pytest.param(replace(SCALED, class_token=False, mean_pooling=True), "vit_base_patch16_224", id="no CLS"),
        pytest.param(
            replace(SCALED, class_token=False, mean_pooling=True, norm_before_pooling=True, absolute_positions=False),
            "vit_medium_patch16_gap_256",
            id="no CLS, mean of norms",
        ),
        pytest.param(
            replace(
                SCALED,
                image_size=(32, 48),
                family="beit",
                encoder=replace(SCALED.encoder, relative_positions="each"),
                absolute_positions=False,
                mean_pooling=True,
            ),
            "beit_base_patch16_224",
            id="BEiT, not square",
        ),
        pytest.param(
            BitClassifierConfig(
                BitConfig(32, (128, 128), (1, 2), preactivation=True, same_padding=False, out_stage=2), LABELS, (64, 96)
            ),
            "resnetv2_50x1_bit",
            id="BiT, not square",
        ),
    ],
)
@pytest.mark.parametrize("feature", [None, Feature.MEAN])
def test_networks_of_timm_give_what_they_give_on_torch(
    config: NetworkConfig, architecture: str, feature: Feature | None, tmp_path: Path
) -> None:
    pool = "avg" if isinstance(config, BitClassifierConfig) or config.mean_pooling else "token"
    checkpoint = Checkpoint.read(write_timm(tmp_path, config, architecture, global_pool=pool))
    engine = OpenVinoEngine.open(checkpoint, "float32", feature)
    pixels = pixels_for(engine)
    with torch.inference_mode():
        values = torch.from_numpy(checkpoint.preprocessing.normalization.apply(pixels))
        expected = np.asarray(load_for(checkpoint, "sdpa", feature)(values).numpy())
    assert relative_error(engine.run(pixels), expected) <= TOLERANCE


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("feature", [None, pytest.param(Feature.MEAN, marks=pytest.mark.thorough)])
def test_what_was_compiled_of_each_family_before_gives_the_same_to_the_last_bit(
    empty_cache: Path, name: str, feature: Feature | None
) -> None:
    checkpoint = Checkpoint.read(GOLDENS / name)
    engine = OpenVinoEngine.open(checkpoint, "float32", feature)
    pixels = pixels_for(engine)
    expected, before = engine.run(pixels), written(empty_cache)
    again = OpenVinoEngine.open(checkpoint, "float32", feature)
    np.testing.assert_array_equal(again.run(pixels), expected)
    assert written(empty_cache) == before


@pytest.mark.parametrize("name", ["hf-vit", "hf-beit", "timm-hybrid", "hf-bit"])
def test_pictures_of_another_size_give_the_logits_of_the_interpolated_network(name: str) -> None:
    checkpoint = Checkpoint.read(GOLDENS / name, 96)
    engine = OpenVinoEngine.open(checkpoint, "float32")
    assert engine.image_size == (96, 96)
    pixels = pixels_for(engine)
    with torch.inference_mode():
        values = torch.from_numpy(checkpoint.preprocessing.normalization.apply(pixels))
        expected = np.asarray(load_network(checkpoint)(values).numpy())
    assert relative_error(engine.run(pixels), expected) <= TOLERANCE


@pytest.mark.parametrize(
    "normalization",
    [
        pytest.param(Normalization(1 / 255, (0.48145466, 0.4578275, 0.40821073), (0.27, 0.26, 0.28)), id="CLIP's"),
        pytest.param(Normalization(1 / 255), id="rescaled only"),
        pytest.param(Normalization(), id="left as they are"),
    ],
)
def test_the_network_sees_the_reference_processors_values_to_the_last_bit(normalization: Normalization) -> None:
    values = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    pixels = np.concatenate([values, values[:, ::-1], values[:, :, ::-1]], axis=-1)
    graph = network_graph(nn.Identity(), normalization, (16, 16))
    compiled = openvino.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    np.testing.assert_array_equal(compiled(pixels)[0], normalization.apply(pixels))


@pytest.mark.parametrize("dtype", SHORT_TOLERANCES)
def test_a_shorter_type_stays_within_its_tolerance(golden: Path, dtype: str) -> None:
    if not openvino_graph.is_native(dtype):
        pytest.skip(f"this processor does not compute in {dtype}")
    engine = open_engine(golden, dtype)
    pixels = pixels_for(engine)
    logits = engine.run(pixels)
    assert logits.dtype == np.float32
    error = relative_error(logits, reference_logits(golden, pixels))
    assert TOLERANCE < error <= SHORT_TOLERANCES[dtype]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_type_that_the_processor_does_not_compute_in_is_wrong_usage(
    dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino.Core, "get_property", lambda *_: ["FP32", "INT8"])
    with pytest.raises(UsageError, match=rf"no instructions for {dtype}, only for float32\. .* engine='torch'"):
        open_engine(SMALL, dtype)


def test_batches_of_any_size_give_what_each_picture_gives_alone(engine: OpenVinoEngine) -> None:
    pixels = pixels_for(engine, 5)
    alone = np.concatenate([engine.run(picture[None]) for picture in pixels])
    for count in (5, 2, 4, 1):
        assert relative_error(engine.run(pixels[:count]), alone[:count]) <= TOLERANCE


def test_calls_from_several_threads_do_not_mix(engine: OpenVinoEngine) -> None:
    assert engine.parallel >= 2
    batches = [pixels_for(engine, 1 + index % 3) + np.uint8(index) for index in range(24)]
    expected = [engine.run(batch) for batch in batches]
    with ThreadPoolExecutor(engine.parallel + 1) as pool:
        for actual, wanted in zip(pool.map(engine.run, batches), expected, strict=True):
            assert relative_error(actual, wanted) <= TOLERANCE


def test_one_picture_runs_on_all_cores_and_a_batch_shares_them_with_others(recorded: Recorded) -> None:
    engine = recorded.engine
    assert engine.parallel == 3
    assert recorded.streams == []
    engine.run(pixels_for(engine, 1))
    assert recorded.streams == [1]
    engine.run(pixels_for(engine, engine.batch_size))
    assert recorded.streams == [1, 3]


def test_the_last_pictures_of_a_run_need_nothing_compiled_anew(recorded: Recorded) -> None:
    engine = recorded.engine
    for count in (engine.batch_size, engine.batch_size, 2):
        engine.run(pixels_for(engine, count))
    assert recorded.streams == [3]


def test_the_logits_of_a_batch_do_not_depend_on_the_batches_before_it(empty_cache: Path) -> None:
    first, second = open_engine(SMALL), open_engine(SMALL)
    pixels = pixels_for(first, 3)
    first.run(pixels_for(first, first.batch_size))
    np.testing.assert_array_equal(first.run(pixels), second.run(pixels))


@pytest.mark.parametrize("cores", [1, 8, 64])
def test_streams_do_not_grow_without_bounds(cores: int) -> None:
    engine = open_engine(SMALL, cores=cores)
    assert (engine.parallel, engine.environment["threads"]) == (min(cores, 8), cores)


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(lambda pixels: pixels[::2], id="every other picture"),
        pytest.param(lambda pixels: pixels[::-1], id="in reverse"),
        pytest.param(lambda pixels: pixels[:, :, ::-1], id="mirrored"),
        pytest.param(lambda pixels: pixels[..., ::-1], id="blue before red"),
        pytest.param(lambda pixels: np.asfortranarray(pixels), id="Fortran order"),
    ],
)
def test_a_view_with_any_strides_is_taken(engine: OpenVinoEngine, view: Callable[[Pixels], Pixels]) -> None:
    strided = view(pixels_for(engine))
    assert not strided.flags.c_contiguous
    np.testing.assert_array_equal(engine.run(strided), engine.run(np.ascontiguousarray(strided)))


def test_a_read_only_array_is_taken_and_not_changed(engine: OpenVinoEngine) -> None:
    pixels = pixels_for(engine)
    before = pixels.copy()
    expected = engine.run(pixels)
    pixels.flags.writeable = False
    np.testing.assert_array_equal(engine.run(pixels), expected)
    np.testing.assert_array_equal(pixels, before)


def test_no_pictures_give_no_rows(engine: OpenVinoEngine) -> None:
    assert engine.run(pixels_for(engine, 0)).shape == (0, len(Checkpoint.read(SMALL).config.labels))


def test_results_are_free_of_later_calls(engine: OpenVinoEngine) -> None:
    first = engine.run(pixels_for(engine))
    kept = first.copy()
    for _ in range(engine.parallel + 1):
        engine.run(255 - pixels_for(engine))
    first += 0  # writeable
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize(("side", "expected"), [(64, 36), (384, 2), (768, 2)])
def test_the_batch_follows_the_size_of_the_pictures(side: int, expected: int) -> None:
    checkpoint = Checkpoint.read(GOLDENS / "hf-bit", side)
    assert OpenVinoEngine.open(checkpoint, "float32").batch_size == expected
    assert OpenVinoEngine.open(checkpoint, "float32", batch_size=5).batch_size == 5


def test_a_network_is_converted_once_for_all_types(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_graph, "native_types", lambda: list(Dtype))
    open_engine(SMALL)
    before = written(empty_cache)
    for dtype in Dtype.FLOAT32, Dtype.BFLOAT16, Dtype.FLOAT16:
        open_engine(SMALL, dtype)
    assert written(empty_cache) == before
    assert len(entries(empty_cache)) == 1


def test_a_network_that_was_converted_before_gives_the_same_logits(empty_cache: Path) -> None:
    first, again = open_engine(SMALL), open_engine(SMALL)
    pixels = pixels_for(first)
    np.testing.assert_array_equal(again.run(pixels), first.run(pixels))


@pytest.mark.parametrize("cores", [1, 3])
def test_what_was_compiled_before_gives_the_same_logits_to_the_last_bit(empty_cache: Path, cores: int) -> None:
    engine = open_engine(SMALL, cores=cores)
    batches = [pixels_for(engine, count) for count in (1, 2, 5)]
    expected = [engine.run(batch) for batch in batches]
    before = written(empty_cache)
    again = open_engine(SMALL, cores=cores)
    for batch, rows in zip(batches, expected, strict=True):
        np.testing.assert_array_equal(again.run(batch), rows)
    assert written(empty_cache) == before


def test_other_weights_in_the_same_place_give_their_own_logits(empty_cache: Path, tmp_path: Path) -> None:
    checkpoint = Path(shutil.copytree(SMALL, tmp_path / "checkpoint"))
    before = open_engine(checkpoint)
    weights = checkpoint / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-2] ^= 1  # an exponent
    weights.write_bytes(content)
    pixels = pixels_for(before)
    after = open_engine(checkpoint).run(pixels)
    assert relative_error(after, before.run(pixels)) > TOLERANCE
    assert relative_error(after, reference_logits(checkpoint, pixels)) <= TOLERANCE


def test_what_is_broken_in_the_cache_is_made_anew(empty_cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = open_engine(SMALL)
    pixels = pixels_for(before)
    before.run(pixels)
    (entry,) = entries(empty_cache)
    os.truncate(entry / "model.bin", 1000)
    assert relative_error(open_engine(SMALL).run(pixels), reference_logits(SMALL, pixels)) <= TOLERANCE
    assert (entry / "model.bin").stat().st_size > 1000
    assert capfd.readouterr() == ("", "")


def test_a_graph_of_operations_that_openvino_does_not_know_is_made_anew(empty_cache: Path) -> None:
    pixels = pixels_for(open_engine(SMALL))
    (entry,) = entries(empty_cache)
    graph = (entry / "model.xml").read_text()
    (entry / "model.xml").write_text(graph.replace('type="MatMul"', 'type="Unknown"'))
    assert relative_error(open_engine(SMALL).run(pixels), reference_logits(SMALL, pixels)) <= TOLERANCE
    assert "Unknown" not in (entry / "model.xml").read_text()


def test_a_cache_that_cannot_be_written_costs_a_warning_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VITHYBRID_CACHE", str(tmp_path / "file" / "cache"))
    engine = open_engine(SMALL)
    pixels = pixels_for(engine)
    assert relative_error(engine.run(pixels), reference_logits(SMALL, pixels)) <= TOLERANCE
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"(Not a directory: {tmp_path}/file/cache/openvino)" in record.getMessage()
    assert "Set VITHYBRID_CACHE to a folder that you can write to" in record.getMessage()


def test_without_a_cache_folder_it_runs_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("VITHYBRID_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    engine = open_engine(SMALL)
    assert engine.run(pixels_for(engine)).shape == (3, 8)
    assert [record.getMessage().partition(" (")[0] for record in caplog.records] == [
        "The network that was converted for OpenVINO cannot be kept"
    ]


def test_only_where_less_is_granted_than_there_is_are_threads_limited() -> None:
    whole, part = (openvino_graph.properties(Dtype.FLOAT32, 1, cores, present=16) for cores in (16, 3))
    assert "INFERENCE_NUM_THREADS" not in whole
    assert part["INFERENCE_NUM_THREADS"] == 3
    assert whole["INFERENCE_PRECISION_HINT"] == part["INFERENCE_PRECISION_HINT"] == "f32"


def test_it_has_the_threads_that_were_asked_for() -> None:
    engine = open_engine(SMALL, cores=1)
    assert (engine.environment["threads"], engine.parallel) == (1, 1)


def test_two_processes_may_convert_at_once_and_nothing_is_sent_or_left(empty_cache: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"  # where OpenVINO's telemetry would leave its traces
    home.mkdir()
    program = [sys.executable, "-m", "vithybrid_cli", "classify", str(EXAMPLES / "cat.png"), "-m", str(SMALL)]
    without_ci = {name: value for name, value in os.environ.items() if name != "CI"}  # which switches telemetry off
    both = [
        subprocess.Popen(
            [*program, "--engine", "openvino"],
            env={**without_ci, "HOME": str(home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    outputs = [process.communicate() for process in both]
    assert [error for _, error in outputs] == [b"", b""]
    assert outputs[0] == outputs[1]
    (entry,) = entries(empty_cache)
    assert sorted(path.name for path in entry.iterdir()) == ["compiled", "model.bin", "model.sha256", "model.xml"]
    assert len(list((entry / "compiled").iterdir())) == 1
    assert list(home.iterdir()) == []


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of 85 MB."""
    encoder = EncoderConfig(num_hidden_layers=3, layer_norm_eps=1e-6)
    config = VitConfig(encoder, LABELS, image_size=(32, 32), patch_size=(16, 16))
    return write_timm(tmp_path_factory.mktemp("large"), config, "vit_base_patch16_224")


@pytest.mark.parametrize(("quiet", "expected"), [([], ["Converting the network for OpenVINO, once"]), (["-q"], [])])
def test_a_long_conversion_is_told_unless_quiet(
    empty_cache: Path, large: Path, quiet: list[str], expected: list[str]
) -> None:
    arguments = ["classify", str(EXAMPLES / "cat.png"), "-m", str(large), "--engine", "openvino", *quiet]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert [line.partition(" for this")[0] for line in done.stderr.splitlines()] == expected
    again = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert (again.stderr, again.stdout) == ("", done.stdout)


@pytest.mark.parametrize("during", ["visit_subgraph", "try_decode_get_attr", "get_op_type"])
def test_ctrl_c_during_a_conversion_is_ctrl_c_and_leaves_nothing(
    empty_cache: Path, during: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not at the top, where it would import OpenVINO ahead of `openvino_runtime`, with its telemetry.
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    called, signals = getattr(TorchScriptPythonDecoder, during), [signal.SIGINT]

    def interrupted(*arguments: object) -> object:
        if signals:
            os.kill(os.getpid(), signals.pop())
        return called(*arguments)

    monkeypatch.setattr(TorchScriptPythonDecoder, during, interrupted)
    arguments = ["classify", str(EXAMPLES / "cat.png"), "-m", str(SMALL), "--engine", "openvino"]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert (done.exit_code, done.output, signals) == (130, "", [])
    assert not (empty_cache / "openvino").exists()


def test_ctrl_c_is_safe_after_networks_have_come_and_gone() -> None:
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from vithybrid_cli.checkpoints.checkpoint import Checkpoint\n"
        "from vithybrid_cli.engines.openvino_engine import OpenVinoEngine\n"
        "folder = Checkpoint.read(Path(sys.argv[1]))\n"
        "first, second = (OpenVinoEngine.open(folder, 'float32') for _ in range(2))\n"
        "for engine in (first, second):\n"
        "    engine.run(np.zeros((1, *engine.image_size, 3), np.uint8))\n"
        "del engine, first\n"
        "del second\n"
        "signal.signal(signal.SIGTERM, lambda number, frame: print('handled'))\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(SMALL)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr
