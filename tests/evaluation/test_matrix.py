"""What stands together in a confusion matrix, and what it leaves out."""

import itertools
import random

import pytest

from vithybrid_cli.evaluation.figures import Confusion, LabelMetrics, Metrics
from vithybrid_cli.evaluation.matrix import confusion_matrix, seriated


def metrics(pairs: dict[tuple[int, int], int], labels: int, correct: int = 5) -> Metrics:
    rows = tuple(LabelMetrics(i, f"label {i}", correct, correct, correct, correct) for i in range(labels))
    by_count = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))
    return Metrics(rows, tuple(Confusion(a, f"label {a}", b, f"label {b}", n) for (a, b), n in by_count), ())


def test_a_chain_of_confusions_is_put_in_its_order() -> None:
    shuffled = list(range(12))
    random.Random(3).shuffle(shuffled)
    chain = dict.fromkeys(itertools.pairwise(shuffled), 7)
    found = seriated(range(12), chain)
    assert found in (shuffled, shuffled[::-1])
    assert found.index(0) < 6


def test_two_groups_that_are_rarely_confused_with_each_other_stand_apart() -> None:
    group = {number: number % 2 for number in range(10)}
    pairs = {(a, b): 20 if group[a] == group[b] else 1 for a in group for b in group if a != b}
    sides = [group[index] for index in seriated(range(10), pairs)]
    assert sides in ([0] * 5 + [1] * 5, [1] * 5 + [0] * 5)


def test_groups_without_a_confusion_between_them_come_by_size_and_labels_without_any_last() -> None:
    found = seriated([1, 3, 5, 7, 9, 11], {(3, 9): 1, (7, 1): 2, (11, 7): 2})
    assert (set(found[:3]), set(found[3:5]), found[5]) == ({1, 7, 11}, {3, 9}, 5)


def test_the_order_is_the_same_whichever_way_the_pairs_come() -> None:
    pairs = {(a, b): (a * 7 + b * 3) % 5 for a in range(9) for b in range(9) if a != b and (a * 7 + b * 3) % 5}
    assert seriated(range(9), pairs) == seriated(range(9), dict(reversed(pairs.items())))


@pytest.mark.parametrize("labels", [0, 1, 2])
def test_few_labels_keep_their_order(labels: int) -> None:
    assert seriated(range(labels), {}) == list(range(labels))


def test_a_matrix_has_hits_and_mistakes_of_all_labels_where_these_are_few() -> None:
    matrix = confusion_matrix(metrics({(0, 2): 3, (1, 2): 1}, 3))
    assert matrix.counts == {(0, 0): 5, (1, 1): 5, (2, 2): 5, (0, 2): 3, (1, 2): 1}
    assert sorted(row.index for row in matrix.labels) == [0, 1, 2]
    assert (matrix.mistakes, matrix.labels_left_out, matrix.mistakes_left_out) == (4, 0, 0)


def test_of_a_thousand_labels_those_that_are_confused_most_are_shown_and_the_rest_is_counted() -> None:
    pairs = {(10 * number, 10 * number + 1): 100 - number for number in range(60)}
    matrix = confusion_matrix(metrics(pairs, 1000), most=20)
    assert {row.index for row in matrix.labels} == {index for pair in list(pairs)[:10] for index in pair}
    assert (matrix.labels_left_out, matrix.mistakes) == (980, sum(range(91, 101)))
    assert matrix.mistakes + matrix.mistakes_left_out == sum(pairs.values())
