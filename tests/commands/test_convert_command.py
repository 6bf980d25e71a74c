"""``vithybrid convert``: every layout becomes a folder for transformers, checked, or nothing is left behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from places import GOLDENS
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from small_checkpoints import PLAIN, STEM_ONLY, jax_arrays, write_npz, write_timm
from typer.testing import CliRunner

from vithybrid_cli.checkpoints import convert as converting
from vithybrid_cli.checkpoints.checkpoint import Checkpoint, Layout
from vithybrid_cli.checkpoints.convert import convert_checkpoint, crop_difference
from vithybrid_cli.checkpoints.load import load_network, read_weights
from vithybrid_cli.commands.app import app
from vithybrid_cli.errors import ModelError, UsageError
from vithybrid_cli.images.preprocess import timm_preprocessing
from vithybrid_cli.model.config import VitConfig

EVERY_GOLDEN = (
    *("hf-vit", "hf-deit", "hf-deit-distilled", "hf-beit", "hf-bit", "hf-hybrid-small", "hf-hybrid-patch2-odd"),
    *("timm-hybrid", "jax-hybrid/R50+ViT.npz"),
)
FILES = ["config.json", "model.safetensors", "preprocessor_config.json"]
SHIFT = "transformers may crop a picture one pixel off from timm"


def run(*arguments: str | Path) -> Any:
    """Run convert in this process; the result has exit_code, stdout and stderr."""
    return CliRunner().invoke(app, ["convert", *map(str, arguments)], catch_exceptions=False)


def report(*arguments: str | Path) -> Any:
    done = run(*arguments)
    assert (done.exit_code, done.stderr) == (0, "")
    return json.loads(done.stdout)


def refused(*arguments: str | Path) -> str:
    """The one line on stderr of a conversion that exits with 3."""
    done = run(*arguments)
    assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (3, "", 1)
    return str(done.stderr)


def changed(folder: Path, target: Path, change: Callable[[torch.Tensor], torch.Tensor]) -> Path:
    """A copy of a checkpoint with other weights."""
    target.mkdir()
    for name in FILES:
        (target / name).write_bytes((folder / name).read_bytes())
    tensors = load_file(folder / "model.safetensors")
    save_file({name: change(tensor) for name, tensor in tensors.items()}, target / "model.safetensors")
    return target


@pytest.mark.parametrize("name", EVERY_GOLDEN)
def test_every_layout_and_family_converts_with_equal_outputs(name: str, tmp_path: Path) -> None:
    found = report(GOLDENS / name, tmp_path / "out")
    assert found["check"]["largest_difference"] == found["check"]["allowed"] == 0
    source, result = Checkpoint.read(GOLDENS / name), Checkpoint.read(tmp_path / "out")
    assert (result.layout, result.config) == (Layout.TRANSFORMERS, source.config)
    assert result.preprocessing == source.preprocessing  # what timm rounds otherwise is noted for this package
    before, after = read_weights(source), read_weights(result)
    assert before.keys() == after.keys()
    assert [name for name in before if not torch.equal(before[name], after[name])] == []


def test_folders_that_are_made_on_the_way_are_named(tmp_path: Path) -> None:
    done = run(GOLDENS / "timm-hybrid", tmp_path / "new" / "and newer" / "out")
    assert (done.exit_code, done.stderr) == (0, f"{tmp_path / 'new' / 'and newer'} was missing and is made.\n")


def test_the_folder_holds_three_files_that_all_may_read(tmp_path: Path) -> None:
    run(GOLDENS / "timm-hybrid", tmp_path / "new" / "out")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["out"]
    out = tmp_path / "new" / "out"
    assert sorted(path.name for path in out.iterdir()) == FILES
    (tmp_path / "plain").touch()
    assert (out / "model.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode
    with safe_open(out / "model.safetensors", framework="pt") as weights:
        assert weights.metadata() == {"format": "pt"}


@pytest.mark.parametrize(
    ("name", "processor"), [("hf-hybrid-small", "ViTHybridImageProcessor"), ("hf-vit", "BitImageProcessor")]
)
def test_the_preprocessing_is_one_that_the_versions_with_the_network_have(
    name: str, processor: str, tmp_path: Path
) -> None:
    run(GOLDENS / name, tmp_path / "out")
    written = json.loads((tmp_path / "out" / "preprocessor_config.json").read_text(encoding="utf-8"))
    assert written["image_processor_type"] == processor


def test_people_read_what_was_read_written_and_checked(tmp_path: Path) -> None:
    source, out = write_npz(tmp_path / "x.npz", jax_arrays(STEM_ONLY)), tmp_path / "out"
    assert run(source, out, "-f", "text").stdout == (
        f"""\
read
  file                {source}
  layout              Google JAX
  dtypes              F32
  parameters          203,555
written
  folder              {out}
  layout              transformers
  dtypes              F32
  parameters          203,555
  class               ViTHybridForImageClassification
  read_by             transformers up to 4.57
check
  outputs             logits
  largest_difference  0
  allowed             0
  pictures            {SHIFT}
"""
    )


def test_a_network_without_a_head_becomes_one_of_features(tmp_path: Path) -> None:
    source = write_npz(tmp_path / "x.npz", jax_arrays(replace(PLAIN, labels=(), pooler=True)))
    found = report(source, tmp_path / "out")
    assert found["written"]["class"] == "ViTModel"
    assert found["check"]["outputs"] == "features"
    assert "embeddings.cls_token" in load_file(tmp_path / "out" / "model.safetensors")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", EVERY_GOLDEN)
def test_shorter_types_are_written_within_what_they_can_hold(name: str, dtype: str, tmp_path: Path) -> None:
    check = report(GOLDENS / name, tmp_path / "out", "--weights-dtype", dtype)["check"]
    assert 0 < check["largest_difference"] <= check["allowed"]
    tensors = load_file(tmp_path / "out" / "model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {getattr(torch, dtype)}
    assert json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))["torch_dtype"] == dtype


@pytest.mark.parametrize("dtype", [None, "float16", "float32"], ids=["kept", "the same", "longer"])
def test_a_type_that_holds_all_weights_changes_no_output(dtype: str | None, tmp_path: Path) -> None:
    half = changed(GOLDENS / "hf-vit", tmp_path / "half", lambda tensor: tensor.half())
    found = report(half, tmp_path / "out", *([] if dtype is None else ["--weights-dtype", dtype]))
    assert found["written"]["dtypes"] == ["F32" if dtype == "float32" else "F16"]
    assert found["check"]["largest_difference"] == found["check"]["allowed"] == 0


def test_numbers_too_large_for_the_type_are_no_conversion(tmp_path: Path) -> None:
    large = changed(GOLDENS / "hf-vit", tmp_path / "large", lambda tensor: tensor * 1e6)
    assert "outputs of the result are off by nan where" in refused(
        large, tmp_path / "out", "--weights-dtype", "float16"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["large"]


def test_a_result_that_computes_something_else_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(*arguments: Any) -> dict[str, torch.Tensor]:
        return {name: tensor * 1.01 for name, tensor in read_weights(*arguments).items()}

    monkeypatch.setattr(converting, "read_weights", forgetful)
    (tmp_path / "out").mkdir()
    assert "was not converted: outputs of the result are off by" in refused(GOLDENS / "hf-vit", tmp_path / "out")
    assert [path.name for path in tmp_path.rglob("*")] == ["out"]


def test_an_interrupted_conversion_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(checkpoint: Checkpoint) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(converting, "load_network", interrupted)
    assert run(GOLDENS / "hf-vit", tmp_path / "out").exit_code == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM to handle")
@pytest.mark.parametrize("into", ["a new folder", pytest.param("an empty folder", marks=pytest.mark.thorough)])
def test_a_conversion_that_is_told_to_end_leaves_nothing(into: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    if into == "an empty folder":
        out.mkdir()
    code = (
        "import time\n"
        "from vithybrid_cli.checkpoints import convert\n"
        "from vithybrid_cli.commands.app import app\n"
        "convert.load_network = lambda checkpoint: (print('written', flush=True), time.sleep(60))\n"
        f"app(['convert', {str(GOLDENS / 'hf-vit')!r}, {str(out)!r}])"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == len(FILES)
        process.terminate()
        _, complaints = process.communicate(timeout=60)
    assert (process.returncode, complaints) == (128 + signal.SIGTERM, b"")
    assert [path.name for path in tmp_path.rglob("*")] == (["out"] if into == "an empty folder" else [])


@pytest.mark.parametrize(
    ("config", "architecture", "says"),
    [
        pytest.param(replace(PLAIN, pooler=True), None, "no ViT with a layer (pre_logits)", id="pre-logits and a head"),
        pytest.param(
            replace(PLAIN, mean_pooling=True), "vit_tiny_patch16_224", "whose head reads the mean", id="avg pooling"
        ),
    ],
)
def test_what_transformers_has_no_class_for_is_one_error(
    config: VitConfig, architecture: str | None, says: str, tmp_path: Path
) -> None:
    if architecture is None:
        source = write_npz(tmp_path / "x.npz", jax_arrays(config))
    else:
        source = write_timm(tmp_path / "timm", config, architecture, global_pool="avg")
    assert says in refused(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    described = json.loads(CliRunner().invoke(app, ["info", str(source)]).stdout)
    assert described["convert"].startswith("not possible: transformers has no ViT")


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    done = run(GOLDENS / "hf-vit", tmp_path)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "exists and is no empty folder. Name a new one." in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_file_in_the_way_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="is no empty folder"):
        convert_checkpoint(Checkpoint.read(GOLDENS / "hf-vit"), tmp_path / "out")
    with pytest.raises(UsageError, match="cannot be written"):
        convert_checkpoint(Checkpoint.read(GOLDENS / "hf-vit"), tmp_path / "out" / "below")
    assert (tmp_path / "out").read_text(encoding="utf-8") == "mine"


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    report(GOLDENS / "hf-vit", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_an_empty_folder_stays_the_folder_that_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine").chmod(0o2750)
    before = (tmp_path / "mine").stat()
    monkeypatch.chdir(tmp_path / "mine")  # what a shell calls its working directory, too
    assert report(GOLDENS / "hf-vit", ".")["written"]["folder"] == str(tmp_path / "mine")
    after = (tmp_path / "mine").stat()
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    assert sorted(path.name for path in Path().iterdir()) == FILES


@pytest.mark.parametrize("name", ["~no-such-user-of-mine/out", "circle"])
def test_a_name_that_leads_nowhere_is_wrong_usage(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("circle").symlink_to("circle")
    done = run(GOLDENS / "hf-vit", name)
    assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert "cannot be written" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["circle"]


def test_what_the_labels_are_for_is_kept(tmp_path: Path) -> None:
    source = changed(GOLDENS / "hf-vit", tmp_path / "source", lambda tensor: tensor)
    described = json.loads((source / "config.json").read_text(encoding="utf-8"))
    described["problem_type"] = "multi_label_classification"
    (source / "config.json").write_text(json.dumps(described), encoding="utf-8")
    run(source, tmp_path / "out")
    written = json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))
    assert written["problem_type"] == "multi_label_classification"
    run(GOLDENS / "hf-vit", tmp_path / "other")
    assert "problem_type" not in json.loads((tmp_path / "other" / "config.json").read_text(encoding="utf-8"))


def test_a_hybrid_is_called_what_the_auto_classes_call_it(tmp_path: Path) -> None:
    run(GOLDENS / "timm-hybrid", tmp_path / "out")
    written = json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))
    assert written["model_type"] == "vit_hybrid"


@pytest.mark.parametrize("name", ["./no/such/folder", "~no-such-user-of-mine/folder"])
def test_a_source_that_is_none_exits_with_3(name: str, tmp_path: Path) -> None:
    assert "There is no folder or file" in refused(name, tmp_path / "out")


@pytest.mark.parametrize(
    ("size", "pct", "mode", "says"),
    [
        pytest.param((64, 64), 0.9, "center", SHIFT, id="centre, cut"),
        pytest.param((64, 64), 1.0, "center", SHIFT, id="centre: what is not square is cut"),
        pytest.param((64, 32), 1.0, "center", "does not keep the proportions", id="not square"),
        pytest.param((64, 64), 1.0, "border", "does not keep the proportions", id="border"),
        pytest.param((64, 64), 1.0, "squash", None, id="squashed, nothing cut"),
        pytest.param((65, 65), 0.92, "squash", None, id="squashed, an odd length cut at an even place"),
        pytest.param((64, 64), 0.95, "squash", "crops pictures one pixel off", id="squashed, cut at an odd place"),
    ],
)
def test_a_crop_that_transformers_cannot_make_is_said(
    size: tuple[int, int], pct: float, mode: Any, says: str | None, tmp_path: Path
) -> None:
    source = replace(
        Checkpoint.read(GOLDENS / "timm-hybrid"),
        preprocessing=timm_preprocessing(size, crop_pct=pct, crop_mode=mode),
    )
    found = crop_difference(source)
    assert found is None if says is None else found is not None and says in found


def test_the_preprocessing_of_transformers_is_kept(tmp_path: Path) -> None:
    assert "pictures" not in report(GOLDENS / "hf-vit", tmp_path / "out")["check"]


def test_the_difference_is_that_of_the_outputs(tmp_path: Path) -> None:
    source, out = Checkpoint.read(GOLDENS / "hf-vit"), tmp_path / "out"
    found = convert_checkpoint(source, out, torch.bfloat16)
    pixels = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    before, after = load_network(source)(pixels), load_network(Checkpoint.read(out))(pixels)
    assert found.largest == pytest.approx((before - after).abs().max().item(), rel=1e-3)
    assert found.allowed == pytest.approx(16 * 2**-8 * before.abs().max().item())  # bfloat16 has eight bits


def test_weights_that_are_not_finite_are_not_converted(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(GOLDENS / "hf-vit", source)
    tensors = load_file(source / "model.safetensors")
    name = next(name for name in tensors if name.endswith("layernorm.weight"))
    save_file({**tensors, name: torch.full_like(tensors[name], float("nan"))}, source / "model.safetensors")
    with pytest.raises(ModelError, match="gives outputs that are not finite, so its weights are damaged"):
        convert_checkpoint(Checkpoint.read(source), tmp_path / "out")
    assert not (tmp_path / "out").exists()
