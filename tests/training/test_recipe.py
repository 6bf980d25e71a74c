"""The recipes, and how learning rates change."""

import pytest

from vithybrid_cli.choices import RecipeName
from vithybrid_cli.training.recipe import recipe_for, schedule

WIDTH = 192  # of the tokens of `tiny`


@pytest.mark.parametrize(
    ("epoch", "factor"),
    [
        pytest.param(0, 0.0, id="start"),
        pytest.param(1, 0.5, id="half of the warm-up"),
        pytest.param(2, 1.0, id="end of the warm-up"),
        pytest.param(4, 0.75, id="a quarter of the way down"),
        pytest.param(6, 0.5, id="half of the way down"),
        pytest.param(10, 0.0, id="end"),
    ],
)
def test_the_learning_rates_rise_linearly_and_fall_linearly(epoch: float, factor: float) -> None:
    assert schedule(epoch, warmup=2, epochs=10) == pytest.approx(factor, abs=1e-12)


def test_without_warm_up_the_learning_rate_starts_at_its_highest() -> None:
    assert schedule(0, warmup=0, epochs=3) == 1.0


def test_the_rate_from_random_weights_is_given_to_the_last_digit_and_the_matrices_follow_it() -> None:
    usual, higher = (
        recipe_for(RecipeName.SCRATCH, 1000, WIDTH),
        recipe_for(RecipeName.SCRATCH, 1000, WIDTH, learning_rate=0.003),
    )
    assert higher.learning_rate == 0.003
    assert usual.matrix_rate is not None
    assert higher.matrix_rate == pytest.approx(usual.matrix_rate * 0.003 / usual.learning_rate)


def test_rates_in_proportion_are_written_as_a_person_would() -> None:
    for given, head in ((10.0, 30.0), (0.0007, 0.0021), (1e-3, 3e-3), (1e-9, 3e-9)):
        assert recipe_for(RecipeName.FINETUNE, 1000, WIDTH, learning_rate=given).head_rate == head


@pytest.mark.parametrize(
    ("width", "rate", "head_rate"),
    [
        pytest.param(192, 1e-3, 3e-3, id="tiny and R-Ti"),
        pytest.param(384, 2.5e-4, 1.5e-3, id="S"),
        pytest.param(768, 6.3e-5, 7.5e-4, id="B"),  # MAE's 5e-4 for 256 pictures is 6.25e-5 for 32
        pytest.param(1024, 3.5e-5, 5.625e-4, id="L"),
    ],
)
def test_wide_networks_are_tuned_in_smaller_steps(width: int, rate: float, head_rate: float) -> None:
    recipe = recipe_for(RecipeName.FINETUNE, 1000, width)
    assert (recipe.learning_rate, recipe.head_rate) == (rate, head_rate)
    given = recipe_for(RecipeName.FINETUNE, 1000, width, learning_rate=1e-3)
    assert given.learning_rate == 1e-3
    assert given.head_rate == pytest.approx(1e-3 * head_rate / rate)


def test_the_rates_from_random_weights_are_those_of_any_width() -> None:
    assert recipe_for(RecipeName.SCRATCH, 1000, 1024) == recipe_for(RecipeName.SCRATCH, 1000, WIDTH)


@pytest.mark.parametrize(
    ("pictures", "epochs"),
    [
        pytest.param(40, 30, id="never more than 30"),
        pytest.param(1000, 16, id="500 steps, of 32 pictures"),
        pytest.param(100_000, 10, id="never fewer than 10"),
    ],
)
def test_few_pictures_are_tuned_on_more_often(pictures: int, epochs: int) -> None:
    assert recipe_for(RecipeName.FINETUNE, pictures, WIDTH).epochs == epochs
    assert recipe_for(RecipeName.FINETUNE, pictures, WIDTH, epochs=3).epochs == 3
    assert recipe_for(RecipeName.SCRATCH, pictures, WIDTH).epochs == 30


def test_a_smaller_batch_makes_more_steps_of_an_epoch() -> None:
    assert recipe_for(RecipeName.FINETUNE, 1000, WIDTH, batch_size=8).epochs == 10


def test_fine_tuning_has_no_rate_of_its_own_for_matrices() -> None:
    assert recipe_for(RecipeName.FINETUNE, 1000, WIDTH, learning_rate=1e-4).matrix_rate is None


@pytest.mark.parametrize("name", list(RecipeName))
def test_a_batch_is_no_larger_than_the_folder_and_the_beginnings_fit_into_one_epoch(name: RecipeName) -> None:
    recipe = recipe_for(name, 5, WIDTH, epochs=1)
    assert (recipe.epochs, recipe.batch_size) == (1, 5)
    assert recipe.warmup_epochs <= 0.5
    assert recipe.head_epochs <= 0.5


def test_what_is_given_takes_the_place_of_the_recipe() -> None:
    recipe = recipe_for(RecipeName.FINETUNE, 1000, WIDTH, epochs=3, batch_size=7, class_weights=True, seed=5)
    assert (recipe.epochs, recipe.batch_size, recipe.class_weights, recipe.seed) == (3, 7, True, 5)
