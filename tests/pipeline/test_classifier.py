"""The Python interface: a folder and pictures in, results out, in order, with bounded memory."""

import itertools
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from headless import make_headless
from PIL import ExifTags, Image
from places import GOLDENS, ROOT
from safetensors.numpy import load_file

from vithybrid_cli import Classifier
from vithybrid_cli.errors import (
    ImageTooLarge,
    MissingFile,
    ModelError,
    NonFiniteLogits,
    NotAFile,
    UnreadableImage,
    UsageError,
)
from vithybrid_cli.images.preprocess import Normalization, Preprocessing
from vithybrid_cli.pipeline.batches import Batches
from vithybrid_cli.pipeline.loader import PAUSE
from vithybrid_cli.results import ImageResult
from vithybrid_cli.settings import Reading

SMALL = GOLDENS / "hf-hybrid-small"
SIDE = 64  # of its pictures
LABELS = (
    "tench, Tinca tinca",
    "crane",
    "crane",
    "tabby, tabby cat",
    "maillot, tank suit",
    "émeu",
    'a"quoted"',
    "a,comma",
)
TOLERANCE = 1e-5  # of the largest logit
WAIT = 20.0  # seconds; far above what anything here takes

Pixels = npt.NDArray[np.uint8]
Logits = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.from_pretrained(SMALL, engine="torch")


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Seven different pictures of different sizes."""
    rng = np.random.default_rng(0)
    for index in range(7):
        pixels = rng.integers(0, 256, (70 + 9 * index, 100 - 4 * index, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{index}.png")
    return sorted(tmp_path.iterdir())


class Recorder:
    """An engine that keeps its batches; the logit of class i is high if the picture's first value is i."""

    image_size = (SIDE, SIDE)
    name, device_type, parallel, batch_limit = "recorder", "cpu", 1, None
    environment = MappingProxyType[str, str | int]({})

    def __init__(self, batch_size: int = 4, classes: int = 256) -> None:
        self.batch_size, self.classes = batch_size, classes
        self.batches: list[int] = []
        self.seen: list[Pixels] = []

    def run(self, pixels: Pixels) -> Logits:
        self.batches.append(len(pixels))
        self.seen.append(pixels)
        return 10 * np.eye(self.classes, dtype=np.float32)[pixels[:, 0, 0, 0]]


def recording(batch_size: int = 4) -> tuple[Classifier, Recorder]:
    """A classifier without a network."""
    engine = Recorder(batch_size)
    labels = tuple(f"value {index}" for index in range(engine.classes))
    return Classifier(engine, Preprocessing.default((SIDE, SIDE)), labels), engine


def plain_picture(folder: Path, value: int) -> Path:
    file = folder / f"{value}.png"
    Image.new("RGB", (SIDE, SIDE), (value, 0, 0)).save(file)
    return file


def top_indices(results: list[ImageResult]) -> list[int | None]:
    return [result.predictions[0].index if result.predictions else None for result in results]


def test_labels_are_those_of_the_checkpoint_in_the_order_of_their_index(classifier: Classifier) -> None:
    assert classifier.labels == LABELS


def test_the_folder_may_be_a_path_or_a_text() -> None:
    assert Classifier.from_pretrained(str(SMALL)).labels == Classifier.from_pretrained(SMALL).labels


def test_logits_are_those_that_transformers_computed(golden: Path) -> None:
    expected = load_file(golden / "activations.safetensors")
    classifier = Classifier.from_pretrained(golden, device="cpu", engine="torch")
    for pixel_values in (expected["pixel_values"], torch.from_numpy(expected["pixel_values"])):
        logits = classifier.logits(pixel_values)
        assert logits.dtype == np.float32
        assert np.abs(logits - expected["logits"]).max() <= TOLERANCE * np.abs(expected["logits"]).max()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_both_kinds_of_attention_give_the_reference_logits(attention: str) -> None:
    expected = load_file(SMALL / "activations.safetensors")
    logits = Classifier.from_pretrained(SMALL, device="cpu", engine="torch", attention=attention).logits(
        expected["pixel_values"]
    )
    assert np.abs(logits - expected["logits"]).max() <= TOLERANCE * np.abs(expected["logits"]).max()


def test_preprocess_equals_the_reference_processor(classifier: Classifier) -> None:
    folder = GOLDENS / "preprocess"
    expected = load_file(folder / "expected.safetensors")
    files = sorted(folder.glob("*.png"))
    assert len(files) == 10
    for file in files:
        with Image.open(file) as image:
            values = classifier.preprocess(image)
        reference = expected[f"{file.stem}/hybrid"]
        assert (values.dtype, values.shape) == (np.dtype(np.float32), reference.shape)
        # One grey level, where the goldens' Pillow resizes with other weights (see test_preprocess.py); else nothing.
        tolerance = 0 if file.stem == "02-64x64" else 2.0001 / 255
        np.testing.assert_allclose(values, reference, rtol=0, atol=tolerance)


def test_preprocess_leaves_the_exif_orientation_alone_and_classify_does_not(tmp_path: Path) -> None:
    classifier, _ = recording()
    stored = np.full((SIDE, SIDE, 3), 3, np.uint8)
    stored[-1, 0] = 200  # the first pixel once turned
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # a quarter to the right
    Image.fromarray(stored).save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as image:
        assert classifier.preprocess(image)[0, 0, 0] == np.float32((np.float32(3 / 255) - 0.5) / 0.5)
    assert top_indices(list(classifier.classify([tmp_path / "turned.png"]))) == [200]


def test_a_pictures_own_logits_decide_its_labels(classifier: Classifier, pictures: list[Path]) -> None:
    for path, result in zip(pictures, classifier.classify(pictures, top_k=8), strict=True):
        with Image.open(path) as image:
            logits = classifier.logits(classifier.preprocess(image)[None])[0].astype(np.float64)
        scores = np.exp(logits) / np.exp(logits).sum()
        assert [p.index for p in result.predictions] == np.argsort(-scores).tolist()
        assert [p.score for p in result.predictions] == pytest.approx(np.sort(scores)[::-1], rel=1e-4)
        assert [p.label for p in result.predictions] == [LABELS[p.index] for p in result.predictions]


@pytest.mark.parametrize("batch_size", [None, 1, 2, 7, 100])
@pytest.mark.parametrize("workers", [None, 1, 3])
def test_results_come_in_the_order_of_the_paths(tmp_path: Path, batch_size: int | None, workers: int | None) -> None:
    classifier, _ = recording()
    values = [7, 3, 3, 250, 0, 99, 12, 5, 81, 4]
    paths = [plain_picture(tmp_path, value) for value in values]
    results = list(classifier.classify(paths, batch_size=batch_size, workers=workers))
    assert [result.path for result in results] == [str(path) for path in paths]
    assert top_indices(results) == values


def test_texts_and_paths_may_be_mixed_and_a_result_holds_a_text(tmp_path: Path) -> None:
    classifier, _ = recording()
    one, two = plain_picture(tmp_path, 1), plain_picture(tmp_path, 2)
    assert [result.path for result in classifier.classify([one, str(two)])] == [str(one), str(two)]


def test_a_bad_file_is_a_result_in_its_place_and_costs_no_neighbour_its_labels(tmp_path: Path) -> None:
    classifier, engine = recording(batch_size=3)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    missing, broken = tmp_path / "missing.png", tmp_path / "broken.png"
    one, two, three, four = (plain_picture(tmp_path, value) for value in (1, 2, 3, 4))
    paths = [missing, one, broken, tmp_path, two, three, four, missing]
    results = list(classifier.classify(paths))
    assert [result.path for result in results] == [str(path) for path in paths]
    assert top_indices(results) == [None, 1, None, None, 2, 3, 4, None]
    errors = [type(result.error) for result in results]
    nothing = type(None)
    assert errors == [MissingFile, nothing, UnreadableImage, NotAFile, nothing, nothing, nothing, MissingFile]
    assert sum(engine.batches) == 4


def test_only_bad_files_never_reach_the_engine(tmp_path: Path) -> None:
    classifier, engine = recording()
    results = list(classifier.classify([tmp_path / str(index) for index in range(50)]))
    assert len(results) == 50
    assert {type(result.error) for result in results} == {MissingFile}
    assert engine.batches == []


def test_no_paths_give_no_results() -> None:
    classifier, engine = recording()
    assert list(classifier.classify([])) == []
    assert engine.batches == []


def test_a_picture_above_the_pixel_limit_is_an_error(tmp_path: Path) -> None:
    classifier, _ = recording()
    (result,) = classifier.classify([plain_picture(tmp_path, 1)], max_pixels=SIDE * SIDE - 1)
    assert isinstance(result.error, ImageTooLarge)


def test_a_picture_that_preprocessing_leaves_at_another_size_is_an_error(tmp_path: Path) -> None:
    preprocessing = Preprocessing(size=SIDE, crop_size=(SIDE, SIDE), do_resize=False, do_center_crop=False)
    classifier = Classifier(Recorder(), preprocessing, tuple(map(str, range(256))))
    Image.new("RGB", (SIDE + 1, SIDE)).save(tmp_path / "wide.png")
    good, bad = classifier.classify([plain_picture(tmp_path, 9), tmp_path / "wide.png"])
    assert top_indices([good]) == [9]
    assert isinstance(bad.error, UnreadableImage)
    assert f"{SIDE + 1}×{SIDE}" in str(bad.error)


@pytest.mark.parametrize(
    ("top_k", "threshold", "expected"),
    [
        pytest.param(1, 0.0, 1, id="one"),
        pytest.param(8, 0.0, 8, id="as many as there are"),
        pytest.param(1000, 0.0, 8, id="more than there are"),
        pytest.param(8, 1.0, 0, id="a threshold that nothing reaches"),
        pytest.param(8, 1e-12, 8, id="a threshold that all reach"),
    ],
)
def test_labels_are_as_many_as_asked_for(
    classifier: Classifier, pictures: list[Path], top_k: int, threshold: float, expected: int
) -> None:
    for result in classifier.classify(pictures, top_k, threshold):
        assert result.error is None
        assert len(result.predictions) == expected


def test_scores_fall_and_those_below_the_threshold_are_left_out(classifier: Classifier, pictures: list[Path]) -> None:
    for every, some in zip(
        classifier.classify(pictures, 8), classifier.classify(pictures, 8, threshold=1 / 8), strict=True
    ):
        scores = [p.score for p in every.predictions]
        assert scores == sorted(scores, reverse=True)
        assert sum(scores) == pytest.approx(1)
        assert some.predictions == tuple(p for p in every.predictions if p.score >= 1 / 8)


def test_batches_are_full_and_the_last_holds_the_rest(tmp_path: Path) -> None:
    classifier, engine = recording(batch_size=4)
    path = plain_picture(tmp_path, 1)
    assert len(list(classifier.classify([path] * 10))) == 10
    assert engine.batches == [4, 4, 2]
    engine.batches.clear()
    assert len(list(classifier.classify([path] * 10, batch_size=5))) == 10
    assert engine.batches == [5, 5]


@pytest.mark.parametrize(("suffix", "same"), [(".jpg", False), (".png", True)])
def test_fast_jpeg_gives_slightly_other_pixels_of_large_jpegs_alone(tmp_path: Path, suffix: str, same: bool) -> None:
    file = tmp_path / f"large{suffix}"
    smooth = np.linspace(0, 255, 8 * SIDE).astype(np.uint8)
    Image.fromarray(smooth[:, None] // 2 + smooth // 2).convert("RGB").save(file)
    classifier, engine = recording()
    for fast in (False, True):
        list(classifier.classify([file], fast_jpeg=fast))
    whole, fast_pixels = engine.seen
    assert np.array_equal(whole, fast_pixels) == same
    assert np.abs(whole.astype(int) - fast_pixels).max() <= 4


def endless(path: Path, drawn: list[int]) -> Iterator[Path]:
    """The path again and again; ``drawn`` counts how often."""
    for index in itertools.count():
        drawn.append(index)
        yield path


def settled(drawn: list[int]) -> int:
    """How many were drawn once no more are."""
    deadline = time.monotonic() + WAIT
    before = -1
    while before != len(drawn) and time.monotonic() < deadline:
        before = len(drawn)
        time.sleep(0.1)
    return len(drawn)


def test_paths_are_drawn_as_results_are_taken_with_a_bounded_look_ahead(tmp_path: Path) -> None:
    classifier, _ = recording(batch_size=4)
    drawn: list[int] = []
    results = classifier.classify(endless(plain_picture(tmp_path, 1), drawn), workers=2)
    assert drawn == []  # nothing happens before the first result is asked for
    ahead = 2 * 4 + 2 * 4 + 2 + 1  # two batches at hand, two more, one per worker, and the one that waits for a place
    next(results)
    assert settled(drawn) <= ahead
    for _ in range(399):
        next(results)
    assert settled(drawn) <= 396 + ahead
    results.close()


def test_thousands_of_paths_are_never_held_at_once(tmp_path: Path) -> None:
    classifier, _ = recording(batch_size=8)
    drawn: list[int] = []
    paths = itertools.islice(endless(plain_picture(tmp_path, 1), drawn), 5000)
    ahead = [len(drawn) - taken for taken, _ in enumerate(classifier.classify(paths, workers=2))]
    assert len(ahead) == 5000
    assert max(ahead) <= 2 * 8 + 2 * 8 + 2 + 1


def test_results_may_be_given_up_early_and_the_paths_are_closed(tmp_path: Path) -> None:
    classifier, engine = recording(batch_size=2)
    drawn: list[int] = []
    results = classifier.classify(endless(plain_picture(tmp_path, 1), drawn), workers=2)
    next(results)
    results.close()
    at_close = settled(drawn)
    time.sleep(0.1)
    assert len(drawn) == at_close
    assert engine.batches in ([2], [2, 2])  # the one that waited may have had its turn
    assert list(results) == []


def test_a_classifier_may_be_used_again_and_by_two_at_a_time(tmp_path: Path) -> None:
    classifier, _ = recording(batch_size=2)
    paths = [plain_picture(tmp_path, value) for value in (1, 2, 3)]
    first, second = classifier.classify(paths), classifier.classify(reversed(paths))
    assert top_indices([result for pair in zip(first, second, strict=True) for result in pair]) == [1, 3, 2, 2, 3, 1]


def test_a_file_that_vanishes_between_listing_and_reading_is_an_error_in_its_place(tmp_path: Path) -> None:
    def paths() -> Iterator[Path]:
        yield plain_picture(tmp_path, 1)
        listed = plain_picture(tmp_path, 2)
        listed.unlink()
        yield listed
        yield plain_picture(tmp_path, 3)

    classifier, engine = recording(batch_size=2)
    results = list(classifier.classify(paths()))
    assert top_indices(results) == [1, None, 3]
    assert isinstance(results[1].error, MissingFile)
    assert engine.batches == [1, 1]


def test_an_exception_of_the_paths_comes_after_the_results_before_it(tmp_path: Path) -> None:
    def paths() -> Iterator[Path]:
        yield from (plain_picture(tmp_path, value) for value in (1, 2, 3))
        raise ZeroDivisionError("a bug")

    classifier, _ = recording(batch_size=2)
    results = classifier.classify(paths())
    assert top_indices(list(itertools.islice(results, 3))) == [1, 2, 3]
    with pytest.raises(ZeroDivisionError, match="a bug"):
        next(results)


@pytest.mark.parametrize(
    ("option", "value", "known"),
    [
        pytest.param("engine", "onnx", "auto, torch", id="engine"),
        pytest.param("dtype", "float64", "float32, float16, bfloat16", id="dtype"),
        pytest.param("attention", "flash", "sdpa, eager", id="attention"),
        pytest.param("device", "gpu", "auto, cpu, cuda", id="device"),
    ],
)
def test_an_unknown_option_is_wrong_usage_and_names_the_known_ones(option: str, value: str, known: str) -> None:
    with pytest.raises(UsageError) as caught:
        Classifier.from_pretrained(SMALL, **{option: value})  # type: ignore[arg-type]
    assert repr(value) in str(caught.value)
    assert known in str(caught.value)


def test_a_network_without_a_head_is_a_model_error(tmp_path: Path) -> None:
    folder = make_headless(tmp_path / "model")
    with pytest.raises(ModelError, match=f"{folder} has no head.*`vithybrid embed`"):
        Classifier.from_pretrained(folder)


@pytest.mark.parametrize(
    ("problem", "chosen", "expected"),
    [
        pytest.param("multi_label_classification", "auto", lambda x: 1 / (1 + np.exp(-x)), id="each may be right"),
        pytest.param("regression", "auto", lambda x: x, id="values"),
        pytest.param("regression", "sigmoid", lambda x: 1 / (1 + np.exp(-x)), id="as asked for"),
        pytest.param("multi_label_classification", "softmax", lambda x: np.exp(x) / np.exp(x).sum(), id="one is right"),
        pytest.param("single_label_classification", "none", lambda x: x, id="the outputs themselves"),
    ],
)
def test_scores_are_what_the_problem_of_the_model_or_the_user_asks_for(
    problem: str, chosen: str, expected: Callable[[Any], Any], tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(GOLDENS / "hf-vit", folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"problem_type": problem}), encoding="utf-8")
    classifier = Classifier.from_pretrained(folder, engine="torch", device="cpu")
    picture = plain_picture(tmp_path, 8)
    (result,) = classifier.classify(picture, top_k=99, activation=chosen)
    logits = classifier.logits(classifier.preprocess(Image.open(picture))[None])[0]
    scores = [p.score for p in sorted(result.predictions, key=lambda p: p.index)]
    np.testing.assert_allclose(scores, expected(logits.astype(np.float64)), atol=1e-6)


def test_another_image_size_gives_the_logits_of_transformers_with_interpolated_positions() -> None:
    expected = load_file(GOLDENS / "hf-vit" / "activations.safetensors")
    classifier = Classifier.from_pretrained(GOLDENS / "hf-vit", device="cpu", engine="torch", image_size=96)
    assert classifier.engine.image_size == (96, 96)
    logits = classifier.logits(expected["pixel_values_large"])
    assert np.abs(logits - expected["logits_large"]).max() <= TOLERANCE * np.abs(expected["logits_large"]).max()


def test_a_folder_that_is_not_there_is_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        Classifier.from_pretrained(tmp_path / "nothing", offline=True)


def test_without_a_checkpoint_there_is_no_network_that_takes_normalised_pixels() -> None:
    classifier, _ = recording()
    with pytest.raises(UsageError, match="no checkpoint to load a torch network from"):
        classifier.logits(Normalization().apply(np.zeros((1, SIDE, SIDE, 3), np.uint8)))


def test_logits_that_are_no_numbers_are_an_error_and_no_empty_result(tmp_path: Path) -> None:
    class Overflowing(Recorder):
        def run(self, pixels: Pixels) -> Logits:
            logits = super().run(pixels)
            logits[pixels[:, 0, 0, 0] == 9] = np.nan
            return logits

    labels = tuple(str(index) for index in range(256))
    classifier = Classifier(Overflowing(), Preprocessing.default((SIDE, SIDE)), labels)
    first, second = classifier.classify([plain_picture(tmp_path, 9), plain_picture(tmp_path, 8)])
    assert isinstance(first.error, NonFiniteLogits)
    assert second.predictions[0].index == 8


@pytest.mark.parametrize("argument", ["top_k", "batch_size", "workers"])
def test_numbers_below_one_are_refused(argument: str) -> None:
    classifier, _ = recording()
    with pytest.raises(UsageError, match=argument):
        classifier.classify(["a.png"], **dict[str, Any]({argument: 0}))


@pytest.mark.parametrize("threshold", [-0.1, 1.5, float("nan")])
def test_a_threshold_that_is_no_probability_is_refused(threshold: float) -> None:
    classifier, _ = recording()
    with pytest.raises(UsageError, match="no probability"):
        classifier.classify(["a.png"], threshold=threshold)


def test_paths_that_cannot_be_iterated_are_refused_at_the_call() -> None:
    classifier, _ = recording()
    wrong: Any = 5
    with pytest.raises(TypeError):
        classifier.classify(wrong)


@pytest.mark.parametrize("kind", [str, Path])
def test_one_path_is_a_list_of_one(tmp_path: Path, kind: Any) -> None:
    classifier, _ = recording()
    path = plain_picture(tmp_path, 8)
    assert top_indices(list(classifier.classify(kind(path)))) == [8]


def test_a_generator_of_paths_runs_in_the_thread_that_takes_the_results(tmp_path: Path) -> None:
    classifier, _ = recording()
    path, threads = plain_picture(tmp_path, 8), set()

    def paths() -> Iterator[Path]:
        for _ in range(30):
            threads.add(threading.get_ident())
            yield path

    assert len(list(classifier.classify(paths(), workers=2))) == 30
    assert threads == {threading.get_ident()}


def test_batches_are_full_however_slow_the_paths_are(tmp_path: Path) -> None:
    classifier, engine = recording(batch_size=4)
    path = plain_picture(tmp_path, 8)

    def slow() -> Iterator[Path]:
        for number in range(8):
            if number == 2:
                time.sleep(3 * PAUSE)
            yield path

    assert len(list(classifier.classify(slow()))) == 8
    assert engine.batches == [4, 4]


def test_what_has_arrived_of_a_live_list_is_computed_while_it_pauses(tmp_path: Path) -> None:
    classifier, engine = recording(batch_size=4)
    path = str(plain_picture(tmp_path, 8))
    arrived: Queue[str | None] = Queue()
    for _ in range(2):
        arrived.put(path)
    outputs = classifier.outputs(iter(arrived.get, None), Reading(), live=True)
    results = [classifier.result(*next(outputs)) for _ in range(2)]
    assert top_indices(results) == [8, 8]
    assert sum(engine.batches) == 2
    arrived.put(None)
    assert list(outputs) == []


def test_an_unreadable_file_has_its_place_in_a_batch_which_is_computed_without_it(tmp_path: Path) -> None:
    classifier, engine = recording(batch_size=3)
    path, gone = plain_picture(tmp_path, 8), tmp_path / "gone"
    paths = [path, gone, path, *[gone] * 3, gone, gone, path, path]
    results = list(classifier.classify(paths))
    assert [result.path for result in results] == [str(path) for path in paths]
    assert engine.batches == [2, 1, 1]
    cut, ends = Batches(3), []
    for number in range(1, 11):
        cut.add()
        if not cut.within:
            ends.append(number)
    assert ends == [3, 6, 9]


def test_what_a_run_computes_does_not_depend_on_where_it_began(tmp_path: Path) -> None:
    classifier, engine = recording(batch_size=4)
    path, gone = plain_picture(tmp_path, 8), tmp_path / "gone"
    paths = [path, gone, path, path, path, path, gone, path, path, gone]
    assert len(list(classifier.classify(paths))) == 10
    whole = engine.batches.copy()
    assert len(list(classifier.classify(paths[4:]))) == 6
    assert engine.batches[len(whole) :] == whole[1:]


def test_an_error_keeps_nothing_of_its_picture_in_memory(tmp_path: Path) -> None:
    classifier, _ = recording()
    (tmp_path / "broken.png").write_bytes(b"no picture")
    (result,) = classifier.classify(tmp_path / "broken.png")
    assert result.error is not None
    assert (result.error.__traceback__, result.error.__cause__, result.error.__context__) == (None, None, None)


CUT_OFF = """
import sys
from pathlib import Path
import numpy as np
from PIL import Image
from vithybrid_cli import Classifier
from vithybrid_cli.images.preprocess import Preprocessing

class Engine:
    name, device_type, image_size, batch_size, parallel = "fake", "cpu", (64, 64), 8, 1
    def run(self, pixels):
        return np.zeros((len(pixels), 2), np.float32)

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

whole, cut_off = sys.argv[1:]
classifier = Classifier(Engine(), Preprocessing.default((64, 64)), ("a", "b"))
peaks = []
for count in (4, 60):
    results = list(classifier.classify([whole, *[cut_off] * count], workers=2))
    assert sum(result.error is not None for result in results) == count
    peaks.append(peak())
print(peaks[1] / peaks[0])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_memory_does_not_grow_with_the_number_of_cut_off_photographs(tmp_path: Path) -> None:
    whole, cut_off = tmp_path / "whole.jpg", tmp_path / "cut.jpg"
    Image.linear_gradient("L").resize((4000, 3000)).convert("RGB").save(whole)
    cut_off.write_bytes(whole.read_bytes()[: whole.stat().st_size * 3 // 4])
    command = [sys.executable, "-c", CUT_OFF, str(whole), str(cut_off)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert float(done.stdout) < 1.3


def test_the_torch_network_is_loaded_when_another_engine_labels_the_pictures() -> None:
    expected = load_file(SMALL / "activations.safetensors")
    classifier = Classifier.from_pretrained(SMALL, device="cpu", engine="openvino")
    for _ in range(2):
        logits = classifier.logits(expected["pixel_values"])
        assert np.abs(logits - expected["logits"]).max() <= TOLERANCE * np.abs(expected["logits"]).max()


def test_a_closed_classifier_says_so(tmp_path: Path) -> None:
    with recording()[0] as classifier:
        (result,) = classifier.classify(plain_picture(tmp_path, 8))
        assert result.error is None
    classifier.close()
    with pytest.raises(UsageError, match="Classifier is closed"):
        classifier.classify(["a.png"])


def test_preprocessing_that_fits_no_picture_to_the_network_is_one_model_error() -> None:
    with pytest.raises(ModelError, match=r"takes 64×64 pixels, but its preprocessor_config\.json makes 32×48"):
        Classifier(Recorder(), Preprocessing.default((48, 32)), ("a",))
