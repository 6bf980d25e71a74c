"""The recipes, and how learning rates change."""

import pytest

from vithybrid_cli.choices import RecipeName
from vithybrid_cli.training.recipe import recipe_for, schedule


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
    usual, higher = recipe_for(RecipeName.SCRATCH, 1000), recipe_for(RecipeName.SCRATCH, 1000, learning_rate=0.003)
    assert higher.learning_rate == 0.003
    assert usual.matrix_rate is not None
    assert higher.matrix_rate == pytest.approx(usual.matrix_rate * 0.003 / usual.learning_rate)


def test_rates_in_proportion_are_written_as_a_person_would() -> None:
    for given, head in ((10.0, 100.0), (0.0007, 0.007), (3e-4, 3e-3), (1e-9, 1e-8)):
        assert recipe_for(RecipeName.FINETUNE, 1000, learning_rate=given).head_rate == head


def test_fine_tuning_has_no_rate_of_its_own_for_matrices() -> None:
    assert recipe_for(RecipeName.FINETUNE, 1000, learning_rate=1e-4).matrix_rate is None


@pytest.mark.parametrize("name", list(RecipeName))
def test_a_batch_is_no_larger_than_the_folder_and_the_beginnings_fit_into_one_epoch(name: RecipeName) -> None:
    recipe = recipe_for(name, 5, epochs=1)
    assert (recipe.epochs, recipe.batch_size) == (1, 5)
    assert recipe.warmup_epochs <= 0.5
    assert recipe.head_epochs <= 0.5


def test_what_is_given_takes_the_place_of_the_recipe() -> None:
    recipe = recipe_for(RecipeName.FINETUNE, 1000, epochs=3, batch_size=7, class_weights=True, seed=5)
    assert (recipe.epochs, recipe.batch_size, recipe.class_weights, recipe.seed) == (3, 7, True, 5)
