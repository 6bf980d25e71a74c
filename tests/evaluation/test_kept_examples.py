"""Which pictures are kept to be looked at."""

from vithybrid_cli.errors import UnreadableImage
from vithybrid_cli.evaluation.examples import Example, Examples
from vithybrid_cli.results import ImageResult, Prediction


def seen(*pictures: tuple[int, int, float], of_a_pair: int = 8, of_all: int = 24, most: int = 20_000) -> Examples:
    """Examples of pictures 0, 1, …, each with its label, its prediction and the score."""
    examples = Examples(of_a_pair, of_all, most)
    for number, (true, predicted, score) in enumerate(pictures):
        examples.add(true, ImageResult(str(number), (Prediction(predicted, "x", score),)))
    return examples


def paths(examples: tuple[Example, ...]) -> list[str]:
    return [example.path for example in examples]


def test_the_most_confident_mistakes_and_the_least_sure_hits_come_first() -> None:
    examples = seen((0, 1, 0.5), (0, 0, 0.9), (1, 0, 0.8), (1, 1, 0.3), (0, 1, 0.6), (1, 1, 0.4), of_all=2)
    assert paths(examples.mistakes) == ["2", "4"]
    assert paths(examples.hits) == ["3", "5"]


def test_of_equal_scores_the_first_pictures_are_kept_in_their_order() -> None:
    examples = seen(*[(0, 1, 0.5)] * 5, *[(0, 0, 0.5)] * 5, of_a_pair=2, of_all=3)
    assert (paths(examples.mistakes), paths(examples.hits)) == (["0", "1", "2"], ["5", "6", "7"])
    assert (paths(examples.of_pair(0, 1)), paths(examples.of_pair(0, 0))) == (["0", "1"], ["5", "6"])


def test_of_a_pair_its_most_confident_mistakes_are_kept() -> None:
    examples = seen((0, 1, 0.5), (0, 1, 0.7), (0, 1, 0.6), (1, 0, 0.9), of_a_pair=2)
    assert paths(examples.of_pair(0, 1)) == ["1", "2"]
    assert examples.of_pair(1, 0) == (Example("3", 1, 0, 0.9),)
    assert examples.of_pair(2, 3) == ()


def test_what_was_not_read_or_not_predicted_is_no_example() -> None:
    examples = Examples()
    examples.add(0, ImageResult("broken", error=UnreadableImage("The file is empty.")))
    examples.add(0, ImageResult("nothing"))
    assert (examples.mistakes, examples.hits) == ((), ())


def test_too_many_pairs_let_go_of_the_pictures_of_the_rarest() -> None:
    frequent = [(0, 1, 0.5)] * 3
    examples = seen(*frequent, *((2, other, 0.1) for other in range(3, 300)), of_a_pair=4, most=10)
    kept = [pair for pair in ((0, 1), *((2, other) for other in range(3, 300))) if examples.of_pair(*pair)]
    assert kept[0] == (0, 1)
    assert len(kept) <= 10
    assert paths(examples.of_pair(0, 1)) == ["0", "1", "2"]
    assert paths(examples.mistakes)[:3] == ["0", "1", "2"]
