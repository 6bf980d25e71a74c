"""The ``.npy`` writer: a file that NumPy reads after every single write, and lines that never point to nothing."""

import io
import json
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from vithybrid_cli.errors import UnreadableImage
from vithybrid_cli.output.npy import NpyWriter
from vithybrid_cli.results import EmbeddingResult

WIDTH = 3


def vector(first: float) -> EmbeddingResult:
    return EmbeddingResult(f"{first}.png", np.array([first, 0.1, -1e-30], np.float32))


BAD = EmbeddingResult("bad.png", error=UnreadableImage("no picture"))


def written(file: Path, *results: EmbeddingResult) -> list[dict[str, object]]:
    """Write ``results`` and give back the lines."""
    lines = io.StringIO()
    file.touch()
    with file.open("r+b") as matrix, NpyWriter(matrix, lines, WIDTH) as writer:
        for result in results:
            writer.write(result)
    return [json.loads(line) for line in lines.getvalue().splitlines()]


def test_each_picture_that_could_be_read_has_a_row_and_each_input_a_line(tmp_path: Path) -> None:
    lines = written(tmp_path / "f.npy", vector(1), BAD, vector(2))
    rows = np.load(tmp_path / "f.npy", allow_pickle=False)
    assert (rows.dtype, rows.shape, rows[:, 0].tolist()) == (np.float32, (2, WIDTH), [1, 2])
    assert lines == [
        {"path": "1.png", "row": 0},
        {"path": "bad.png", "error": {"type": "UnreadableImage", "message": "no picture"}},
        {"path": "2.png", "row": 1},
    ]


def test_numbers_are_kept_to_the_last_bit(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(50, WIDTH)).astype(np.float32)
    written(tmp_path / "f.npy", *(EmbeddingResult("a.png", row) for row in values))
    np.testing.assert_array_equal(np.load(tmp_path / "f.npy"), values)
    read_back = [np.float32(EmbeddingResult("a.png", row).record()["embedding"]) for row in values]
    np.testing.assert_array_equal(read_back, values)


def test_json_has_the_shortest_numbers() -> None:
    embedding = np.array([0.1, 1 / 3, 1e-30, 16777216, -0.0], np.float32)
    assert json.dumps(EmbeddingResult("a", embedding).record()) == (
        '{"path": "a", "embedding": [0.1, 0.33333334, 1e-30, 16777216.0, -0.0]}'
    )


def test_nothing_is_a_matrix_without_rows(tmp_path: Path) -> None:
    assert written(tmp_path / "f.npy") == []
    assert np.load(tmp_path / "f.npy").shape == (0, WIDTH)


@pytest.mark.parametrize("before", [b"", b"x", b"x" * 100_000], ids=["an empty one", "a short one", "a long one"])
def test_a_file_that_is_there_is_written_over(tmp_path: Path, before: bytes) -> None:
    (tmp_path / "f.npy").write_bytes(before)
    written(tmp_path / "f.npy", vector(7))
    size = (tmp_path / "f.npy").stat().st_size
    np.save(tmp_path / "numpys.npy", np.zeros((1, WIDTH), np.float32))
    assert size == (tmp_path / "numpys.npy").stat().st_size
    assert np.load(tmp_path / "f.npy")[0, 0] == 7


class Watched(io.FileIO):
    """A file that is read as a whole one after each write that reaches it; it counts these."""

    def __init__(self, file: Path, lines: io.StringIO) -> None:
        super().__init__(file, "r+")
        self.file, self.lines, self.writes = file, lines, 0

    def write(self, data: bytes) -> int:  # type: ignore[override] # any buffer
        count = super().write(data)
        rows = np.load(self.file)
        assert rows.shape[1:] == (WIDTH,)
        assert rows[:, 0].tolist() == list(range(len(rows)))
        assert len(self.lines.getvalue().splitlines()) <= len(rows)
        self.writes += 1
        return count


def test_after_every_write_the_file_is_whole_and_no_line_is_without_its_row(tmp_path: Path) -> None:
    (tmp_path / "f.npy").write_bytes(b"x" * 1000)
    lines = io.StringIO()
    with Watched(tmp_path / "f.npy", lines) as raw, io.BufferedRandom(raw) as buffered:
        matrix: BinaryIO = buffered
        writer = NpyWriter(matrix, lines, WIDTH)
        for number in range(12):
            writer.write(vector(number))
        assert raw.writes == 1 + 2 * 12
    assert len(lines.getvalue().splitlines()) == writer.rows == 12
