import json
import os
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from job_programs import HOW, begin, end_of, kill_a_worker, run, shards_done, wait_for
from PIL import Image
from ray_nodes import RayNodes
from warm import program

from vithybrid_cli.errors import UsageError
from vithybrid_cli.jobs.ray_cluster import Cluster, Share, connected

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayNodes]:
    """Two nodes, of which tests may remove one."""
    with RayNodes(2, tmp_path_factory.mktemp("nodes") / "log") as nodes:
        yield nodes


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 200 pictures that take a while to decode, a broken one, and what `classify` writes of them."""
    folder = tmp_path_factory.mktemp("labelled")
    (folder / "photos").mkdir()
    for number in range(10):
        first = folder / "photos" / f"{number:03}.jpg"
        Image.effect_noise((480, 360), 20 + 8 * number).convert("RGB").save(first)
        for other in range(number + 10, 200, 10):
            os.link(first, first.with_name(f"{other:03}.jpg"))
    (folder / "photos" / "077a.jpg").write_bytes(b"no picture")
    done = subprocess.run([*program(), "classify", "photos", *HOW, "-o", "all.jsonl", "-q"], cwd=folder, check=False)
    assert done.returncode == 1, "of the broken picture"
    return folder


@pytest.fixture
def job(labelled: Path, request: pytest.FixtureRequest) -> Path:
    """A job of these pictures in nine shards."""
    name = f"job-{request.function.__name__}"
    run(labelled, "job", "plan", "photos", *HOW, "--shard-size", "24", "-o", name)
    return labelled / name


def merged(job: Path) -> bytes:
    """What `job merge` writes, as JSON Lines."""
    output = job.with_suffix(".jsonl")
    done = subprocess.run([*program(), "job", "merge", str(job), "-o", str(output), "-q"], check=False)
    assert done.returncode == 1, "of the broken picture"
    return output.read_bytes()


@needs_ray
def test_a_killed_worker_and_a_lost_node_change_no_result(nodes: RayNodes, job: Path, labelled: Path) -> None:
    program = begin(labelled, "job", "run", str(job), "--ray-address", nodes.address)
    wait_for(lambda: kill_a_worker(job), program)
    wait_for(lambda: shards_done(job) >= 1, program)
    nodes.remove()
    said = end_of(program)
    assert "died in shard" in said
    assert "[" not in said, "nothing of what Ray itself logs"
    assert merged(job) == (labelled / "all.jsonl").read_bytes()


@needs_ray
def test_a_run_on_ray_that_is_killed_goes_on_when_it_is_run_again(nodes: RayNodes, job: Path, labelled: Path) -> None:
    program = begin(labelled, "job", "run", str(job), "--ray-address", nodes.address)
    wait_for(lambda: shards_done(job) >= 1, program)
    program.kill()
    program.communicate()
    before = {file: file.stat().st_mtime_ns for file in (job / "results").iterdir()}
    end_of(begin(labelled, "job", "run", str(job), "--ray-address", nodes.address))
    assert merged(job) == (labelled / "all.jsonl").read_bytes()
    assert {file: file.stat().st_mtime_ns for file in before} == before


@needs_ray
def test_workers_that_are_otherwise_say_what_is(nodes: RayNodes, job: Path, labelled: Path) -> None:
    settled = {"batch_size": 8, "environment": {"Pillow": "1.0"}}
    (job / "settled.json").write_text(json.dumps(settled), encoding="utf-8")
    program = begin(labelled, "job", "run", str(job), "--ray-address", nodes.address, "--ray-workers", "1")
    _, said = program.communicate(timeout=120)
    assert program.returncode == 2
    last = said.splitlines()[-1]
    assert last.startswith("vithybrid: The worker on ")
    assert "Pillow 1.0, now " in last


@needs_ray
def test_an_address_at_which_nothing_listens_is_one_line(job: Path, labelled: Path) -> None:
    program = begin(labelled, "job", "run", str(job), "--ray-address", "127.0.0.1:1")
    _, said = program.communicate(timeout=120)
    assert program.returncode == 2
    assert said.splitlines() == [
        "vithybrid: There is no Ray that can be joined at 127.0.0.1:1 (Connection refused). Start it with `ray start`, "
        "or give another --ray-address."
    ]


def test_without_the_package_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vithybrid_cli.jobs.ray_cluster.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'vithybrid-cli\[ray\]'"), connected(None):
        pass


class FakeRay:
    """What `Cluster` asks of Ray: nodes with so many of each kind."""

    def __init__(self, *nodes: dict[str, float]) -> None:
        self._nodes = [{"Alive": True, "Resources": node} for node in nodes]

    def nodes(self) -> list[dict[str, object]]:
        """A node that is gone is still listed."""
        return [*self._nodes, {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}}]


@pytest.mark.parametrize(
    ("nodes", "gpu", "threads", "share", "room"),
    [
        pytest.param([{"CPU": 8.0}, {"CPU": 4.0}], False, None, Share(0, 4), 3, id="as many cores as the smallest"),
        pytest.param([{"CPU": 8.0}, {"CPU": 5.0}], None, 2, Share(0, 2), 6, id="as many cores as threads"),
        pytest.param([{"CPU": 16.0, "GPU": 2.0}, {"CPU": 8.0}], None, 4, Share(1, 8), 2, id="one for each GPU"),
        pytest.param(
            [{"CPU": 16.0, "GPU": 2.0}, {"CPU": 8.0}], False, 4, Share(0, 4), 6, id="GPUs that are not wanted"
        ),
        pytest.param([{"CPU": 8.0}], True, None, Share(1, 1), 0, id="no GPU at all"),
        pytest.param([{"CPU": 1.0, "GPU": 4.0}], True, None, Share(1, 1), 1, id="more GPUs than cores"),
        pytest.param(
            [{"node:head": 1.0}, {"CPU": 2.0}], False, None, Share(0, 2), 1, id="a head that computes nothing"
        ),
        pytest.param([], False, None, Share(0, 1), 0, id="no nodes"),
    ],
)
def test_a_worker_takes_a_gpu_or_its_threads(
    nodes: list[dict[str, float]], gpu: bool | None, threads: int | None, share: Share, room: int
) -> None:
    cluster = Cluster(FakeRay(*nodes))
    assert cluster.share(gpu=gpu, threads=threads) == share
    assert cluster.room(share) == room
