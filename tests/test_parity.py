"""The network against activations that transformers 4.57.6 wrote, stage by stage, in float32."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.load import load_network
from vithybrid_cli.model.vit import AttentionImplementation, VisionTransformer

TOLERANCE = 1e-5  # of the largest activation of a stage

ATTENTIONS: tuple[AttentionImplementation, ...] = ("sdpa", "eager")


def stages_of(network: VisionTransformer) -> dict[str, nn.Module]:
    """The modules whose outputs transformers' activations name."""
    backbone = network.embeddings.backbone
    assert backbone is not None
    return {
        "stem": backbone.stem,
        **{f"stage{index + 1}": stage for index, stage in enumerate(backbone.stages)},
        "embeddings": network.embeddings,
        **{f"layer{index}": block for index, block in enumerate(network.blocks)},
        "last_hidden_state": network.norm,
    }


def record(outputs: dict[str, Tensor], name: str) -> Callable[[nn.Module, tuple[Tensor], Tensor], None]:
    """A hook that keeps a module's output."""

    def hook(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        outputs[name] = output.clone()  # the next module may work in place

    return hook


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """The largest difference as a part of the largest activation."""
    assert actual.shape == expected.shape
    return float((actual - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_every_stage_equals_what_transformers_computed(golden: Path, attention: AttentionImplementation) -> None:
    expected = load_file(golden / "activations.safetensors")
    network = load_network(Checkpoint.read(golden), attention)
    assert isinstance(network, VisionTransformer)
    outputs: dict[str, Tensor] = {}
    with torch.inference_mode():
        outputs["logits"] = network(expected["pixel_values"])
        for name, module in stages_of(network).items():
            module.register_forward_hook(record(outputs, name))
        network.last_hidden_state(expected["pixel_values"])

    assert outputs.keys() == expected.keys() - {"pixel_values", "loss"}
    errors = {name: relative_error(output, expected[name]) for name, output in outputs.items()}
    assert {name: error for name, error in errors.items() if error > TOLERANCE} == {}


def test_the_loss_of_training_is_the_published_one(golden: Path) -> None:
    expected = load_file(golden / "activations.safetensors")
    network = load_network(Checkpoint.read(golden))
    labels = torch.tensor([0, len(network.config.labels) - 1])  # what the reference was given
    with torch.inference_mode():
        loss = nn.functional.cross_entropy(network(expected["pixel_values"]), labels)
    assert loss.item() == pytest.approx(expected["loss"].item(), rel=TOLERANCE)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_a_picture_gets_the_same_logits_in_any_batch(golden: Path, batch: int) -> None:
    pixels = load_file(golden / "activations.safetensors")["pixel_values"][:1]
    network = load_network(Checkpoint.read(golden))
    with torch.inference_mode():
        alone, together = network(pixels), network(pixels.expand(batch, -1, -1, -1))
    assert relative_error(together, alone.expand(batch, -1)) <= TOLERANCE
