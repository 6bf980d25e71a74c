"""Fine-tuning: the labels that a model knows, what is frozen, and what a large network takes."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from places import EXAMPLES

from vithybrid_cli.bench.random_weights import write_random
from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.layouts.imagenet import imagenet_labels
from vithybrid_cli.choices import Freeze
from vithybrid_cli.errors import UsageError
from vithybrid_cli.hub.locate import locate
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.model.config import BitConfig, EncoderConfig, VitConfig
from vithybrid_cli.training.data import LabelledPictures, read_labelled
from vithybrid_cli.training.heads import head_for
from vithybrid_cli.training.network import raw_weights
from vithybrid_cli.training.recipe import FINETUNE
from vithybrid_cli.training.recompute import kept_bytes
from vithybrid_cli.training.run import StartingPoint, TrainingRun

CPU = torch.device("cpu")
TINY = StartingPoint(Checkpoint.read(locate("tiny")), with_weights=True)
KNOWN = TINY.checkpoint.config.labels
PLAIN = replace(FINETUNE, epochs=1, batch_size=4, label_smoothing=0.0)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def folders(folder: Path, labels: tuple[str, ...], count: int = 1) -> LabelledPictures:
    """A folder for each label, with ``examples/cat.png`` in each."""
    image = Image.open(EXAMPLES / "cat.png").convert("RGB").resize((71, 71))
    for label in labels:
        (folder / label).mkdir(parents=True)
        for number in range(count):
            image.save(folder / label / f"{number}.png")
    return read_labelled(folder)


def run_of(data: LabelledPictures, out: Path, start: StartingPoint = TINY, **changes: Any) -> TrainingRun:
    return TrainingRun(start, data, replace(PLAIN, **changes), out, device=CPU)


def logits(run: TrainingRun) -> torch.Tensor:
    pixels = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        outputs: torch.Tensor = run.trainer.network.eval()(pixels)
    return outputs


@pytest.mark.parametrize(
    ("label", "row"),
    [
        pytest.param("tabby, tabby cat", 281, id="the whole label"),
        pytest.param("tabby", 281, id="its first name"),
        pytest.param("Tabby", 281, id="another case"),
        pytest.param("tabby_cat", 281, id="another of its names, as a folder is named"),
        pytest.param("Egyptian-cat", 285, id="hyphens for spaces"),
        pytest.param("n02123045", 281, id="its id in WordNet"),
        pytest.param("n02123045-tabby", 281, id="its id and a name"),
        pytest.param("crane (134)", 134, id="as sort names folders"),
        pytest.param("crane", None, id="the name of two labels"),
        pytest.param("maillot", None, id="a label that is also the first name of another"),
        pytest.param("281", None, id="a number"),
        pytest.param("my cat", None, id="another name"),
        pytest.param("n00000000", None, id="no id of ImageNet"),
    ],
)
def test_a_label_of_imagenet_is_known_by_its_names_and_never_guessed(label: str, row: int | None) -> None:
    assert head_for([label], imagenet_labels()).rows == (row,)


@pytest.mark.parametrize(
    ("labels", "known", "rows"),
    [
        pytest.param(
            ("maillot", "maillot, tank suit"), imagenet_labels(), (638, 639), id="the other one is there, too"
        ),
        pytest.param(("tabby", "tabby_cat"), imagenet_labels(), (None, None), id="two names of one label"),
        pytest.param(("cat", "Cat"), ("dog", "Cat"), (None, 1), id="two spellings of one label"),
        pytest.param(("cat", "Cat"), ("Cat", "cat"), (1, 0), id="labels that differ in case"),
        pytest.param(("tabby", "oak"), ("n02123045", "n02124075"), (0, None), id="a model of ids"),
        pytest.param(("7", "1"), ("0", "1", "7"), (2, 1), id="a model of digits"),
        pytest.param(("cafe\u0301",), ("caf\u00e9",), (0,), id="accents as macOS has them"),
        pytest.param(("a", "b"), (), (None, None), id="a model without a head"),
        pytest.param((" ", "_"), ("", "-"), (None, None), id="names of nothing"),
    ],
)
def test_labels_are_known_together(labels: tuple[str, ...], known: tuple[str, ...], rows: tuple[int | None]) -> None:
    assert head_for(labels, known).rows == rows


def test_nine_of_its_own_labels_begin_with_the_logits_that_the_model_has(tmp_path: Path) -> None:
    nine = tuple(label for label in KNOWN if label != "frog")
    data = folders(tmp_path / "nine", nine)
    run = run_of(data, tmp_path / "out")
    assert run.head is not None
    assert (run.head.kept, run.head.new) == (nine, ())
    assert run.head.summary() == "the model knows all 9 labels; its 1 other label is dropped"
    whole = logits(run_of(folders(tmp_path / "ten", KNOWN), tmp_path / "ten-out"))
    torch.testing.assert_close(logits(run), whole[:, [KNOWN.index(label) for label in nine]])


def test_the_loss_of_nine_labels_begins_where_the_model_is(tmp_path: Path) -> None:
    nine = tuple(label for label in KNOWN if label != "frog")
    run = run_of(folders(tmp_path / "nine", nine), tmp_path / "out", batch_size=9)
    own = run_of(folders(tmp_path / "ten", KNOWN), tmp_path / "ten-out", batch_size=10)
    nine_loss, ten_loss = (next(one.steps()).loss for one in (run, own))
    assert nine_loss < ten_loss * 1.2


def test_a_new_label_begins_with_the_mean_of_the_models_logits(tmp_path: Path) -> None:
    run = run_of(folders(tmp_path / "some", ("cat", "Horse", "sofa")), tmp_path / "out")
    assert run.head is not None
    assert run.head.summary() == "the model knows 2 of 3 labels; new: sofa; its 8 other labels are dropped"
    whole = logits(run_of(folders(tmp_path / "ten", KNOWN), tmp_path / "ten-out"))
    expected = torch.stack((whole[:, 3], whole[:, 7], whole.mean(1)), dim=1)
    torch.testing.assert_close(logits(run), expected, rtol=1e-4, atol=1e-4)


def test_the_order_of_labels_stays_that_of_the_model(tmp_path: Path) -> None:
    run = run_of(folders(tmp_path / "ten", tuple(reversed(KNOWN))), tmp_path / "out")
    assert run.config.labels == KNOWN


def test_labels_that_the_model_does_not_know_begin_with_a_head_of_zeros(tmp_path: Path) -> None:
    run = run_of(folders(tmp_path / "two", ("sofa", "lamp")), tmp_path / "out")
    assert run.head is not None
    assert run.head.summary() == "the model knows none of the 2 labels"
    assert not logits(run).any()


def test_random_weights_know_nothing(tmp_path: Path) -> None:
    start = replace(TINY, with_weights=False)
    assert run_of(folders(tmp_path / "two", ("cat", "dog")), tmp_path / "out", start).head is None


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> StartingPoint:
    """A small hybrid with random weights that knows ``cat`` and ``dog``."""
    folder = tmp_path_factory.mktemp("small")
    config = VitConfig(
        EncoderConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32),
        labels=("cat", "dog"),
        image_size=(32, 32),
        patch_size=(1, 1),
        backbone=BitConfig(embedding_size=8, hidden_sizes=(16, 32), depths=(2, 1), num_groups=4, out_stage=2),
        family="hybrid",
    )
    write_random(config, Preprocessing.default((32, 32)), folder)
    return StartingPoint(Checkpoint.read(folder), with_weights=True)


def trained(
    data: LabelledPictures, out: Path, start: StartingPoint, *, stop: int | None = None, **changes: Any
) -> dict[str, torch.Tensor]:
    """The weights of a run, which is broken off and resumed after so many epochs, if ``stop`` says so."""
    run = run_of(data, out, start, **changes)
    for step in run.steps():
        if stop is not None and step.epoch == stop:
            break
    if stop is not None:
        run = run_of(data, out, start, **changes)
        run.resume()
        assert run.epochs_done == stop
        list(run.steps())
    return {name: weight.clone() for name, weight in raw_weights(run.trainer.network).items()}


@pytest.fixture
def data(tmp_path: Path) -> LabelledPictures:
    return folders(tmp_path / "pictures", ("cat", "sofa"), count=4)


@pytest.mark.parametrize(
    ("what", "kept"),
    [
        pytest.param(Freeze.BACKBONE, "embeddings.backbone.", id="backbone"),
        pytest.param(Freeze.ENCODER, ("embeddings.", "blocks.", "norm."), id="encoder"),
    ],
)
def test_what_is_frozen_keeps_its_weights_and_gets_no_gradient(
    tmp_path: Path, data: LabelledPictures, small: StartingPoint, what: Freeze, kept: str | tuple[str, ...]
) -> None:
    before = raw_weights(run_of(data, tmp_path / "before", small).trainer.network)
    after = trained(data, tmp_path / "out", small, freeze=what, head_epochs=0.0)
    same = {name for name, weight in after.items() if torch.equal(weight, before[name])}
    assert same == {name for name in after if name.startswith(kept)}


def test_what_is_frozen_keeps_no_activations(tmp_path: Path, data: LabelledPictures, small: StartingPoint) -> None:
    kept = []
    for number, what in enumerate((None, Freeze.BACKBONE, Freeze.ENCODER)):
        network = run_of(data, tmp_path / str(number), small, freeze=what).trainer.network
        kept.append(kept_bytes(network, torch.zeros(1, 3, 32, 32)))
    everything, encoder, head = kept
    assert everything > 2 * encoder > 20 * head


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"freeze": Freeze.BACKBONE, "head_epochs": 0.5}, id="frozen backbone"),
        pytest.param({"freeze": Freeze.ENCODER}, id="frozen encoder"),
        pytest.param({"head_epochs": 1.0}, id="only the head has learnt"),
        pytest.param({"head_epochs": 1.5}, id="the head learns on alone"),
    ],
)
def test_a_run_goes_on_to_the_same_weights(
    tmp_path: Path, data: LabelledPictures, small: StartingPoint, changes: dict[str, Any]
) -> None:
    whole = trained(data, tmp_path / "whole", small, epochs=3, **changes)
    parts = trained(data, tmp_path / "parts", small, stop=1, epochs=3, **changes)
    assert all(torch.equal(weight, whole[name]) for name, weight in parts.items())


def test_until_the_head_has_warmed_up_the_rest_stays(
    tmp_path: Path, data: LabelledPictures, small: StartingPoint
) -> None:
    run = run_of(data, tmp_path / "out", small, epochs=2, head_epochs=1.0)
    before = {name: weight.clone() for name, weight in raw_weights(run.trainer.network).items()}
    moved = set()
    for step in run.steps():
        if step.epoch == 0:
            moved = {
                name for name, now in raw_weights(run.trainer.network).items() if not torch.equal(now, before[name])
            }
    assert moved == {"head.weight", "head.bias"}
    after = raw_weights(run.trainer.network)
    assert not torch.equal(after["blocks.0.mlp.fc1.weight"], before["blocks.0.mlp.fc1.weight"])


def test_random_weights_cannot_be_frozen(tmp_path: Path, data: LabelledPictures, small: StartingPoint) -> None:
    with pytest.raises(UsageError, match="learnt nothing yet"):
        run_of(data, tmp_path / "out", replace(small, with_weights=False), freeze=Freeze.ENCODER)


def test_a_network_without_a_backbone_has_none_to_freeze(tmp_path: Path, data: LabelledPictures) -> None:
    config = VitConfig(EncoderConfig(16, 1, 2, 32), ("cat", "dog"), (32, 32), (16, 16))
    write_random(config, Preprocessing.default((32, 32)), tmp_path / "plain")
    start = StartingPoint(Checkpoint.read(tmp_path / "plain"), with_weights=True)
    with pytest.raises(UsageError, match="no backbone to freeze"):
        run_of(data, tmp_path / "out", start, freeze=Freeze.BACKBONE)


def test_activations_that_are_computed_again_give_the_same_weights_and_are_not_kept(
    tmp_path: Path, data: LabelledPictures, small: StartingPoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = run_of(data, tmp_path / "kept", small)
    monkeypatch.setattr("vithybrid_cli.training.recompute.available_memory", lambda: 1)
    again = run_of(data, tmp_path / "again", small)
    assert (kept.trainer.recomputes, again.trainer.recomputes) == (False, True)
    for run in (kept, again):
        list(run.steps())
    theirs = raw_weights(again.trainer.network)
    assert all(torch.equal(weight, theirs[name]) for name, weight in raw_weights(kept.trainer.network).items())
