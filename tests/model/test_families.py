"""Each family against activations that transformers 4.57.6 or timm 1.0.31 wrote, stage by stage, in float32.

And in float16 and bfloat16, as close as their rounding allows.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from places import GOLDENS
from safetensors.torch import load_file
from torch import Tensor, nn

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.load import load_network
from vithybrid_cli.model.bit import Bottleneck, PreactivationBottleneck
from vithybrid_cli.model.build import Network
from vithybrid_cli.model.outputs import outputs
from vithybrid_cli.model.vit import AttentionImplementation, Block, VisionTransformer

TOLERANCE = 1e-5  # of the largest activation of a stage

# Each reference folder, the checkpoint in it, and the stages that the reference wrote down beside pixels and logits.
FAMILIES = {
    "hf-hybrid-small": (
        "",
        {"stem", "stage1", "stage2", "stage3", "embeddings", "layer0", "layer1", "layer2", "last_hidden_state"},
    ),
    "hf-hybrid-patch2-odd": (
        "",
        {"stem", "stage1", "stage2", "embeddings", "layer0", "layer1", "last_hidden_state"},
    ),
    "hf-vit": ("", {"hidden0", "hidden1", "hidden2", "hidden3"}),
    "hf-deit": ("", {"hidden0", "hidden1", "hidden2"}),
    "hf-deit-distilled": ("", {"hidden0", "hidden1", "hidden2"}),
    "hf-beit": ("", {"hidden0", "hidden1", "hidden2", "hidden3"}),
    "hf-bit": ("", {"hidden0", "hidden1", "hidden2", "hidden3", "hidden4"}),
    "timm-hybrid": ("", {"backbone", "tokens"}),
    "jax-hybrid": ("R50+ViT.npz", {"backbone", "tokens"}),
}

each_family = pytest.mark.parametrize("name", FAMILIES)
each_attention = pytest.mark.parametrize("attention", ["sdpa", "eager"])


def read(name: str, attention: AttentionImplementation = "sdpa", image_size: int | None = None) -> Network:
    """The network of a reference folder."""
    return load_network(Checkpoint.read(GOLDENS / name / FAMILIES[name][0], image_size), attention)


def activations(name: str) -> dict[str, Tensor]:
    """What the reference computed."""
    return load_file(GOLDENS / name / "activations.safetensors")


def keep(kept: dict[str, Tensor], name: str, module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
    """A hook that keeps a module's output."""
    kept[name] = output.clone()  # the next module may work in place


def stages_of(network: Network, pixel_values: Tensor) -> dict[str, Tensor]:
    """All that the network computes on its way, under each name that a reference may have for it."""
    kept: dict[str, Tensor] = {}
    if isinstance(network, VisionTransformer) and (backbone := network.embeddings.backbone) is not None:
        stages = {f"stage{index + 1}": stage for index, stage in enumerate(backbone.stages)}
        for name, module in {"stem": backbone.stem, **stages, "backbone": backbone}.items():
            module.register_forward_hook(partial(keep, kept, name))
    found = outputs(network, pixel_values, hidden_states=True)
    assert found.hidden_states is not None
    embeddings, *layers = found.hidden_states
    return {
        **kept,
        **{f"hidden{index}": state for index, state in enumerate(found.hidden_states)},
        "embeddings": embeddings,
        **{f"layer{index}": state for index, state in enumerate(layers)},
        "last_hidden_state": found.last_hidden_state,
        "tokens": found.last_hidden_state,
    }


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """The largest difference as a part of the largest activation."""
    assert actual.shape == expected.shape
    return float((actual - expected).abs().max() / expected.abs().max())


@each_attention
@each_family
@torch.inference_mode()
def test_every_stage_equals_what_the_reference_computed(name: str, attention: AttentionImplementation) -> None:
    expected = activations(name)
    network = read(name, attention)
    actual = {"logits": network(expected["pixel_values"]), **stages_of(network, expected["pixel_values"])}
    compared = FAMILIES[name][1] | {"logits"}
    assert compared == {stage for stage in expected if stage != "loss" and not stage.startswith(("pixel", "logits_"))}
    errors = {stage: relative_error(actual[stage], expected[stage]) for stage in compared}
    assert {stage: error for stage, error in errors.items() if error > TOLERANCE} == {}


@each_attention
@torch.inference_mode()
def test_a_larger_picture_gives_what_interpolated_positions_give_in_the_reference(
    attention: AttentionImplementation,
) -> None:
    expected = activations("hf-vit")
    network = read("hf-vit", attention, image_size=96)
    assert relative_error(network(expected["pixel_values_large"]), expected["logits_large"]) <= TOLERANCE


@torch.inference_mode()
def test_two_layouts_of_one_network_give_the_same_logits() -> None:
    pixel_values = activations("timm-hybrid")["pixel_values"]
    timm, jax = read("timm-hybrid"), read("jax-hybrid")
    assert relative_error(jax(pixel_values), timm(pixel_values)) <= TOLERANCE


@torch.inference_mode()
def test_the_loss_of_training_is_the_published_one(golden: Path) -> None:
    expected = activations(golden.name)
    network = read(golden.name)
    labels = torch.tensor([0, len(network.config.labels) - 1])  # what the reference was given
    loss = outputs(network, expected["pixel_values"], labels=labels).loss
    assert loss is not None
    assert loss.item() == pytest.approx(expected["loss"].item(), rel=TOLERANCE)


@pytest.mark.parametrize("batch", [1, 2, 5])
@each_family
@torch.inference_mode()
def test_a_picture_gets_the_same_logits_in_any_batch(name: str, batch: int) -> None:
    pixels = activations(name)["pixel_values"][:1]
    network = read(name)
    alone, together = network(pixels), network(pixels.expand(batch, -1, -1, -1))
    assert relative_error(together, alone.expand(batch, -1)) <= TOLERANCE


def rounding_steps(network: Network, pixel_values: Tensor) -> int:
    """How often in a row values are rounded on the way to the logits: once for each operation of the longest way."""
    steps = 1  # the pixels themselves

    def count(by: int) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            nonlocal steps
            steps += by

        return hook

    for name, module in network.named_modules():
        if isinstance(module, Block):
            module.register_forward_hook(count(3))  # attention itself, and two sums
        elif isinstance(module, Bottleneck | PreactivationBottleneck):
            module.register_forward_hook(count(1))  # a sum
        elif not list(module.children()) and not isinstance(module, nn.Identity) and ".downsample." not in name:
            module.register_forward_hook(count(1))
    network(pixel_values)
    return steps


@each_attention
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@each_family
@torch.inference_mode()
def test_a_shorter_type_is_as_close_as_its_rounding_allows(
    name: str, dtype: torch.dtype, attention: AttentionImplementation
) -> None:
    """Within ``sqrt(n) · eps`` of the largest logit, for n roundings in a row.

    A step rounds its weights and its result, each by up to half an eps of its type, evenly distributed: together a
    standard deviation of eps / sqrt(6), below eps / 2. Those of n steps are independent and add up to no more than
    sqrt(n) · eps / 2, and of 16 logits hardly one is more than twice that off. Norms and residuals keep the steps from
    amplifying what came before. That is 5 to 9 eps here, where 0.3 to 2.3 were measured, and 3.9 of the BiT's 7.4; with
    as much in float16 as in bfloat16, so that it is rounding indeed.
    """
    expected = activations(name)
    network = read(name, attention)
    bound = rounding_steps(network, expected["pixel_values"]) ** 0.5 * torch.finfo(dtype).eps
    logits = network.to(dtype)(expected["pixel_values"].to(dtype))
    assert logits.dtype is dtype
    assert relative_error(logits.float(), expected["logits"]) <= bound
