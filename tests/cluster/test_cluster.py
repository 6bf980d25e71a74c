"""Twenty thousand pictures while workers, nodes and runs are killed; minutes, so `make test-cluster` alone runs it."""

import random
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from job_programs import HOW, begin, end_of, kill_a_worker, run, shards_done, wait_for
from PIL import Image
from ray_nodes import RayNodes

PICTURES, SHARDS, SHARD_SIZE = 20_000, 40, 504  # a multiple of the batch
SECONDS = 4.0  # between two kills, at least

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pictures, and what `classify` writes of them in one process."""
    folder = tmp_path_factory.mktemp("labelled")
    (folder / "photos").mkdir()
    some = random.Random(0)
    for number in range(PICTURES):
        picture = Image.frombytes("RGB", (4, 4), some.randbytes(48)).resize((32, 32), Image.Resampling.BICUBIC)
        picture.save(folder / "photos" / f"{number:05}.jpg")
    run(folder, "classify", "photos", *HOW, "-o", "all.jsonl")
    return folder


@pytest.fixture
def job(labelled: Path, request: pytest.FixtureRequest) -> Path:
    """A job of these pictures."""
    job = labelled / f"job-{request.function.__name__}"
    run(labelled, "job", "plan", "photos", *HOW, "--shard-size", str(SHARD_SIZE), "-o", str(job))
    assert len(list((job / "names").iterdir())) == SHARDS
    return job


@contextmanager
def killing(job: Path, seed: int) -> Iterator[list[bool]]:
    """Within this context workers, chosen at random, are killed one after another. Gives a note of each.

    Between two of them a shard is finished, however slow the machine is: a job whose workers all end before they have
    labelled a picture gives up.
    """
    over, killed, choose = threading.Event(), list[bool](), random.Random(seed).choice

    def kill() -> None:
        before = -1
        while not over.wait(SECONDS):
            done = shards_done(job)
            if done > before and kill_a_worker(job, choose):
                killed.append(True)
                before = done

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield killed
    finally:
        over.set()
        killer.join()


def merged(job: Path) -> bytes:
    """What `job merge` writes, as JSON Lines."""
    run(job, "job", "merge", ".", "-o", "../merged.jsonl")
    return (job.parent / "merged.jsonl").read_bytes()


@pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")
def test_on_three_nodes_while_workers_a_node_and_the_driver_are_killed(job: Path, labelled: Path) -> None:
    with RayNodes(3, labelled / "nodes.log") as nodes, killing(job, seed=1) as killed:
        command = ("job", "run", str(job), "--ray-address", nodes.address, "--no-progress")
        driver = begin(labelled, *command)
        wait_for(lambda: shards_done(job) >= SHARDS // 4, driver)
        driver.kill()
        driver.communicate()
        driver = begin(labelled, *command)
        wait_for(lambda: shards_done(job) >= SHARDS // 2, driver)
        nodes.remove()
        end_of(driver)
    assert len(killed) >= 3
    assert merged(job) == (labelled / "all.jsonl").read_bytes()


def test_in_three_runs_at_once_while_workers_and_runs_are_killed(job: Path, labelled: Path) -> None:
    choose = random.Random(2)
    command = ("job", "run", str(job), "--no-progress")
    with killing(job, seed=2) as killed:
        runs = [begin(labelled, *command) for _ in range(3)]
        ended = 0
        while shards_done(job) < SHARDS:
            victim = choose.randrange(3)
            try:
                runs[victim].wait(3 * SECONDS)
            except subprocess.TimeoutExpired:
                runs[victim].kill()
                runs[victim].communicate()
                ended += 1
                runs[victim] = begin(labelled, *command)
        for each in runs:
            end_of(each)
    assert killed
    assert ended
    assert merged(job) == (labelled / "all.jsonl").read_bytes()
