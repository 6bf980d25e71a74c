"""Muon beside torch's own, and beside its definition in float64."""

import pytest
import torch
from torch import Tensor, nn

from vithybrid_cli.training.muon import Muon, orthogonalized

SHAPES = [
    pytest.param((12, 12), id="square"),
    pytest.param((6, 20), id="wide"),
    pytest.param((20, 6), id="tall"),
    pytest.param((1, 9), id="one row"),
    pytest.param((9, 1), id="one column"),
]
CONVOLUTIONS = [
    pytest.param((8, 4, 3, 3), id="wide convolution"),
    pytest.param((16, 4, 1, 1), id="tall convolution"),
]


def random(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def by_definition(weight: Tensor, gradients: list[Tensor], rate: float, momentum: float, decay: float) -> Tensor:
    """Steps of the article, in float64: momentum, Nesterov's look ahead, five Newton-Schulz steps, the longer step."""
    matrix = weight.double().flatten(1)
    buffer = torch.zeros_like(matrix)
    rows, columns = matrix.shape
    for gradient in (one.double().flatten(1) for one in gradients):
        buffer = momentum * buffer + (1 - momentum) * gradient
        x = (1 - momentum) * gradient + momentum * buffer
        x = x / x.norm()
        x = x.T if rows > columns else x
        for _ in range(5):
            gram = x @ x.T
            x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
        x = x.T if rows > columns else x
        matrix = matrix * (1 - rate * decay) - rate * max(1, rows / columns) ** 0.5 * x
    return matrix.reshape(weight.shape)


def after(weight: Tensor, gradients: list[Tensor], dtype: torch.dtype, decay: float = 0.05) -> Tensor:
    parameter = nn.Parameter(weight.clone(memory_format=torch.preserve_format))
    muon = Muon([parameter], lr=0.02, weight_decay=decay, momentum=0.9, dtype=dtype)
    for gradient in gradients:
        parameter.grad = gradient
        muon.step()
    return parameter.detach()


@pytest.mark.parametrize("shape", SHAPES + CONVOLUTIONS)
def test_three_steps_are_those_of_the_definition(shape: tuple[int, ...]) -> None:
    weight, gradients = random(shape, 0), [random(shape, seed) for seed in (1, 2, 3)]
    expected = by_definition(weight, gradients, rate=0.02, momentum=0.9, decay=0.05)
    assert torch.allclose(after(weight, gradients, torch.float32).double(), expected, atol=2e-6)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="came with torch 2.9")
@pytest.mark.parametrize("shape", SHAPES)
def test_it_moves_matrices_as_the_muon_of_torch_does(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)  # its number format, without a choice
    weight, gradients = random(shape, 0), [random(shape, seed) for seed in (1, 2, 3)]
    parameter = nn.Parameter(weight.clone())
    theirs: torch.optim.Optimizer = torch.optim.Muon([parameter], lr=0.02, weight_decay=0.05, momentum=0.9)
    for gradient in gradients:
        parameter.grad = gradient
        theirs.step()
    assert torch.allclose(after(weight, gradients, torch.float32), parameter.detach(), atol=2e-6)


@pytest.mark.parametrize("shape", SHAPES + CONVOLUTIONS)
def test_in_bfloat16_steps_point_where_those_of_the_definition_do(shape: tuple[int, ...]) -> None:
    weight, gradients = random(shape, 0), [random(shape, seed) for seed in (1, 2, 3)]
    expected = by_definition(weight, gradients, rate=0.02, momentum=0.9, decay=0.0) - weight
    found = after(weight, gradients, torch.bfloat16, decay=0.0) - weight
    assert torch.cosine_similarity(found.flatten(), expected.flatten().float(), dim=0) > 0.998
    assert found.norm() == pytest.approx(expected.norm().item(), rel=0.03)


@pytest.mark.parametrize("shape", CONVOLUTIONS)
def test_the_memory_layout_of_a_convolution_makes_no_difference(shape: tuple[int, ...]) -> None:
    weight, gradients = random(shape, 0), [random(shape, seed) for seed in (1, 2)]
    expected = after(weight, gradients, torch.float32)
    laid_out = weight.contiguous(memory_format=torch.channels_last)
    assert torch.equal(after(laid_out, gradients, torch.float32), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(16, 16), (8, 40), (40, 8)])
def test_singular_values_become_about_one_and_singular_vectors_stay(shape: tuple[int, int], dtype: torch.dtype) -> None:
    matrices = random((3, *shape), 0)
    found = orthogonalized(matrices.to(dtype)).float()
    assert found.shape == matrices.shape
    for before, after_it in zip(matrices, found, strict=True):
        u, _, v = torch.linalg.svd(before, full_matrices=False)
        values = u.T @ after_it @ v.T
        assert torch.linalg.svdvals(after_it).min() > 0.6
        assert torch.linalg.svdvals(after_it).max() < 1.3
        assert (values - values.diag().diag()).abs().max() < (1e-4 if dtype is torch.float32 else 0.1)


def test_a_gradient_of_zeros_moves_nothing_and_divides_by_nothing() -> None:
    weight = random((4, 6), 0)
    parameter = nn.Parameter(weight.clone())
    muon = Muon([parameter], lr=0.02)
    parameter.grad = torch.zeros_like(parameter)
    muon.step()
    assert torch.equal(parameter.detach(), weight)


def test_a_parameter_without_a_gradient_stays() -> None:
    still, moving = nn.Parameter(random((4, 4), 0)), nn.Parameter(random((4, 4), 0))
    moving.grad = random((4, 4), 1)
    Muon([still, moving], lr=0.02, weight_decay=0.1).step()
    assert torch.equal(still, random((4, 4), 0))
    assert not torch.equal(moving, still)


def test_each_group_has_its_own_rate_momentum_and_decay() -> None:
    gradients = [random((6, 4), 1), random((6, 4), 2)]
    settings = [
        {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.05},
        {"lr": 0.002, "momentum": 0.9, "weight_decay": 0.05},
        {"lr": 0.02, "momentum": 0.5, "weight_decay": 0.0},
    ]
    parameters = [nn.Parameter(random((6, 4), 0)) for _ in settings]
    muon = Muon(
        [{"params": [one], **setting} for one, setting in zip(parameters, settings, strict=True)],
        lr=1.0,
        dtype=torch.float32,
    )
    for gradient in gradients:
        for parameter in parameters:
            parameter.grad = gradient.clone()
        muon.step()
    for parameter, setting in zip(parameters, settings, strict=True):
        expected = by_definition(
            random((6, 4), 0), gradients, setting["lr"], setting["momentum"], setting["weight_decay"]
        )
        assert torch.allclose(parameter.detach().double(), expected, atol=2e-6)


def test_matrices_of_one_shape_move_together_as_each_would_alone() -> None:
    weights, gradients = ([random((6, 10), seed) for seed in range(start, start + 3)] for start in (0, 10))
    alone = [after(weight, [gradient], torch.float32) for weight, gradient in zip(weights, gradients, strict=True)]
    together = [nn.Parameter(weight.clone()) for weight in weights]
    for parameter, gradient in zip(together, gradients, strict=True):
        parameter.grad = gradient
    muon = Muon(together, lr=0.02, weight_decay=0.05, momentum=0.9, dtype=torch.float32)
    assert len(muon.alike()) == 1
    muon.step()
    for parameter, expected in zip(together, alone, strict=True):
        assert torch.allclose(parameter.detach(), expected, atol=1e-6)
