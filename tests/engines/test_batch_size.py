"""How many pictures are computed at once."""

import pytest

from vithybrid_cli.engines.batch_size import suitable_for_cores, suitable_for_gpu


@pytest.mark.parametrize(
    ("cores", "side", "expected"),
    [
        pytest.param(1, 384, 2, id="two at least"),
        pytest.param(4, 384, 4, id="one for each core"),
        pytest.param(16, 384, 8, id="eight at most"),
        pytest.param(16, 4096, 2, id="two at least, however large they are"),
        pytest.param(1, 64, 36, id="more of small ones"),
        pytest.param(16, 64, 288, id="up to eight times as many"),
    ],
)
def test_on_cores_it_follows_their_number_and_the_size_of_the_pictures(cores: int, side: int, expected: int) -> None:
    assert suitable_for_cores((side, side), cores) == expected


@pytest.mark.parametrize(("side", "expected"), [(384, 64), (64, 256), (4096, 1)])
def test_on_a_gpu_it_follows_the_size_of_the_pictures(side: int, expected: int) -> None:
    assert suitable_for_gpu((side, side)) == expected
