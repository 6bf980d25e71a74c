"""Files and folders that are given as a checkpoint and are none: each is named for what it is, with the next step."""

import gzip
import json
import shutil
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from places import GOLDENS
from safetensors.torch import load_file, save_file
from small_checkpoints import PLAIN, write_timm
from typer.testing import CliRunner

from vithybrid_cli.commands.app import app

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 346293852\n"
PAGE = b"\n<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>"
CONFIG = (GOLDENS / "hf-vit" / "config.json").read_bytes()


def said(path: Path) -> str:
    """The one line that `info` says of what it cannot read; all commands read checkpoints alike."""
    done = CliRunner().invoke(app, ["info", str(path)], catch_exceptions=False)
    assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (3, "", 1)
    return done.stderr.removeprefix("vithybrid: ").rstrip("\n")


def fill(folder: Path, files: Mapping[str, bytes | str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of a whole checkpoint, to damage."""
    return Path(shutil.copytree(GOLDENS / "hf-vit", tmp_path / "vit"))


# Files that are not what their names say


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "preprocessor_config.json"])
def test_a_git_lfs_pointer_is_named(name: str, folder: Path) -> None:
    (folder / name).write_bytes(POINTER)
    assert said(folder) == (
        f"{folder / name} is a Git-LFS pointer, which stands for 346,293,852 bytes, and not the file itself. "
        "Run `git lfs install` and `git lfs pull` in its folder, or name the model by its hub id."
    )


@pytest.mark.parametrize("name", ["model.npz", "pytorch_model.bin", "x.safetensors", "best.pth"])
def test_a_git_lfs_pointer_by_itself_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(POINTER)
    assert "is a Git-LFS pointer" in said(tmp_path / name)


def test_a_git_lfs_pointer_of_an_index_or_a_shard_is_named(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    (folder / "model-00002-of-00002.safetensors").write_bytes(POINTER)
    (folder / "model.safetensors.index.json").write_bytes(POINTER)
    assert f"{folder / 'model.safetensors.index.json'} is a Git-LFS pointer" in said(folder)
    parts = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": parts}), encoding="utf-8")
    assert f"{folder / parts['b']} is a Git-LFS pointer" in said(folder)


OTHER_CONTENT = {
    "a page": (PAGE, "is a web page, as a browser saves an error or a login"),
    "an error of a bucket": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "is an XML document"),
    "an error of a hub": (b'{"error": "Repository not found"}', "is a text (JSON), as servers send for an error"),
    "a pickle": (b"\x80\x02}q\x00.", "is a pickle, which can run any code"),
    "a file of torch.save": (b"PK\x03\x04" + bytes(26) + b"x/data.pkl", "is a pickle of torch.save, which can run"),
    "a zip": (b"PK\x03\x04" + bytes(40), "is a zip archive. Unpack it"),
    "Keras": (b"\x89HDF\r\n\x1a\n" + bytes(40), "is an HDF5 file, as Keras"),
    "GGUF": (b"GGUF\x03\0\0\0" + bytes(40), "is a GGUF file"),
    "gzip": (gzip.compress(b"x"), "is a gzip archive"),
    "tar": (bytes(257) + b"ustar" + bytes(300), "is a tar archive"),
    "a picture": (b"\xff\xd8\xff\xe0" + bytes(40), "is a JPEG picture"),
    "nothing": (b"", "cannot be read (it is empty)"),
}


@pytest.mark.parametrize("kind", OTHER_CONTENT)
def test_what_lies_under_the_name_of_weights_is_named(kind: str, folder: Path) -> None:
    content, says = OTHER_CONTENT[kind]
    (folder / "model.safetensors").write_bytes(content)
    line = said(folder)
    assert line.startswith(f"{folder / 'model.safetensors'} {says}")
    assert line.endswith(".")


@pytest.mark.parametrize(
    ("cut", "says"),
    [
        pytest.param(
            lambda content: content[:-10], "cannot be read (it is cut off: 10 of its {:,} bytes lack)", id="end"
        ),
        pytest.param(lambda content: content + b"abc", "cannot be read (it has 3 bytes more than", id="too long"),
        pytest.param(lambda content: content[:100], "cannot be read (it is cut off", id="within the header"),
        pytest.param(lambda content: content[:8], "cannot be read", id="before the header"),
        pytest.param(lambda content: struct.pack("<Q", 2**63) + content[8:], "cannot be read", id="a wrong length"),
    ],
)
def test_weights_that_are_cut_off_say_how_much_is_missing(
    cut: Callable[[bytes], bytes], says: str, folder: Path
) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(cut(content))
    assert says.format(len(content)) in said(folder)
    assert said(folder).endswith("Fetch the checkpoint again.")


# Weights that are no weights


@pytest.mark.parametrize(
    "dtype", [torch.int8, torch.uint8, torch.int64, torch.float8_e4m3fn, torch.float8_e5m2, torch.bool]
)
def test_numbers_that_are_no_weights_are_named_by_their_type(dtype: torch.dtype, folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    name = "vit.encoder.layer.0.intermediate.dense.weight"
    save_file({**tensors, name: tensors[name].to(dtype)}, folder / "model.safetensors")
    line = said(folder)
    assert f"are of type {'BOOL' if dtype is torch.bool else ''}" in line
    assert f"so they are quantised or no weights: {name}." in line


@pytest.mark.parametrize("layout", ["transformers", "timm"])
def test_a_config_that_says_quantised_is_believed(layout: str, folder: Path, tmp_path: Path) -> None:
    if layout == "timm":
        folder = write_timm(tmp_path / "timm", PLAIN, "vit_tiny_patch16_224")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    quantization = {"quant_method": "bitsandbytes", "load_in_8bit": True}
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": quantization}), encoding="utf-8")
    line = said(folder)
    assert (
        f"The weights in {folder} are quantised (bitsandbytes), as its config.json says (quantization_config)." in line
    )
    assert "Use the checkpoint that it was made from" in line


@pytest.mark.parametrize("empty", [None, {}])
def test_an_empty_quantization_config_is_none(empty: Any, folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": empty}), encoding="utf-8")
    assert CliRunner().invoke(app, ["info", str(folder)]).exit_code == 0


# Folders

ADAPTER = '{"peft_type": "LORA", "base_model_name_or_path": "google/vit-base-patch16-224-in21k"}'
OPTIMIZER = {"optimizer.pt": b"x", "scheduler.pt": b"x", "rng_state.pth": b"x", "training_args.bin": b"x"}
STATE = '{"best_model_checkpoint": "/home/somebody/out/checkpoint-500", "epoch": 3.0}'

FOLDERS: dict[str, tuple[dict[str, bytes | str], tuple[str, ...]]] = {
    "an adapter": (
        {"adapter_config.json": ADAPTER, "adapter_model.safetensors": b"x", "README.md": b""},
        (
            "holds an adapter (LORA) of google/vit-base-patch16-224-in21k without the network that it changes",
            "Merge it into its base (`merge_and_unload` of PEFT)",
        ),
    ),
    "an adapter and a config": (
        {"adapter_config.json": ADAPTER, "adapter_model.bin": b"x", "config.json": CONFIG},
        ("holds an adapter (LORA) of google/vit-base-patch16-224-in21k",),
    ),
    "an adapter that does not say of what": (
        {"adapter_config.json": "{}", "adapter_model.safetensors": b"x"},
        ("holds an adapter without the network that it changes",),
    ),
    "a run": (
        {
            f"checkpoint-{step}/{name}": b"x"
            for step in (500, 1000, 90)
            for name in ("model.safetensors", "config.json")
        },
        (
            "holds no config.json, but the checkpoints of a training run: checkpoint-90, checkpoint-500, "
            "checkpoint-1000 (checkpoint-1000 is the newest)",
            "Name one of these folders.",
        ),
    ),
    "a run that knows its best": (
        {"checkpoint-500/config.json": b"x", "checkpoint-1000/trainer_state.json": STATE, "training_args.bin": b"x"},
        ("checkpoint-500, checkpoint-1000 (checkpoint-500 is the best, checkpoint-1000 is the newest)",),
    ),
    "a run with a config": (
        {"config.json": CONFIG, "checkpoint-7/model.safetensors": b"x", "runs/x": b"x"},
        ("holds no model.safetensors, but the checkpoints of a training run: checkpoint-7",),
    ),
    "a folder of folders": (
        {"cats/config.json": CONFIG, "dogs/config.json": CONFIG, "notes.txt": b"x"},
        ("holds no config.json, but folders that do: cats, dogs.", "Name one of these folders."),
    ),
    "a folder in a folder": (
        {"vit-base/config.json": CONFIG, "vit-base/model.safetensors": b"x"},
        ("holds no config.json, but its folder vit-base does.", "Name that folder."),
    ),
    "an optimizer": (
        {"config.json": CONFIG, **OPTIMIZER},
        ("holds no model.safetensors, but the state of a training run (optimizer.pt", "which has no weights"),
    ),
    "an optimizer alone": (dict(OPTIMIZER), ("holds no config.json, but the state of a training run",)),
    "DeepSpeed": (
        {"config.json": CONFIG, "latest": b"x", "zero_to_fp32.py": b"", "global_step500/x.pt": b"x", **OPTIMIZER},
        ("holds the parts that DeepSpeed's processes saved", "Run its zero_to_fp32.py"),
    ),
    "FSDP": (
        {"config.json": CONFIG, "pytorch_model_fsdp_0/__0_0.distcp": b"x", "optimizer_0/__0_0.distcp": b"x"},
        ("pytorch_model_fsdp_0 holds the parts that the processes of a distributed run", "`accelerate merge-weights`"),
    ),
    "parts of a distributed run": (
        {"__0_0.distcp": b"x", "__1_0.distcp": b"x", ".metadata": b"x"},
        ("holds the parts that the processes of a distributed run",),
    ),
    "TensorFlow": (
        {"config.json": CONFIG, "tf_model.h5": b"x"},
        ("holds no model.safetensors, but TensorFlow weights (tf_model.h5)", "transformers (from_tf=True)"),
    ),
    "Flax": ({"config.json": CONFIG, "flax_model.msgpack": b"x"}, ("but Flax weights", "(from_flax=True)")),
    "ONNX": ({"config.json": CONFIG, "model.onnx": b"x"}, ("but an ONNX model (model.onnx)",)),
    "OpenVINO": (
        {"config.json": CONFIG, "openvino_model.xml": b"x", "openvino_model.bin": b"x"},
        ("but an OpenVINO model (openvino_model.bin, openvino_model.xml)",),
    ),
    "GGUF": ({"vit-q4.gguf": b"x"}, ("but a GGUF model",)),
    "a SavedModel": ({"saved_model.pb": b"x", "variables/x": b"x"}, ("but a TensorFlow model (saved_model.pb)",)),
    "an archive": ({"vit.zip": b"x"}, ("but an archive (vit.zip)", "Unpack it and name the folder that comes out")),
    "pictures": (
        {"cat.jpg": b"x", "dog.PNG": b"x"},
        ("holds pictures (cat.jpg, dog.PNG) and no checkpoint", "a checkpoint's folder or name as --model"),
    ),
    "a data set": (
        {"train/cat/1.jpg": b"x", "val/x.jpg": b"x", "cat/2.jpg": b"x"},
        ("holds pictures (cat/, train/, val/) and no checkpoint",),
    ),
    "a data set of tables": (
        {"train-00000-of-00001.parquet": b"x", "README.md": b"x"},
        ("holds a data set (train-00000-of-00001.parquet) and no checkpoint",),
    ),
    "a data set saved to the disk": (
        {"dataset_info.json": b"{}", "data-00000-of-00001.arrow": b"x", "state.json": b"{}"},
        ("holds a data set (data-00000-of-00001.arrow, dataset_info.json)", "as --model"),
    ),
    "diffusers": (
        {"model_index.json": b"{}", "vae/config.json": b"{}", "unet/config.json": b"{}"},
        ("holds a pipeline of diffusers, which is not read here",),
    ),
    "sentence-transformers": (
        {"modules.json": b"[]", "0_CLIPModel/config.json": b"{}"},
        ("holds a model of sentence-transformers",),
    ),
    "a download that broke off": (
        {"config.json": CONFIG, "model.safetensors.incomplete": b"x"},
        ("holds no model.safetensors, but a download that was not finished (model.safetensors.incomplete).",),
    ),
    "a download of the hub's client that broke off": (
        {"config.json": CONFIG, ".cache/huggingface/download/a.b.incomplete": b"x"},
        ("is not complete: model.safetensors is missing; a download broke off. Fetch the checkpoint again.",),
    ),
    "folders in folders": (
        {"runs/best/config.json": CONFIG, "runs/last/config.json": CONFIG},
        ("holds no config.json, but folders that do: runs/best, runs/last.",),
    ),
    "the folder of the hub's cache": (
        {"hub/models--google--vit/refs/main": b"x"},
        ("holds the cache of the hub's client. Name a model's hub id.",),
    ),
    "pickles in parts without an index": (
        {"config.json": CONFIG, "pytorch_model-00001-of-00002.bin": b"x"},
        ("holds 1 of 2 parts of its weights", "but no pytorch_model.bin.index.json"),
    ),
    "parts without an index": (
        {"config.json": CONFIG, "model-00001-of-00003.safetensors": b"x", "model-00002-of-00003.safetensors": b"x"},
        ("holds 2 of 3 parts of its weights", "but no model.safetensors.index.json", "Fetch the checkpoint again"),
    ),
    "another name": (
        {"config.json": CONFIG, "pytorch_model.safetensors": b"x"},
        ("holds no model.safetensors, but pytorch_model.safetensors.", "Name that file instead of its folder."),
    ),
    "several other names": (
        {"config.json": CONFIG, "best.safetensors": b"x", "last.safetensors": b"x"},
        ("holds no model.safetensors, but best.safetensors, last.safetensors.", "Name one of these files."),
    ),
    "weights alone": (
        {"model.safetensors": b"x"},
        ("holds no config.json, but weights (model.safetensors).", "Put the config.json of their network beside them."),
    ),
    "timm's run": (
        {"model_best.pth.tar": b"x", "args.yaml": b"x", "summary.csv": b"x"},
        ("holds its weights as a pickle (model_best.pth.tar), which can run any code", "--trust-pickle"),
    ),
    "Lightning's run": (
        {"version_0/checkpoints/epoch=3-step=40.ckpt": b"x", "version_0/hparams.yaml": b"x"},
        ("holds its weights as a pickle (version_0/checkpoints/epoch=3-step=40.ckpt), which can", "--trust-pickle"),
    ),
    "all of a distributed run in one pickle": (
        {"config.json": CONFIG, "pytorch_model_fsdp.bin": b"x"},
        ("holds its weights as a pickle (pytorch_model_fsdp.bin)",),
    ),
    "a pickle": (
        {"config.json": CONFIG, "model_best.pth": b"x", **OPTIMIZER},
        ("holds its weights as a pickle (model_best.pth), which can run any code", "--trust-pickle"),
    ),
    "nothing": ({"README.md": b"x"}, ("holds no config.json, so it is no checkpoint folder",)),
}


@pytest.mark.parametrize("kind", FOLDERS)
def test_a_folder_that_is_no_checkpoint_is_named_for_what_it_is(kind: str, tmp_path: Path) -> None:
    files, says = FOLDERS[kind]
    line = said(fill(tmp_path / "given", files))
    assert str(tmp_path / "given") in line
    assert [words for words in says if words not in line] == []


def cached(folder: Path) -> Path:
    """The hub client's cache of one repository, with an older and a newer commit."""
    repository = folder / "models--google--vit-base"
    files = {f"snapshots/{commit}/config.json": CONFIG for commit in ("a" * 40, "b" * 40)}
    fill(repository, {**files, "refs/main": "a" * 40, "blobs/x": b"x"})
    return repository


def test_a_repository_in_the_hubs_cache_names_its_snapshot(tmp_path: Path) -> None:
    repository = cached(tmp_path)
    snapshot = repository / "snapshots" / ("a" * 40)
    line = said(repository)
    assert line.startswith(f"{repository} is the hub client's cache of google/vit-base, whose files are in {snapshot}.")
    assert str(snapshot) in said(repository / "snapshots")


def test_the_hubs_whole_cache_names_its_models(tmp_path: Path) -> None:
    cached(tmp_path)
    fill(tmp_path / "models--timm--vit_tiny", {"refs/main": b"x"})
    assert "is a cache of the hub's client, with google/vit-base, timm/vit_tiny. Name one of their hub ids." in said(
        tmp_path
    )


FILES = {
    "config.json": "describes a checkpoint, and is none. Name its folder.",
    "preprocessor_config.json": "describes a checkpoint, and is none. Name its folder.",
    "model.safetensors.index.json": "describes a checkpoint, and is none. Name its folder.",
    "model-00001-of-00003.safetensors": "is one of 3 parts of its weights. Name its folder.",
    "adapter_model.safetensors": "holds an adapter (LORA) of google/vit-base-patch16-224-in21k",
    "optimizer.pt": "is the state of a training run, and no network",
    "training_args.bin": "is the state of a training run, and no network",
    "tf_model.h5": "is no weights file that is read here, but TensorFlow weights",
    "flax_model.msgpack": "is no weights file that is read here, but Flax weights",
    "model.onnx": "is no weights file that is read here, but an ONNX model",
    "openvino_model.bin": "is no weights file that is read here, but an OpenVINO model",
    "model.gguf": "is no weights file that is read here, but a GGUF model",
    "model.tar.gz": "is no weights file that is read here, but an archive. Unpack it",
    "model_best.pth.tar": "which can run any code when it is loaded and is never read",
    "MODEL.PTH": "which can run any code when it is loaded and is never read",
    "model.zip": "is no weights file that is read here, but an archive. Unpack it",
    "cat.jpg": "is a picture, and no checkpoint. Give it as an input, and a checkpoint as --model.",
    "weights.dat": "is no weights file. Name a .safetensors or .npz file",
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_checkpoint_is_named_for_what_it_is(name: str, tmp_path: Path) -> None:
    fill(tmp_path, {name: b"x" * 300, "adapter_config.json": ADAPTER})
    assert FILES[name] in said(tmp_path / name)


def test_whole_weights_beside_an_adapter_are_used_and_the_adapter_is_named(folder: Path) -> None:
    (folder / "adapter_config.json").write_text(ADAPTER, encoding="utf-8")
    done = CliRunner().invoke(app, ["info", str(folder)], catch_exceptions=False)
    assert done.exit_code == 0
    assert done.stderr == f"The adapter in {folder} is not applied: its model.safetensors is used as it is.\n"
