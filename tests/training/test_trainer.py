"""Steps and epochs: losses, gradients in parts, sizes, rates, and what stops a training."""

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from small_trainings import CONFIG, CPU, PLAIN_RECIPE, checkpoint, first_step, pictures, start, train
from torch import Tensor, nn

from vithybrid_cli.checkpoints.load import load_network
from vithybrid_cli.engines.processor import Processor
from vithybrid_cli.errors import UsageError
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.model.config import VitConfig
from vithybrid_cli.training.augment import Pixels, RandomCrop
from vithybrid_cli.training.data import LabelledPictures
from vithybrid_cli.training.gradients import normalized
from vithybrid_cli.training.network import learning, raw_weights, trainable_network
from vithybrid_cli.training.precision import gains_from_bfloat16
from vithybrid_cli.training.recipe import Recipe
from vithybrid_cli.training.run import TrainingRun
from vithybrid_cli.training.trainer import Trainer, label_weights


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> LabelledPictures:
    return pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, data: LabelledPictures) -> Path:
    """The output of two epochs; tests only read it."""
    return train(data, tmp_path_factory.mktemp("trained"))


@pytest.mark.parametrize(
    ("vendor", "capabilities", "expected"),
    [
        pytest.param("AuthenticAMD", {"avx512_bf16": True, "amx_bf16": False}, True, id="AMD's AVX-512 with bfloat16"),
        pytest.param("GenuineIntel", {"avx512_bf16": True, "amx_bf16": False}, False, id="Intel's, at half the rate"),
        pytest.param("GenuineIntel", {"avx512_bf16": True, "amx_bf16": True}, True, id="AMX"),
        pytest.param(
            "GenuineIntel", {"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, False, id="AVX-512 without"
        ),
        pytest.param("0x41", {"architecture": "aarch64"}, False, id="another architecture"),
    ],
)
def test_bfloat16_is_used_only_where_the_processor_gains_from_it(
    monkeypatch: pytest.MonkeyPatch, vendor: str, capabilities: dict[str, Any], expected: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    monkeypatch.setattr(Processor, "read", lambda: Processor(vendor, "", ()))
    assert gains_from_bfloat16(CPU) is expected
    assert gains_from_bfloat16(torch.device("mps")) is False


def test_a_torch_that_does_not_list_what_a_processor_can_do_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    found = gains_from_bfloat16(CPU)
    known = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    monkeypatch.setattr(torch, "cpu", SimpleNamespace(**{name: getattr(torch.cpu, name) for name in known}))
    assert gains_from_bfloat16(CPU) is found


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_the_smoothed_cross_entropy_of_the_logits(
    trained: Path, data: LabelledPictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, smoothing: float
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)  # no bfloat16
    begin = checkpoint(trained)
    preprocessing = begin.checkpoint.preprocessing
    crops = np.stack([preprocessing.pixels(Image.open(item.name)) for item in data.items])
    pixels = torch.from_numpy(preprocessing.normalization.apply(crops))
    shares = load_network(begin.checkpoint)(pixels).log_softmax(dim=1)
    right = shares[torch.arange(len(data.targets)), torch.from_numpy(data.targets)]
    expected = -((1 - smoothing) * right + smoothing * shares.mean(dim=1)).mean().item()
    recipe = replace(PLAIN_RECIPE, batch_size=len(data.items), label_smoothing=smoothing)
    assert first_step(data, tmp_path, recipe, begin).loss == pytest.approx(expected, rel=1e-4)


def test_the_first_loss_of_a_new_head_is_that_of_a_guess(data: LabelledPictures, tmp_path: Path) -> None:
    assert first_step(data, tmp_path, PLAIN_RECIPE).loss == pytest.approx(math.log(2), rel=1e-3)


def test_steps_count_pictures_and_average_the_loss_of_the_epoch(data: LabelledPictures, tmp_path: Path) -> None:
    steps = list(TrainingRun(start(), data, PLAIN_RECIPE, tmp_path, device=CPU).steps())
    assert [(step.epoch, step.step, step.steps) for step in steps] == [(e, s, 4) for e in (0, 1) for s in (1, 2, 3, 4)]
    assert {step.pictures for step in steps} == {4}
    assert steps[-1].loss < steps[3].loss < steps[0].loss


def test_a_training_that_diverges_is_stopped_with_the_remedy(data: LabelledPictures, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the loss is not finite in epoch 1\. Give a lower learning rate \(lr\)"):
        train(data, tmp_path, replace(PLAIN_RECIPE, learning_rate=1e30))
    assert not (tmp_path / "config.json").exists()


def test_a_batch_that_cannot_be_read_is_skipped_and_its_loss_is_not_counted(tmp_path: Path) -> None:
    data = pictures(tmp_path, count=2)
    for path in [item.name for item in data.items][1:]:
        Path(path).write_bytes(b"no picture")
    steps = list(
        TrainingRun(start(), data, replace(PLAIN_RECIPE, epochs=1, batch_size=1), tmp_path / "out", device=CPU).steps()
    )
    assert sorted(step.pictures for step in steps) == [0, 0, 0, 1]
    named = sorted(one.path for step in steps for one in step.unreadable)
    assert named == sorted(item.name for item in data.items[1:])
    assert steps[-1].loss == pytest.approx(math.log(2), rel=1e-3)


def test_pictures_that_can_none_be_read_are_an_error_and_no_checkpoint(tmp_path: Path) -> None:
    data = pictures(tmp_path, count=2)
    for path in [item.name for item in data.items]:
        Path(path).write_bytes(b"no picture")
    with pytest.raises(UsageError, match="None of the pictures could be read"):
        train(data, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def trainer_of(data: LabelledPictures, recipe: Recipe, config: VitConfig = CONFIG, **options: Any) -> Trainer:
    torch.manual_seed(0)
    network = trainable_network(replace(config, labels=data.labels))
    assert isinstance(network.head, nn.Linear)
    nn.init.normal_(network.head.weight)  # a head of zeros lets no gradient through
    normalization = Preprocessing.default(config.image_size).normalization.in_one_step()
    return Trainer(network, data, normalization, recipe, CPU, **options)


class Gradients(torch.optim.SGD):
    """Keeps what it is given, and moves nothing."""

    found: ClassVar[list[dict[str, Tensor]]] = []

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        (group,) = self.param_groups
        self.found.append({str(number): one.grad.clone() for number, one in enumerate(group["params"])})


def gradients(trainer: Trainer) -> list[Tensor]:
    """Those of the first batch, as the optimisers get them."""
    keeps = Gradients([one for _, one in learning(trainer.network)], lr=0.0)
    keeps.param_groups[0] |= {"highest": 0.0, "head": False}
    trainer.optimizers = [keeps]
    keeps.found.clear()
    with closing(trainer.run_epoch(0)) as steps:
        next(steps)
    return list(keeps.found[0].values())


@pytest.fixture
def no_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)


def some(data: LabelledPictures, counts: tuple[int, int]) -> LabelledPictures:
    """Only so many pictures of each label."""
    half = len(data.items) // 2
    chosen = [*range(counts[0]), *range(half, half + counts[1])]
    return replace(data, items=tuple(data.items[n] for n in chosen), targets=data.targets[chosen])


WHOLE = replace(PLAIN_RECIPE, batch_size=100, clip=None)
CONFIGS = [
    pytest.param(CONFIG, id="hybrid"),
    pytest.param(replace(CONFIG, backbone=None, patch_size=(4, 4), family="vit"), id="ViT"),
    pytest.param(
        replace(
            CONFIG,
            backbone=None,
            patch_size=(4, 4),
            family="beit",
            encoder=replace(CONFIG.encoder, layer_scale=True, relative_positions="each"),
        ),
        id="BEiT",
    ),
]


@pytest.mark.usefixtures("no_bfloat16")
@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("counts", [(1, 0), (2, 1), (5, 8)], ids=["one picture", "less than a part each", "uneven"])
def test_a_batch_in_parts_has_the_gradient_of_the_whole(
    tmp_path: Path, config: VitConfig, counts: tuple[int, int]
) -> None:
    data = some(pictures(tmp_path, (max(counts), max(counts))), counts)
    found = gradients(trainer_of(data, WHOLE, config))
    trainer = trainer_of(data, WHOLE, config)
    pixels = torch.stack([torch.from_numpy(np.array(Image.open(item.name).resize((16, 16)))) for item in data.items])
    normalization = Preprocessing.default((16, 16)).normalization.in_one_step()
    logits = trainer.network(normalized(pixels, normalization))
    torch.autograd.backward(
        F.cross_entropy(logits, torch.from_numpy(data.targets), label_smoothing=WHOLE.label_smoothing)
    )
    for (name, parameter), gradient in zip(learning(trainer.network), found, strict=True):
        assert parameter.grad is not None
        assert gradient.stride() == parameter.stride(), name  # the fused AdamW pairs numbers as they lie in memory
        scale = parameter.grad.abs().max().item()
        assert torch.allclose(gradient, parameter.grad, rtol=1e-3, atol=2e-5 * max(scale, 1.0)), name


@pytest.mark.usefixtures("no_bfloat16")
def test_every_weight_moves_against_its_own_gradient(data: LabelledPictures) -> None:
    recipe = replace(WHOLE, weight_decay=0.0, warmup_epochs=0.0)
    found = gradients(trainer_of(data, recipe))
    trainer = trainer_of(data, recipe)
    before = [parameter.detach().clone() for _, parameter in learning(trainer.network)]
    with closing(trainer.run_epoch(0)) as steps:
        next(steps)
    for (name, parameter), old, gradient in zip(learning(trainer.network), before, found, strict=True):
        clear = gradient.abs() > 1e-4 * gradient.abs().max()  # AdamW's first step is the sign of the gradient
        moved = (parameter.detach() - old)[clear]
        assert torch.equal(moved.sign(), -gradient[clear].sign()), name


@pytest.mark.usefixtures("no_bfloat16")
def test_rare_labels_count_as_much_as_if_their_pictures_were_repeated(tmp_path: Path) -> None:
    unequal = pictures(tmp_path, (1, 3))
    times = np.array([0, 0, 0, 1, 2, 3])
    repeated = replace(unequal, items=tuple(unequal.items[n] for n in times), targets=unequal.targets[times])
    weighted, plain = (
        gradients(trainer_of(data, replace(WHOLE, class_weights=weights)))
        for data, weights in ((unequal, True), (repeated, False))
    )
    for one, other in zip(weighted, plain, strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=2e-5)


def test_weights_of_labels_are_one_in_the_mean_over_pictures() -> None:
    targets = np.array([0] * 7 + [2] * 3 + [1])
    data = LabelledPictures(("a", "b", "c", "none"), (), targets)
    weights = label_weights(data)
    assert weights[targets].mean().item() == pytest.approx(1.0)
    totals = [weights[label].item() * count for label, count in enumerate((7, 1, 3))]
    assert totals == pytest.approx([totals[0]] * 3)


@dataclass(frozen=True, slots=True)
class Recording(RandomCrop):
    """Notes of which picture is flipped, by its colour."""

    seen: list[tuple[bytes, bool]] = field(default_factory=list)

    def __call__(self, image: Image.Image, size: tuple[int, int], rng: np.random.Generator, flipped: bool) -> Pixels:
        self.seen.append((image.tobytes()[:3] + rng.bytes(4), flipped))
        return np.array(image.resize((size[1], size[0])))


def seen(data: LabelledPictures, epoch: int, **changes: Any) -> list[tuple[bytes, bool]]:
    """Colour of each picture, with bytes of its generator, and whether it is flipped, in the order of an epoch."""
    recording = Recording(0.5)
    recipe = replace(PLAIN_RECIPE, augmentation=recording, batch_size=len(data.items), **changes)
    list(trainer_of(data, recipe, workers=1).run_epoch(epoch))
    return recording.seen


def test_alternating_flips_show_each_picture_both_ways_in_two_epochs(data: LabelledPictures) -> None:
    epochs = [{name[:3]: flipped for name, flipped in seen(data, epoch, alternate_flips=True)} for epoch in range(4)]
    assert len(epochs[0]) == len(data.items)
    assert epochs[0] == epochs[2]
    assert epochs[1] == epochs[3] == {name: not flipped for name, flipped in epochs[0].items()}
    assert 0 < sum(epochs[0].values()) < len(data.items)


def test_flips_by_chance_are_others_in_each_epoch_and_half_of_all(data: LabelledPictures) -> None:
    epochs = [dict(sorted((name[:3], flipped) for name, flipped in seen(data, epoch))) for epoch in range(6)]
    assert len({tuple(epoch.values()) for epoch in epochs}) == 6
    assert 0.3 < sum(sum(epoch.values()) for epoch in epochs) / (6 * len(data.items)) < 0.7


@pytest.mark.parametrize("alternate", [True, False])
def test_without_flips_the_pictures_are_those_of_a_run_with_them_and_none_is_mirrored(
    data: LabelledPictures, alternate: bool
) -> None:
    usual, without = (seen(data, 1, alternate_flips=alternate, flips=flips) for flips in (True, False))
    assert without == [(picture, False) for picture, _ in usual]
    assert any(flipped for _, flipped in usual)


def test_an_epoch_can_be_repeated_and_another_seed_or_epoch_is_another_order_with_other_crops(
    data: LabelledPictures,
) -> None:
    first = seen(data, 0)
    assert first == seen(data, 0)
    for other in (seen(data, 1), seen(data, 0, seed=1)):
        assert not {name for name, _ in first} & {name for name, _ in other}
        assert [name[:3] for name, _ in first] != [name[:3] for name, _ in other]


def test_at_first_only_the_head_learns(data: LabelledPictures) -> None:
    trainer = trainer_of(data, replace(PLAIN_RECIPE, head_epochs=0.5, warmup_epochs=0.0))
    before = {name: parameter.detach().clone() for name, parameter in learning(trainer.network)}

    def changed() -> set[str]:
        return {name for name, parameter in learning(trainer.network) if not torch.equal(parameter, before[name])}

    with closing(trainer.run_epoch(0)) as steps:
        next(steps), next(steps)
        assert changed() == {"head.weight", "head.bias"}
        next(steps)
        assert len(changed()) > 10


def test_an_epoch_of_a_single_step_is_trained_on_from_the_first(data: LabelledPictures) -> None:
    trainer = trainer_of(data, replace(PLAIN_RECIPE, batch_size=16, warmup_epochs=1.0))
    before = raw_weights(trainer.network)["head.bias"].clone()
    assert len(list(trainer.run_epoch(0))) == 1
    assert not torch.equal(raw_weights(trainer.network)["head.bias"], before)


@pytest.mark.parametrize(
    ("image_size", "patch_size", "share", "small"),
    [
        pytest.param((64, 64), (8, 8), 0.75, (48, 48), id="whole patches"),
        pytest.param((60, 60), (8, 8), 0.75, (48, 48), id="rounded up"),
        pytest.param((60, 60), (8, 8), 0.7, (40, 40), id="rounded down"),
        pytest.param((32, 64), (8, 16), 0.5, (16, 32), id="unequal sides and patches"),
        pytest.param((24, 24), (16, 16), 0.1, (16, 16), id="at least one patch"),
        pytest.param((31, 31), (16, 16), 0.99, (31, 31), id="no more than the network takes"),
    ],
)
def test_small_pictures_are_of_whole_patches(
    data: LabelledPictures,
    image_size: tuple[int, int],
    patch_size: tuple[int, int],
    share: float,
    small: tuple[int, int],
) -> None:
    config = replace(CONFIG, backbone=None, family="vit", image_size=image_size, patch_size=patch_size)
    recipe = replace(PLAIN_RECIPE, epochs=4, small_size=share, small_epochs=0.5)
    trainer = trainer_of(data, recipe, config)
    assert [trainer.size_in(epoch) for epoch in range(4)] == [small, small, image_size, image_size]
    list(trainer.run_epoch(0))


def test_gradients_are_cut_to_the_largest_norm(data: LabelledPictures) -> None:
    recipe = replace(WHOLE, clip=1e-3)
    norm = torch.stack([one.norm() for one in gradients(trainer_of(data, recipe))]).norm()
    assert norm.item() == pytest.approx(1e-3, rel=1e-3)


def test_after_a_training_other_threads_have_all_cores(data: LabelledPictures, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vithybrid_cli.training.trainer.available_cores", lambda: 2)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with closing(trainer_of(data, PLAIN_RECIPE).run_epoch(0)) as steps, ThreadPoolExecutor(1) as other:
            next(steps)
            assert torch.get_num_threads() == 3
            assert other.submit(torch.get_num_threads).result() == 3
        with ThreadPoolExecutor(1) as later:
            assert later.submit(torch.get_num_threads).result() == torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_what_goes_wrong_in_a_part_ends_the_training_and_its_threads(
    data: LabelledPictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = trainer_of(data, PLAIN_RECIPE)

    def broken(_: Tensor) -> Tensor:
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer.network, "forward", broken)
    with pytest.raises(KeyboardInterrupt):
        list(trainer.run_epoch(0))
    assert [one.name for one in threading.enumerate() if one.name.startswith(("parts", "batches"))] == []
