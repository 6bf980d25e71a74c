"""``vithybrid info`` tells what a checkpoint is, for people and for programs, without loading it."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from places import GOLDENS
from small_checkpoints import PLAIN, jax_arrays, write_npz, write_timm
from typer.testing import CliRunner
from warm import program

from vithybrid_cli.commands.app import app
from vithybrid_cli.model.config import VitConfig

SCALED = replace(PLAIN, encoder=replace(PLAIN.encoder, layer_scale=True))

GOLDEN = GOLDENS / "hf-hybrid-small"
LABELS = [
    "tench, Tinca tinca",
    "crane",
    "crane",
    "tabby, tabby cat",
    "maillot, tank suit",
    "émeu",
    'a"quoted"',
    "a,comma",
]
TEXT = """\
folder            {folder}
layout            transformers
convert           would write a ViTHybridForImageClassification folder for transformers up to 4.57
weights
  files           model.safetensors
  bytes           426,624
  dtypes          F32
  tensors         104
  parameters      103,384
network
  family          Hybrid ViT
  image_size      64×64
  backbone        BiT, 1+2+1 blocks, channels 16→32→64→128
  tokens          4×4 patches of 1×1, and CLS
  encoder         3 layers, width 48, 4 heads, MLP 96, gelu
  pooling         CLS token
  scores          softmax, one label is right
preprocessing
  size            shortest edge 64
  resample        bicubic
  crop_size       64×64
  rescale_factor  0.00392157
  image_mean      0.5, 0.5, 0.5
  image_std       0.5, 0.5, 0.5
labels
  count           8
  first           tench, Tinca tinca; crane; crane; tabby, tabby cat; maillot, tank suit
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the reference checkpoint, to be changed."""
    for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
        shutil.copyfile(GOLDEN / name, tmp_path / name)
    return tmp_path


def run(*arguments: str, charset: str = "utf-8") -> Any:
    """Run info in this process; the result has exit_code, stdout and stderr."""
    return CliRunner(charset=charset).invoke(app, ["info", *arguments], catch_exceptions=False)


def facts(*arguments: str, said: str = "") -> Any:
    done = run(*arguments)
    assert (done.exit_code, done.stderr.partition(":")[0]) == (0, said)
    return json.loads(done.stdout)


def change(file: Path, **values: Any) -> None:
    content = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**content, **values}), encoding="utf-8")


def test_people_get_aligned_lines_by_section() -> None:
    done = run(str(GOLDEN), "-f", "text")
    assert done.stdout == TEXT.format(folder=GOLDEN)
    assert (done.exit_code, done.stderr) == (0, "")


def test_a_pipe_gets_one_json_object() -> None:
    found = facts(str(GOLDEN))
    assert list(found) == ["folder", "layout", "convert", "weights", "network", "preprocessing", "labels"]
    assert found["folder"] == str(GOLDEN)
    assert found["weights"] == {
        "files": ["model.safetensors"],
        "bytes": (GOLDEN / "model.safetensors").stat().st_size,
        "dtypes": ["F32"],
        "tensors": 104,
        "parameters": 103_384,
    }
    assert found["preprocessing"]["image_mean"] == [0.5, 0.5, 0.5]
    assert found["labels"] == {"count": 8, "first": LABELS[:5]}


@pytest.mark.parametrize(
    ("problem", "scores"),
    [
        pytest.param("multi_label_classification", "sigmoid, each label by itself", id="several labels"),
        pytest.param("regression", "none, the values as they are", id="values"),
    ],
)
def test_what_makes_scores_is_said(problem: str, scores: str, folder: Path) -> None:
    change(folder / "config.json", problem_type=problem)
    assert facts(str(folder))["network"]["scores"] == scores


def test_all_labels_are_listed_with_their_index_on_request() -> None:
    assert facts(str(GOLDEN), "--labels")["labels"] == {str(index): label for index, label in enumerate(LABELS)}
    lines = run(str(GOLDEN), "--labels", "-f", "text").stdout.splitlines()
    assert lines[-8:] == [f"  {index:<16}{label}" for index, label in enumerate(LABELS)]


CLASSIFIER = "would write a {}ForImageClassification folder for transformers"


@pytest.mark.parametrize(
    ("name", "layout", "family", "pooling", "convert"),
    [
        pytest.param("hf-vit", "transformers", "ViT", "CLS token", CLASSIFIER.format("ViT"), id="ViT"),
        pytest.param("hf-deit", "transformers", "DeiT", "CLS token", CLASSIFIER.format("DeiT"), id="DeiT"),
        pytest.param(
            "hf-deit-distilled",
            "transformers",
            "DeiT",
            "CLS and distillation token, each read by a head of its own; their mean",
            "would write a DeiTForImageClassificationWithTeacher folder for transformers",
            id="distilled",
        ),
        pytest.param("hf-beit", "transformers", "BEiT", "mean of the patches", CLASSIFIER.format("Beit"), id="BEiT"),
        pytest.param("hf-bit", "transformers", "BiT", "mean of the feature map", CLASSIFIER.format("Bit"), id="BiT"),
        pytest.param(
            "timm-hybrid", "timm", "Hybrid ViT", "CLS token", CLASSIFIER.format("ViTHybrid") + " up to 4.57", id="timm"
        ),
        pytest.param(
            "jax-hybrid/R50+ViT.npz",
            "Google JAX",
            "Hybrid ViT",
            "CLS token",
            CLASSIFIER.format("ViTHybrid") + " up to 4.57",
            id="JAX",
        ),
    ],
)
def test_each_layout_and_family_is_named_with_what_it_converts_to(
    name: str, layout: str, family: str, pooling: str, convert: str
) -> None:
    found = facts(str(GOLDEN.parent / name))
    network = found["network"]
    described = (found["layout"], network["family"], network["pooling"], found["convert"])
    assert described == (layout, family, pooling, convert)


def test_a_distillation_token_is_counted_with_the_tokens() -> None:
    assert facts(str(GOLDEN.parent / "hf-deit"))["network"]["tokens"] == (
        "8×8 patches of 8×8, CLS and a distillation token"
    )


@pytest.mark.parametrize(
    ("config", "tokens", "pooling", "convert"),
    [
        pytest.param(
            replace(SCALED, only_patches_have_positions=True),
            "2×2 patches of 16×16, and CLS without a position",
            "CLS token",
            "not possible: transformers has no ViT with scaled branches (LayerScale).",
            id="DeiT-3",
        ),
        pytest.param(
            replace(SCALED, class_token=False, mean_pooling=True, norm_before_pooling=True),
            "2×2 patches of 16×16",
            "mean of the normalised patches",
            "not possible: transformers has no ViT without a CLS token.",
            id="no CLS",
        ),
    ],
)
def test_parts_that_only_networks_of_timm_have_are_named(
    config: VitConfig, tokens: str, pooling: str, convert: str, tmp_path: Path
) -> None:
    pool = "avg" if config.mean_pooling else "token"
    found = facts(str(write_timm(tmp_path, config, "vit_base_patch16_224", global_pool=pool)))
    assert (found["network"]["tokens"], found["network"]["pooling"], found["convert"]) == (tokens, pooling, convert)
    assert found["network"]["encoder"] == "2 layers, width 64, 1 heads, MLP 128, gelu, LayerScale"


def test_a_single_file_is_called_one_and_counted_without_the_rest_of_a_training_state(tmp_path: Path) -> None:
    arrays = jax_arrays(replace(PLAIN, labels=(), pooler=True), "opt/target/")
    file = write_npz(tmp_path / "x.npz", {**arrays, "opt/state/step": np.array(3)})
    found = facts(str(file))
    assert next(iter(found)) == "file"
    assert found["weights"] == {
        "files": ["x.npz"],
        "bytes": file.stat().st_size,
        "dtypes": ["F32"],
        "tensors": len(arrays),
        "parameters": sum(array.size for array in arrays.values()),
    }
    assert found["network"]["pooling"] == "CLS token, through a linear layer and tanh"
    assert found["labels"] == {"count": 0, "first": []}


@pytest.mark.parametrize("arguments", [[], ["--labels"]], ids=["few", "all"])
def test_a_network_without_a_head_says_what_can_be_done_with_it(arguments: list[str], tmp_path: Path) -> None:
    file = write_npz(tmp_path / "x.npz", jax_arrays(replace(PLAIN, labels=())))
    lines = run(str(file), "-f", "text", *arguments).stdout.splitlines()
    assert lines[-1] == "labels            none: no head; `embed` gives its features"


@pytest.mark.parametrize(
    ("switch", "gone"),
    [
        pytest.param("do_resize", ["size", "resample"], id="resize"),
        pytest.param("do_center_crop", ["crop_size"], id="crop"),
        pytest.param("do_rescale", ["rescale_factor"], id="rescale"),
        pytest.param("do_normalize", ["image_mean", "image_std"], id="normalise"),
    ],
)
def test_a_step_that_is_switched_off_is_not_shown(folder: Path, switch: str, gone: list[str]) -> None:
    change(folder / "preprocessor_config.json", **{switch: False})
    names = ["size", "resample", "crop_size", "rescale_factor", "image_mean", "image_std"]
    assert list(facts(str(folder), "--quiet")["preprocessing"]) == [name for name in names if name not in gone]


def test_a_preprocessing_without_any_step_is_none(folder: Path) -> None:
    switches = ("do_resize", "do_center_crop", "do_rescale", "do_normalize")
    change(folder / "preprocessor_config.json", **dict.fromkeys(switches, False))
    assert "preprocessing\n  none\nlabels\n" in run(str(folder), "-f", "text").stdout


@pytest.mark.parametrize(("number", "name"), [(0, "nearest"), (1, "lanczos"), (2, "bilinear"), (3, "bicubic")])
def test_the_filter_is_shown_by_its_name(folder: Path, number: int, name: str) -> None:
    change(folder / "preprocessor_config.json", resample=number)
    assert facts(str(folder))["preprocessing"]["resample"] == name


def test_without_a_preprocessor_config_it_is_the_one_that_will_be_used(folder: Path) -> None:
    (folder / "preprocessor_config.json").unlink()
    found = facts(str(folder), said=f"{folder} has no preprocessor_config.json")
    assert found["preprocessing"] == facts(str(GOLDEN))["preprocessing"]


def test_a_preprocessor_that_does_not_fit_is_an_error(folder: Path) -> None:
    change(folder / "preprocessor_config.json", crop_size={"height": 48, "width": 40})
    done = run(str(folder))
    assert done.exit_code == 3
    assert "The model takes 64×64 pixels, but its preprocessor_config.json makes 40×48." in done.stderr


def test_weights_in_several_files_are_added_up(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    index = {"weight_map": {"x": "model-1.safetensors", "y": "model-1.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    weights = facts(str(folder))["weights"]
    assert (weights["files"], weights["parameters"]) == (["model-1.safetensors"], 103_384)


STEERING = "red\x1b[31m\x9b31m\u202egpj"


@pytest.mark.parametrize("output_format", ["text", "json"])
def test_labels_cannot_send_commands_to_the_terminal(folder: Path, output_format: str) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    change(folder / "config.json", id2label={**config["id2label"], "0": STEERING})
    written = run(str(folder), "--labels", "-f", output_format).stdout
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", written)
    assert output_format == "text" or json.loads(written)["labels"]["0"] == STEERING


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no undecodable names")
def test_json_gives_an_undecodable_folder_back_and_text_shows_it(folder: Path) -> None:
    odd = os.fsdecode(b"caf\xe9")
    (folder / odd).symlink_to(folder)
    assert facts(str(folder / odd))["folder"] == str(folder / odd)
    assert run(str(folder / odd), "-f", "text").stdout.splitlines()[0].endswith(r"caf\udce9")


def test_json_is_utf8_whatever_the_locale() -> None:
    written = run(str(GOLDEN), "--labels", "-f", "json", charset="latin-1").stdout_bytes
    assert json.loads(written.decode("utf-8")) == facts(str(GOLDEN), "--labels")


def test_text_needs_no_more_than_the_encoding_has() -> None:
    lines = run(str(GOLDEN), "--labels", "-f", "text", charset="latin-1").stdout_bytes.decode("latin-1").splitlines()
    assert "  image_size      64×64" in lines
    assert r"  backbone        BiT, 1+2+1 blocks, channels 16\u219232\u219264\u2192128" in lines
    assert "  5               émeu" in lines


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        pytest.param("model.safetensors", None, "holds no model.safetensors", id="no weights"),
        pytest.param("model.safetensors", b"\x10", "model.safetensors cannot be read", id="damaged weights"),
        pytest.param("config.json", None, "holds no config.json", id="no config"),
        pytest.param("config.json", b"{", "config.json cannot be read", id="damaged config"),
        pytest.param("config.json", b"[]", "holds no JSON object", id="config of another kind"),
        pytest.param("preprocessor_config.json", b"{", "preprocessor_config.json cannot be read", id="preprocessing"),
    ],
)
def test_a_folder_that_is_no_whole_checkpoint_exits_with_3(
    folder: Path, name: str, content: bytes | None, says: str
) -> None:
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    done = run(str(folder))
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert (done.exit_code, done.stdout) == (3, "")


def test_weights_that_are_cut_off_are_named(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    done = run(str(folder))
    assert f"{weights} cannot be read" in done.stderr
    assert done.exit_code == 3


def test_a_pickle_is_refused_with_the_reason(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    done = run(str(folder))
    assert "pickle" in done.stderr
    assert done.exit_code == 3


def test_a_model_that_is_not_there_exits_with_3() -> None:
    done = run("./no/such/folder")
    assert "There is no folder or file" in done.stderr
    assert (done.exit_code, done.stdout) == (3, "")


def test_an_unknown_format_exits_with_2() -> None:
    assert run(str(GOLDEN), "-f", "yaml").exit_code == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a file that is always full")
@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["info", "tiny"], id="json"),
        pytest.param(["info", "tiny", "-f", "text"], id="text"),
        pytest.param(["download", "tiny"], id="download"),
    ],
)
def test_a_full_disk_is_one_line(arguments: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        command = [*program(), *arguments]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("vithybrid: Cannot write to stdout: No space left on device.")
    assert len(done.stderr.splitlines()) == 1


def test_weights_that_do_not_fit_the_config_are_an_error_as_for_classify(folder: Path) -> None:
    change(folder / "config.json", num_hidden_layers=1)
    done = run(str(folder))
    assert (done.exit_code, done.stdout) == (3, "")
    assert "do not fit its config.json; " in done.stderr
    assert done.stderr.endswith("Use the config.json that was saved with these weights, or another checkpoint.\n")


def test_a_config_that_begins_with_a_byte_order_mark_is_read(folder: Path) -> None:
    before = facts(str(folder))
    config = folder / "config.json"
    config.write_bytes(b"\xef\xbb\xbf" + config.read_bytes())
    assert facts(str(folder)) == before
