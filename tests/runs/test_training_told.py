"""What a training run says: what is careless is told before it begins, and what a figure means at its end."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.choices import RecipeName
from vithybrid_cli.commands.guard import as_flag
from vithybrid_cli.errors import options_spelt
from vithybrid_cli.evaluation.figures import Evaluation, Metrics
from vithybrid_cli.images.local import LocalFile
from vithybrid_cli.results import ImageResult, Prediction
from vithybrid_cli.runs.training.beforehand import before
from vithybrid_cli.runs.training.compared import compare
from vithybrid_cli.runs.training.told import About, alarm, at_the_end, epoch_line, expected_line
from vithybrid_cli.runs.training.written import training_record
from vithybrid_cli.training.data import LabelledPictures
from vithybrid_cli.training.recipe import recipe_for
from vithybrid_cli.training.run import Epoch, StartingPoint, TrainingRun

CONFIG = {
    "model_type": "vit",
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "image_size": 16,
    "patch_size": 8,
}
Make = Callable[..., TrainingRun]
ABOUT = About(RecipeName.SCRATCH, "small")


def pictures(folder: str = "train", **counts: int) -> LabelledPictures:
    """So many pictures of each label, which are never read."""
    names = [f"{folder}/{label}/{number}.png" for label, count in counts.items() for number in range(count)]
    targets = np.repeat(np.arange(len(counts)), list(counts.values()))
    return LabelledPictures(tuple(counts), tuple(map(LocalFile, names)), targets)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A function that makes a run that has not begun, from random weights."""
    (tmp_path / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    start = StartingPoint(Checkpoint.read(tmp_path), with_weights=False)

    def made(data: LabelledPictures, held_out: LabelledPictures | None = None, **changes: Any) -> TrainingRun:
        choosing = changes.pop("choosing", True)
        recipe = recipe_for(RecipeName.SCRATCH, len(data.items), 32, **{"batch_size": 4, "epochs": 30, **changes})
        out = tmp_path / "out"
        return TrainingRun(start, data, recipe, out, device=torch.device("cpu"), held_out=held_out, choosing=choosing)

    return made


def notes(run: TrainingRun, about: About = ABOUT) -> list[str]:
    with options_spelt(as_flag):
        return [line.removeprefix("note: ") for line in before(run, about) if line.startswith("note: ")]


def measured(labels: tuple[str, ...], *pairs: tuple[int, int, int]) -> Metrics:
    """The figures of so many pictures of a label for which another, or the same, was predicted."""
    evaluation = Evaluation(labels)
    for true, predicted, count in pairs:
        for _ in range(count):
            evaluation.add(true, ImageResult("x.png", (Prediction(predicted, labels[predicted], 0.5),)))
    return evaluation.metrics(confusions=None)


def test_nothing_is_wrong_with_even_labels_and_pictures_to_choose_by(make: Make) -> None:
    chooser = pictures(a=10, b=10)
    run = make(pictures(a=20, b=30), chooser)
    assert notes(run, replace(ABOUT, chooser=chooser)) == []


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        pytest.param((1, 1), ["only 2 pictures are held out: one is worth 50% of the accuracy, so"], id="two"),
        pytest.param((10, 9), ["only 19 pictures are held out: one is worth 5% of the accuracy, so"], id="nineteen"),
        pytest.param((20, 0), ["no picture is held out of b, so nothing tells how well that is learnt"], id="a label"),
        pytest.param(
            (0, 1), ["only 1 picture is held out: one is worth 100%", "no picture is held out of a"], id="one"
        ),
    ],
)
def test_figures_on_few_pictures_or_on_none_of_a_label_say_little(
    make: Make, counts: tuple[int, int], says: list[str]
) -> None:
    chooser = pictures(a=counts[0], b=counts[1])
    run = make(pictures(a=20, b=30), chooser)
    said = notes(run, replace(ABOUT, chooser=chooser))
    for note, begin in zip(said, says, strict=True):
        assert note.startswith(begin)
    tested = notes(make(pictures(a=20, b=30)), replace(ABOUT, test=chooser, tested="test"))
    assert [note.replace("tested on", "held out") for note in tested[: len(said)]] == said


def test_what_is_odd_about_the_pictures_is_told(make: Make) -> None:
    odd, test = (replace(pictures(a=20, b=20), notes=(f"odd {what}",)) for what in ("labels", "test"))
    assert notes(make(odd), replace(ABOUT, test=test, tested="t"))[:2] == ["odd labels", "odd test"]


def test_labels_with_few_pictures_are_named_fewest_first(make: Make) -> None:
    run = make(pictures(a=4, b=9, c=1, d=2), class_weights=True)
    assert notes(run)[0] == "fewer than 5 pictures to learn from: c 1, d 2, a 4; more of them would help most"


def test_unequal_labels_are_told_with_the_option_that_helps_unless_it_is_given(make: Make) -> None:
    data = pictures(cat=50, dog=10)
    told = (
        "the labels are unequal, as cat with 50 and dog with 10; --class-weights lets rare ones count as much as "
        "frequent ones"
    )
    assert told in notes(make(data))
    assert told not in notes(make(data, class_weights=True))
    assert not [note for note in notes(make(pictures(cat=49, dog=10))) if "unequal" in note]


def test_few_steps_are_told_unless_the_batches_are_the_users_choice(make: Make) -> None:
    run = make(pictures(a=10, b=10), batch_size=20)
    told = "that makes 30 steps in all, which is few; a smaller --batch-size or more --epochs give more"
    assert told in notes(run)
    assert told not in notes(run, replace(ABOUT, sized=True))


def test_without_held_out_pictures_the_option_is_told(make: Make) -> None:
    told = (
        "no picture is held out, so nothing will tell how good it gets; --val-split 0.1 holds out a tenth of each label"
    )
    assert told in notes(make(pictures(a=20, b=20)))
    assert told not in notes(make(pictures(a=20, b=20)), replace(ABOUT, test=pictures(a=1, b=1), tested="test"))


def test_a_recipe_for_other_weights_is_told(make: Make) -> None:
    assert (
        "this recipe is made for weights that have learnt already, and here they are random; --recipe scratch is made "
        "for those"
    ) in notes(make(pictures(a=20, b=20)), replace(ABOUT, recipe=RecipeName.FINETUNE))


def test_pictures_that_are_trained_on_and_tested_are_counted(make: Make) -> None:
    data = pictures(a=20, b=20)
    test = replace(
        data,
        items=(*data.items[:2], LocalFile("train/b/../a/2.png"), LocalFile("train/a/99.png")),
        targets=data.targets[:4],
    )
    assert "of the test's pictures 3 are trained on, so it tells less of how good it is on others" in notes(
        make(data), replace(ABOUT, test=test, tested="test", overlap=compare(data, test=test).overlap)
    )


def test_epochs_stand_below_each_other_and_tell_the_best_so_far(make: Make) -> None:
    held_out = pictures(a=5, b=5)
    run = make(pictures(a=20, b=20), held_out)
    lines = []
    for number, correct in enumerate((5, 10, 9, 10, 4), start=1):
        run.history.append(Epoch(number, 1 / number, correct, 10))
        lines.append(epoch_line(run, run.history[-1]))
    assert lines == [
        "epoch  1 of 30: loss 1.0000, held out  50.0% right, the best so far",
        "epoch  2 of 30: loss 0.5000, held out 100.0% right, the best so far",
        "epoch  3 of 30: loss 0.3333, held out  90.0% right, best: epoch 2",
        "epoch  4 of 30: loss 0.2500, held out 100.0% right, the best so far",
        "epoch  5 of 30: loss 0.2000, held out  40.0% right, best: epoch 4",
    ]


def test_where_nothing_is_held_out_or_chooses_no_epoch_is_called_the_best(make: Make) -> None:
    run = make(pictures(a=20, b=20))
    run.history = [Epoch(1, 0.5)]
    assert epoch_line(run, run.history[0]) == "epoch  1 of 30: loss 0.5000"
    run = make(pictures(a=20, b=20), pictures(a=5, b=5), choosing=False)
    run.history = [Epoch(1, 0.5, 9, 10), Epoch(2, 0.4, 8, 10)]
    assert epoch_line(run, run.history[0]) == "epoch  1 of 30: loss 0.5000, test  90.0% right"
    assert run.kept is run.history[1]


def test_the_expected_time_is_that_of_what_is_left(make: Make) -> None:
    run = make(pictures(a=20, b=20))
    assert expected_line(run, 0, 8000) == "expected:   about 2 h 13 min for the whole run, by its steps so far"
    assert expected_line(run, 0, 300, at_least=True) == (
        "expected:   at least 5 min for the whole run: only the head learns as yet, which is quick; how long is told "
        "again"
    )
    assert expected_line(run, 29, 50) == "expected:   about 50 s for the 1 epoch that is left, by its steps so far"
    assert expected_line(run, 10, 50) == "expected:   about 50 s for the 20 epochs that are left, by its steps so far"


def test_the_end_says_what_the_accuracy_is_worth_and_what_is_taken_for_what(make: Make) -> None:
    chooser = pictures(cat=100, dog=60, frog=40)
    run = make(pictures(cat=20, dog=20, frog=20), chooser)
    run.history = [Epoch(1, 0.5, 150, 200, 1.25), Epoch(2, 0.4, 120, 200, 1.5)]
    metrics = measured(("cat", "dog", "frog"), (0, 0, 90), (0, 1, 10), (1, 1, 30), (1, 0, 25), (1, 2, 5), (2, 2, 40))
    assert list(at_the_end(run, replace(ABOUT, chooser=chooser), metrics)) == [
        "kept:       epoch 1 of 30, the best on the held-out pictures",
        "accuracy:   80.0% of 200 held-out pictures are right (95 % interval: 73.9% to 85.0%); they also chose the "
        "epoch, so expect a little less on others",
        "weakest:    dog 30 of 60 right (25 taken for cat, 5 taken for frog); cat 90 of 100 right (10 taken for dog)",
        "scores:     the network's outputs are divided by 1.25, since it was surer than it was right",
        f"written:    {run.out}, with its curve in training.svg and its figures in training.json",
        f"next:       vithybrid classify PICTURES -m {run.out}",
    ]


def test_an_accuracy_that_any_fixed_answer_may_have_is_called_so(make: Make) -> None:
    run = make(pictures(cat=20, dog=20), pictures(cat=6, dog=4), choosing=False)
    run.history = [Epoch(1, 0.5, 6, 10)]
    metrics = measured(("cat", "dog"), (0, 0, 6), (1, 0, 4))
    lines = list(at_the_end(run, replace(ABOUT, test=pictures("test", cat=6, dog=4), tested="the test"), metrics))
    assert lines[0] == "kept:       epoch 1 of 30, the last"
    assert lines[1] == (
        "accuracy:   60.0% of 10 pictures of the test are right (95 % interval: 31.3% to 83.2%); whoever always says "
        "cat is right on 60.0%"
    )


def test_an_accuracy_below_that_of_one_fixed_answer_is_called_worse(make: Make) -> None:
    run = make(pictures(cat=20, dog=20), pictures(cat=6, dog=4), choosing=False)
    run.history = [Epoch(1, 0.5, 4, 10)]
    metrics = measured(("cat", "dog"), (0, 1, 6), (1, 1, 4))
    lines = list(at_the_end(run, replace(ABOUT, test=pictures("test", cat=6, dog=4), tested="the test"), metrics))
    assert lines[1].endswith("; that is worse than always to say cat, which is right on 60.0%")


def test_an_accuracy_on_pictures_that_were_learnt_from_says_so(make: Make) -> None:
    data, chooser = pictures(a=20, b=20).split(0.2, 0)
    run = make(data, chooser)
    run.history = [Epoch(1, 0.5, 8, 8)]
    test = replace(data, items=(*data.items, *chooser.items), targets=np.concatenate([data.targets, chooser.targets]))
    both = compare(data, chooser, test, same_place=True).overlap
    about = replace(ABOUT, chooser=chooser, test=test, tested="all", overlap=both)
    told = "32 are trained on and 8 choose the epoch"
    assert f"of the test's pictures {told}, so it tells less of how good it is on others" in notes(run, about)
    metrics = measured(("a", "b"), (0, 0, 20), (1, 1, 20))
    assert list(at_the_end(run, about, metrics))[1].endswith(f"; but {told}, so expect less on others")
    assert training_record(run, about, metrics)["test_overlap"] == {"trained_on": 32, "choosing": 8}
    unread = replace(test, items=())  # as of a compressed tar that is read again
    kept_nowhere = replace(about, test=unread, overlap=compare(data, chooser, unread, same_place=True).overlap)
    assert list(at_the_end(run, kept_nowhere, metrics))[1].endswith(f"; but {told}, so expect less on others")


@pytest.mark.parametrize(
    ("losses", "told"),
    [
        pytest.param([0.5], None, id="low"),
        pytest.param([2.6], None, id="an unlucky beginning"),
        pytest.param([1322.151], "the loss of epoch 1 is 1,322.15, and guessing gives 0.69: ", id="far too high"),
        pytest.param([0.6, 0.2, 0.7], None, id="rises a little"),
        pytest.param([0.6, 0.2, 1.3], "the loss has risen from 0.20 to 1.30 in epoch 3: ", id="rises strongly"),
    ],
)
def test_a_loss_that_is_far_too_high_is_told_with_the_option_that_helps(
    make: Make, losses: list[float], told: str | None
) -> None:
    run = make(pictures(a=20, b=20))
    run.history = [Epoch(number, loss) for number, loss in enumerate(losses, start=1)]
    with options_spelt(as_flag):
        rate = "the learning rate is probably too high; a lower one (--lr) may help"
        assert alarm(run) == (None if told is None else told + rate)


def test_a_loss_that_stays_at_that_of_guessing_is_told_at_the_end(make: Make) -> None:
    def told(*losses: float) -> list[str]:
        run = make(pictures(a=20, b=20))
        run.history = [Epoch(number, loss) for number, loss in enumerate(losses, start=1)]
        return [line for line in at_the_end(run, ABOUT, None) if line.startswith("note: ")]

    assert told(0.7, 0.69)[0].startswith("note: the last loss, 0.69, is about that of guessing, 0.69, so little or")
    assert told(0.7, 0.6) == []


def test_pictures_that_must_not_be_mirrored_may_be_why_nothing_was_learnt(make: Make) -> None:
    def told(**options: Any) -> str:
        run = make(pictures(left=20, right=20), **options)
        run.history = [Epoch(1, 0.7)]
        with options_spelt(as_flag):
            return next(line for line in at_the_end(run, ABOUT, None) if line.startswith("note: "))

    assert told().endswith("(--lr) may help, and --no-flip where a mirror image has another label")
    assert told(flips=False).endswith("(--lr) may help")


def test_the_options_that_change_what_a_picture_counts_for_are_said_before_it_begins(make: Make) -> None:
    def chosen(**options: Any) -> list[str]:
        with options_spelt(as_flag):
            lines = before(make(pictures(a=20, b=20), **options), ABOUT)
            return [line for line in lines if line.startswith("chosen: ")]

    assert chosen() == []
    assert chosen(flips=False, class_weights=True) == [
        "chosen:     no picture is mirrored (--no-flip); rare labels count as much as frequent ones (--class-weights)"
    ]


def test_long_labels_are_cut(make: Make) -> None:
    long = "x" * 200
    data = pictures("train", **{long: 4, "b": 30})
    run = make(data, pictures("test", **{long: 6, "b": 4}), choosing=False)
    run.history = [Epoch(1, 0.5, 6, 10)]
    metrics = measured((long, "b"), (0, 1, 6), (1, 0, 4))
    lines = [*before(run, ABOUT), *at_the_end(run, ABOUT, metrics)]
    assert [line for line in lines if long in line] == []
    assert len([line for line in lines if "x" * 59 + "…" in line]) >= 4


def test_the_number_of_pictures_in_a_step_is_told_as_it_is(make: Make) -> None:
    for count, said in ((16, "8 steps with 4 pictures each"), (17, "9 steps with 3 or 4 pictures each")):
        assert said in next(before(make(pictures(a=16, b=count)), ABOUT)), count


@pytest.mark.parametrize(
    ("count", "temperature", "said"),
    [
        pytest.param(200, 0.8, "divided by 0.80, since it was right more often than it was sure", id="too cautious"),
        pytest.param(199, 1.0, "as the network gives them; fitting them takes 200 held-out pictures", id="too few"),
    ],
)
def test_what_was_done_to_the_scores_is_said(make: Make, count: int, temperature: float, said: str) -> None:
    run = make(pictures(cat=20, dog=20), pictures(cat=100, dog=100))
    run.history = [Epoch(1, 0.5, 150, count, temperature)]
    line = next(line for line in at_the_end(run, ABOUT, None) if line.startswith("scores:"))
    assert line.endswith(said)


def test_the_next_command_can_be_typed_wherever_the_folder_lies(make: Make) -> None:
    run = make(pictures(a=20, b=20))
    for out, typed in (("tiny", "./tiny"), ("my runs/a", "'my runs/a'"), ("$x", "'./$x'"), ("/a/b", "/a/b")):
        run.out = Path(out)
        assert list(at_the_end(run, ABOUT, None))[-1] == f"next:       vithybrid classify PICTURES -m {typed}"


def test_the_figures_say_what_chose_the_epoch(make: Make) -> None:
    chooser = pictures(a=5, b=6)
    run = make(pictures(a=20, b=20), chooser)
    run.history = [Epoch(1, 0.5, 9, 11, 1.0)]
    record = training_record(run, replace(ABOUT, chooser=chooser), None)
    assert record["labels"] == [
        {"label": "a", "trained_on": 20, "held_out": 5},
        {"label": "b", "trained_on": 20, "held_out": 6},
    ]
    assert record["epochs"] == [
        {"epoch": 1, "loss": 0.5, "correct": 9, "pictures": 11, "accuracy": 0.818182, "temperature": 1.0}
    ]
    assert (record["kept"], record["chosen_by"], len(record["held_out"])) == (1, "held_out", 11)
    assert (record["measured_on"], record["start"]["weights"], record["test_overlap"]) == ("held_out", "random", None)
    json.dumps(record)
