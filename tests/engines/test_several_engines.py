"""Several devices share the batches of one run."""

import threading
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from PIL import Image

from vithybrid_cli.engines.several import SeveralEngines
from vithybrid_cli.images.preprocess import Preprocessing
from vithybrid_cli.pipeline.classifier import Classifier

SIDE = 8
WAIT = 20.0  # seconds until a test that waits for another thread gives up

Pixels = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.float32]


class Device:
    """An engine that counts how many calls it has at once; the logit of class i is high if the first value is i."""

    name, device_type, image_size = "device", "cuda", (SIDE, SIDE)

    environment = MappingProxyType[str, str | int]({"gpu": "H200"})

    def __init__(
        self, meeting: threading.Barrier, batch_size: int = 2, parallel: int = 1, batch_limit: int | None = None
    ) -> None:
        self.meeting, self.batch_size, self.parallel = meeting, batch_size, parallel
        self.batch_limit = batch_limit
        self.calls = 0
        self.at_once: list[int] = []
        self._lock, self._running = threading.Lock(), 0

    def run(self, pixels: Pixels) -> Rows:
        with self._lock:
            self._running += 1
            self.calls += 1
            self.at_once.append(self._running)
        self.meeting.wait(WAIT)
        with self._lock:
            self._running -= 1
        return 10 * np.eye(256, dtype=np.float32)[pixels[:, 0, 0, 0]]


def pictures(folder: Path, count: int) -> list[Path]:
    files = [folder / f"{value:03}.png" for value in range(count)]
    for value, file in enumerate(files):
        Image.new("RGB", (SIDE, SIDE), (value, 0, 0)).save(file)
    return files


def test_every_device_works_at_the_same_time_and_the_order_stays(tmp_path: Path) -> None:
    meeting = threading.Barrier(4)  # nobody goes on before four calls are under way
    devices = [Device(meeting, parallel=2), Device(meeting, parallel=2)]
    classifier = Classifier(SeveralEngines(devices), Preprocessing.default((SIDE, SIDE)), tuple(map(str, range(256))))
    results = list(classifier.classify(pictures(tmp_path, 16)))  # 8 batches of 2
    assert [result.predictions[0].index for result in results] == list(range(16))
    assert [device.calls for device in devices] == [4, 4]
    assert [max(device.at_once) for device in devices] == [2, 2]


def test_together_they_take_as_many_calls_as_each_for_itself_and_the_smallest_batch() -> None:
    meeting = threading.Barrier(1)
    several = SeveralEngines([Device(meeting, batch_size=8, parallel=2), Device(meeting, batch_size=4)])
    assert (several.parallel, several.batch_size, several.image_size) == (3, 4, (SIDE, SIDE))


def test_they_have_one_environment_and_the_smallest_limit() -> None:
    meeting = threading.Barrier(1)
    several = SeveralEngines([Device(meeting), Device(meeting, batch_limit=4), Device(meeting, batch_limit=8)])
    assert (several.batch_limit, several.environment) == (4, {"gpu": "H200"})
    assert SeveralEngines([Device(meeting), Device(meeting)]).batch_limit is None


def test_a_device_that_fails_is_free_again() -> None:
    meeting = threading.Barrier(1)
    several = SeveralEngines([Device(meeting)])
    for _ in range(3):
        try:
            several.run(np.full((1, SIDE, SIDE, 3), "x"))  # fails within
        except IndexError:
            continue
    assert several.run(np.zeros((1, SIDE, SIDE, 3), np.uint8)).shape == (1, 256)
