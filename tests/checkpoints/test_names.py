"""Names as they are on people's disks: wrappers' prefixes, tensors that nothing reads, two networks in one file."""

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from small_checkpoints import HYBRID, LABELS, PLAIN, random_weights, write_timm
from torch import Tensor
from typer.testing import CliRunner

from vithybrid_cli.checkpoints.checkpoint import Checkpoint, Layout
from vithybrid_cli.checkpoints.layouts.transformers import write_config
from vithybrid_cli.checkpoints.load import load_network, read_weights, transformers_map
from vithybrid_cli.commands.app import app
from vithybrid_cli.errors import ModelError
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.model.config import BitClassifierConfig, BitConfig, NetworkConfig, VitConfig

BIT = BitClassifierConfig(BitConfig(32, (128, 128), (1, 1), preactivation=True, out_stage=2), LABELS, (64, 64))
DEIT = replace(PLAIN, family="deit", distillation_token=True)
TEACHER = replace(DEIT, distillation_head=True)
BEIT = replace(
    PLAIN,
    family="beit",
    mean_pooling=True,
    absolute_positions=False,
    encoder=replace(PLAIN.encoder, layer_scale=True, relative_positions="shared"),
)


def published(config: NetworkConfig) -> dict[str, Tensor]:
    """The random weights of a network as transformers calls them."""
    tensors = transformers_map(config).from_ours(weights(config))
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def weights(config: NetworkConfig) -> dict[str, Tensor]:
    return random_weights(config)


def write(folder: Path, config: NetworkConfig, tensors: Mapping[str, Tensor], **fields: Any) -> Path:
    """A folder as transformers saves it, but with these tensors and with ``fields`` in its config."""
    folder.mkdir(exist_ok=True)
    save_file({name: tensor.clone() for name, tensor in tensors.items()}, folder / "model.safetensors")
    described = {**write_config(config), **fields}
    (folder / "config.json").write_text(json.dumps(described), encoding="utf-8")
    options = Preprocessing.default(config.image_size).to_dict()
    (folder / "preprocessor_config.json").write_text(json.dumps(options), encoding="utf-8")
    return folder


def same_weights(folder: Path, config: NetworkConfig) -> bool:
    found, expected = read_weights(Checkpoint.read(folder)), transformers_map(config).to_ours(published(config))
    return found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in found)


def refused(folder: Path) -> str:
    with pytest.raises(ModelError) as raised:
        load_network(Checkpoint.read(folder))
    return str(raised.value)


PREFIXES = (
    *("module.", "_orig_mod.", "model.", "net.", "student.", "encoder.", "backbone.", "timm_model.", "vit."),
    *("module._orig_mod.model.", "_forward_module.model.", "a.network.of.somebody."),
)
FAMILIES: dict[str, NetworkConfig] = {
    "ViT": PLAIN,
    "hybrid": HYBRID,
    "DeiT": DEIT,
    "distilled DeiT": TEACHER,
    "BEiT": BEIT,
    "BiT": BIT,
}


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_wrapper_puts_before_all_names_is_taken_off(family: str, prefix: str, tmp_path: Path) -> None:
    config = FAMILIES[family]
    wrapped = {prefix + name: tensor for name, tensor in published(config).items()}
    assert same_weights(write(tmp_path, config, wrapped), config)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_wrapped_network_of_timm_is_known_by_its_tensors(prefix: str, tmp_path: Path) -> None:
    folder = write_timm(tmp_path, HYBRID, "vit_small_r26_s32_224", model_type="timm_wrapper")
    tensors = load_file(folder / "model.safetensors")
    save_file({prefix + name: tensor for name, tensor in tensors.items()}, folder / "model.safetensors")
    checkpoint = Checkpoint.read(folder)
    assert (checkpoint.layout, checkpoint.config) == (Layout.TIMM, HYBRID)
    assert same_weights(folder, HYBRID)
    assert sum(tensor.elements for tensor in checkpoint.tensors()) == sum(map(Tensor.numel, weights(HYBRID).values()))


@pytest.mark.parametrize(
    "inserted",
    [
        pytest.param(lambda name: name.replace("layer.1.", "layer.1._orig_mod."), id="a compiled layer"),
        pytest.param(lambda name: name.replace("layer.0.", "layer.0._checkpoint_wrapped_module."), id="checkpointed"),
        pytest.param(
            lambda name: "_fsdp_wrapped_module." + name.replace("vit.", "vit._fsdp_wrapped_module."), id="FSDP"
        ),
        pytest.param(lambda name: name.replace("vit.", "vit.module."), id="parallel inside"),
        pytest.param(lambda name: name.replace("vit.", ""), id="without the base"),
        pytest.param(lambda name: name.replace("vit.", "deit."), id="another base"),
        pytest.param(lambda name: name.replace("vit.", "model.encoder."), id="the head beside the encoder"),
        pytest.param(
            lambda name: name.replace("vit.", "model.encoder.").replace("classifier", "model.classifier"),
            id="the head in the wrapper of the encoder",
        ),
    ],
)
def test_what_is_put_into_names_is_taken_out(inserted: Any, tmp_path: Path) -> None:
    names = {inserted(name): tensor for name, tensor in published(PLAIN).items()}
    assert names.keys() != published(PLAIN).keys()
    assert same_weights(write(tmp_path, PLAIN, names), PLAIN)


def test_wrapped_shards_load_like_one_file(tmp_path: Path) -> None:
    tensors = {f"module.{name}": tensor for name, tensor in published(PLAIN).items()}
    folder = write(tmp_path, PLAIN, tensors)
    (folder / "model.safetensors").unlink()
    parts = {f"model-0000{part + 1}-of-00002.safetensors": sorted(tensors)[part::2] for part in range(2)}
    for file, names in parts.items():
        save_file({name: tensors[name] for name in names}, folder / file)
    index = {"weight_map": {name: file for file, names in parts.items() for name in names}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    assert same_weights(folder, PLAIN)


VERSION_5 = (
    *((f".attention.attention.{part}.", f".attention.{part[0]}_proj.") for part in ("query", "key", "value")),
    (".attention.attention.relative_position_bias.", ".relative_position_bias."),
    (".attention.output.dense.", ".attention.o_proj."),
    (".intermediate.dense.", ".mlp.fc1."),
    (".output.dense.", ".mlp.fc2."),
    ("encoder.layer.", "layers."),
    ("encoder.relative_position_bias.", "shared_position_bias."),
)


def in_version_5(name: str) -> str:
    """What the network calls it in memory in transformers 5, whose ``save_pretrained`` writes the older names."""
    for old, new in VERSION_5:
        name = name.replace(old, new)
    return name


EACH = replace(BEIT, encoder=replace(BEIT.encoder, relative_positions="each"))


@pytest.mark.parametrize("prefix", ["", "model."])
@pytest.mark.parametrize("config", [PLAIN, TEACHER, BEIT, EACH], ids=["ViT", "DeiT", "BEiT", "BEiT of each layer"])
def test_names_of_transformers_5_are_those_of_version_4(config: NetworkConfig, prefix: str, tmp_path: Path) -> None:
    names = {prefix + in_version_5(name): tensor for name, tensor in published(config).items()}
    assert not any("encoder" in name for name in names)
    assert same_weights(write(tmp_path, config, names), config)


def test_tensors_of_another_library_than_the_configs_are_named(tmp_path: Path) -> None:
    timm = write_timm(tmp_path / "timm", PLAIN, "vit_tiny_patch16_224")
    tensors = load_file(timm / "model.safetensors")
    says = "Its tensors have the names of {}, and its config.json is another library's. Put the config.json of the same"
    assert says.format("timm") in refused(write(tmp_path / "timm's names", PLAIN, tensors))
    save_file(published(PLAIN), timm / "model.safetensors")
    assert says.format("transformers") in refused(timm)
    torchvision = {"conv_proj.weight": torch.zeros(2), "class_token": torch.zeros(2)}
    assert says.format("torchvision") in refused(write(tmp_path / "torchvision's names", PLAIN, torchvision))


# What no network has a use for

MATRIX = torch.zeros(2, 2)
UNUSED = (
    *("loss_fct.weight", "criterion.weight", "loss.pos_weight", "train_loss.weight", "class_weights", "pos_weight"),
    *("n_averaged", "decoder.0.weight", "decode_head.classifier.weight", "auxiliary_head.conv.weight", "fpn1.0.bias"),
    *("projector.0.weight", "dino_head.mlp.0.weight", "val_acc.total", "vit.pooler.dense.weight", "total_ops"),
    *("vit.encoder.layer.0.total_params", "vit.embeddings.position_ids", "vit.embeddings.mask_token"),
)


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("name", UNUSED)
def test_a_tensor_that_nothing_reads_is_left_out_and_named_once(
    name: str, prefix: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "vithybrid_cli")
    tensors = {prefix + key: tensor for key, tensor in {**published(PLAIN), name: MATRIX}.items()}
    assert same_weights(write(tmp_path, PLAIN, tensors), PLAIN)
    said = f"{tmp_path} has a tensor that its network does not use, left out: {name}."
    assert [record.getMessage() for record in caplog.records] == [said]


def test_of_many_such_tensors_eight_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "vithybrid_cli")
    many = {f"decoder.{index}.weight": MATRIX for index in range(10)}
    Checkpoint.read(write(tmp_path, PLAIN, published(PLAIN) | many))
    names = ", ".join(sorted(many)[:8])
    said = f"{tmp_path} has 10 tensors that its network does not use, left out: {names} and 2 more."
    assert [record.getMessage() for record in caplog.records] == [said]


@pytest.mark.parametrize(
    "name", ["mask_token", "pre_logits.fc.weight", "decoder_blocks.0.norm1.weight", "head_dist.bias"]
)
def test_timms_networks_leave_out_what_they_do_not_read(name: str, tmp_path: Path) -> None:
    folder = write_timm(tmp_path, PLAIN, "vit_tiny_patch16_224")
    tensors = load_file(folder / "model.safetensors")
    save_file({**tensors, name: MATRIX}, folder / "model.safetensors")
    assert same_weights(folder, PLAIN)


def test_integers_that_only_count_are_no_weights_of_a_wrong_type(tmp_path: Path) -> None:
    counters = {"vit.embeddings.position_ids": torch.arange(5), "n_averaged": torch.tensor(7)}
    assert same_weights(write(tmp_path, PLAIN, published(PLAIN) | counters), PLAIN)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("vit.encoder.layer.0.adapter.weight", id="in the encoder"),
        pytest.param("vit.encoder.layer.2.layernorm_before.bias", id="a layer too many"),
        pytest.param("vit.embeddings.register_tokens", id="in the embeddings"),
        pytest.param("vit.layernorm.scale", id="in the norm"),
        pytest.param("neither.here.nor.there", id="somewhere"),
    ],
)
def test_what_is_not_known_is_an_error(name: str, tmp_path: Path) -> None:
    said = refused(write(tmp_path, PLAIN, {**published(PLAIN), name: MATRIX}))
    assert f"do not fit its config.json; unexpected: {name}." in said


def test_what_is_missing_is_an_error_whatever_wrapped_it(tmp_path: Path) -> None:
    tensors = {f"module.{name}": tensor for name, tensor in published(PLAIN).items()}
    del tensors["module.vit.layernorm.weight"]
    assert "missing: vit.layernorm.weight." in refused(write(tmp_path, PLAIN, tensors))


@pytest.mark.parametrize("gone", ["embeddings.patch_embeddings.projection.weight", "embeddings.cls_token"])
def test_what_is_missing_is_named_also_where_it_tells_the_network(gone: str, tmp_path: Path) -> None:
    tensors = published(HYBRID)
    del tensors[f"vit.{gone}"]
    assert f"missing: vit.{gone}." in refused(write(tmp_path, HYBRID, tensors))


# A network with another head, or with none


def headless(config: VitConfig) -> dict[str, Tensor]:
    return {
        name: tensor for name, tensor in published(config).items() if not name.startswith(("classifier", "vit.pool"))
    }


@pytest.mark.parametrize("prefix", ["vit.", ""], ids=["inside of a classifier", "alone"])
@pytest.mark.parametrize("named", ["ViTForImageClassification", "ViTModel", "ViTForMaskedImageModeling", None])
def test_a_classifier_without_its_head_gives_features_and_no_labels(
    named: str | None, prefix: str, tmp_path: Path
) -> None:
    tensors = {prefix + name.removeprefix("vit."): tensor for name, tensor in headless(PLAIN).items()}
    folder = write(tmp_path, PLAIN, tensors, architectures=[named] if named else None)
    bare = replace(PLAIN, labels=())
    checkpoint = Checkpoint.read(folder)
    assert checkpoint.config == bare
    found = load_network(checkpoint).state_dict()
    whole = Checkpoint.read(write(tmp_path / "whole", PLAIN, published(PLAIN)))
    expected = load_network(whole, head=False).state_dict()
    assert found.keys() == expected.keys()
    assert [name for name in found if not torch.equal(found[name], expected[name])] == []


def test_half_a_head_is_an_error(tmp_path: Path) -> None:
    tensors = published(PLAIN)
    del tensors["classifier.weight"]
    assert "missing: classifier.weight." in refused(write(tmp_path, PLAIN, tensors))


@pytest.mark.parametrize("config", [PLAIN, DEIT], ids=["ViT", "DeiT"])
def test_masked_pre_training_gives_the_features_of_its_encoder(config: VitConfig, tmp_path: Path) -> None:
    bare = replace(config, labels=())
    mask = torch.ones(1, 1, config.encoder.hidden_size)
    base = "deit" if config is DEIT else "vit"
    tensors = {name: tensor for name, tensor in published(config).items() if not name.startswith("classifier")}
    tensors |= {f"{base}.embeddings.mask_token": mask, "decoder.0.weight": MATRIX, "decoder.0.bias": MATRIX}
    class_name = "DeiTForMaskedImageModeling" if config is DEIT else "ViTForMaskedImageModeling"
    checkpoint = Checkpoint.read(write(tmp_path, config, tensors, architectures=[class_name]))
    assert checkpoint.config == replace(bare, mask_token=True)
    assert "decoder.0.weight" not in {tensor.name for tensor in checkpoint.tensors()}
    assert load_network(checkpoint)(torch.ones(1, 3, 32, 32)).shape == (1, config.encoder.hidden_size)


def test_embed_takes_what_classify_says_has_no_head(tmp_path: Path) -> None:
    tensors = headless(PLAIN) | {"decoder.0.weight": MATRIX}
    folder = write(tmp_path / "masked", PLAIN, tensors, architectures=["ViTForMaskedImageModeling"])
    Image.new("RGB", (40, 30), "red").save(tmp_path / "red.png")
    arguments = [str(tmp_path / "red.png"), "--model", str(folder), "--engine", "torch"]
    embedded, classified = (CliRunner().invoke(app, [command, *arguments]) for command in ("embed", "classify"))
    assert (embedded.exit_code, len(json.loads(embedded.stdout)["embedding"])) == (0, PLAIN.encoder.hidden_size)
    assert embedded.stderr.count("left out: decoder.0.weight.") == 1
    assert classified.exit_code == 3
    assert "has no head that is read here, so it gives no labels" in classified.stderr


def test_a_beit_of_pre_training_normalises_the_mean_of_its_patches(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "vithybrid_cli")
    trained = {name: tensor for name, tensor in published(BEIT).items() if not name.startswith("classifier")}
    bare = {name: tensor for name, tensor in trained.items() if "pooler" not in name}
    wide = BEIT.encoder.hidden_size
    head = {"layernorm.weight": MATRIX, "layernorm.bias": MATRIX, "lm_head.weight": MATRIX, "lm_head.bias": MATRIX}
    classes = ["BeitForMaskedImageModeling"]
    found = load_network(Checkpoint.read(write(tmp_path, BEIT, bare | head, architectures=classes))).state_dict()
    said = [record.getMessage() for record in caplog.records]
    assert said[0].endswith("left out: layernorm.bias, layernorm.weight, lm_head.bias, lm_head.weight.")
    assert "has no norm for the mean of its patches" in said[1]
    whole = trained | {
        "beit.pooler.layernorm.weight": torch.ones(wide),
        "beit.pooler.layernorm.bias": torch.zeros(wide),
    }
    expected = load_network(Checkpoint.read(write(tmp_path / "whole", BEIT, whole, architectures=classes))).state_dict()
    assert found.keys() == expected.keys()
    assert [name for name in found if not torch.equal(found[name], expected[name])] == []


# Two networks in one file


def test_of_a_network_and_its_average_the_average_is_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "vithybrid_cli")
    own = published(PLAIN)
    both = {f"model.{name}": tensor * 2 for name, tensor in own.items()}
    both |= {f"model_ema.module.{name}": tensor for name, tensor in own.items()}
    assert same_weights(write(tmp_path, PLAIN, both), PLAIN)
    said = f"{tmp_path} has 2 networks ('model.' and 'model_ema.'); the averaged one, 'model_ema.', is taken."
    assert [record.getMessage() for record in caplog.records] == [said]


@pytest.mark.parametrize("other", ["teacher.", "ema.", "swa_model.module."])
def test_of_two_networks_the_one_without_a_prefix_is_taken(
    other: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "vithybrid_cli")
    own = published(PLAIN)
    both = own | {other + name: tensor * 2 for name, tensor in own.items()}
    assert same_weights(write(tmp_path, PLAIN, both), PLAIN)
    assert "the one without a prefix is taken" in caplog.records[0].getMessage()


def test_a_student_and_its_teacher_are_an_error(tmp_path: Path) -> None:
    both = {prefix + name: tensor for prefix in ("student.", "teacher.") for name, tensor in published(PLAIN).items()}
    said = refused(write(tmp_path, PLAIN, both))
    assert said == (
        f"{tmp_path} cannot be used: Its weights are 2 networks, with the prefixes 'student.' and 'teacher.'. "
        "Save the one that you want in a file of its own."
    )


def test_two_names_of_one_tensor_are_an_error(tmp_path: Path) -> None:
    tensors = published(PLAIN) | {"module.classifier.bias": torch.zeros(3)}
    said = refused(write(tmp_path, PLAIN, tensors))
    assert (
        "Two of its tensors would be the same one of the network: classifier.bias and module.classifier.bias." in said
    )


@pytest.mark.parametrize(
    "name",
    [
        "vit.encoder.layer.0.attention.attention.query.lora_A.default.weight",
        "base_model.model.vit.encoder.layer.0.attention.attention.query.base_layer.weight",
        "classifier.modules_to_save.default.weight",
    ],
)
def test_an_adapter_that_was_not_merged_is_named(name: str, tmp_path: Path) -> None:
    said = refused(write(tmp_path, PLAIN, {**published(PLAIN), name: MATRIX}))
    assert "have one that was not merged" in said
    assert "merge_and_unload" in said


def test_a_head_of_several_layers_is_left_out_and_the_network_below_gives_features(tmp_path: Path) -> None:
    layers = {f"classifier.{layer}.{part}": torch.zeros(3, 3) for layer in (0, 2) for part in ("weight", "bias")}
    folder = write(tmp_path / "layers", PLAIN, headless(PLAIN) | layers)
    classified = CliRunner().invoke(app, ["classify", "x.png", "-m", str(folder)])
    assert classified.exit_code == 3
    assert "has no head that is read here" in classified.stderr
    assert (
        "left out: classifier.0.bias, classifier.0.weight, classifier.2.bias, classifier.2.weight." in classified.stderr
    )
    whole = Checkpoint.read(write(tmp_path / "whole", PLAIN, published(PLAIN)))
    expected = load_network(whole, head=False).state_dict()
    found = load_network(Checkpoint.read(folder)).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in found.items())
